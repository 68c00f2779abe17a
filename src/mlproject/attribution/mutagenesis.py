"""In silico mutagenesis: the change of the logit when single letters or windows are replaced."""

from collections.abc import Iterator

import keras
import numpy as np

from mlproject.attribution.logits import Output, Progress, scored_model, silent
from mlproject.attribution.references import shuffled
from mlproject.attribution.scores import centred
from mlproject.network.build import predictor
from mlproject.sequence import OTHER, one_hot

PASSES = 500


def ism(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    region: tuple[int, int] | None = None,
    correct: bool = True,
    output: Output = "logit",
    batch_size: int = PASSES,
    progress: Progress = silent,
) -> np.ndarray:
    """Return the change of the output when each letter is replaced by each other letter.

    A sequence that occurs in several rows, for several classes, is computed once.

    Args:
        model: the network.
        codes: (N, L) uint8; positions with an unknown letter are not replaced and score 0.
        targets: (N,) class of each row.
        region: first position to replace, and one past the last; None: all.
        correct: centre over the four letters. The score of the letter present is then its output
            less the mean output of all four letters; otherwise it is 0.
        output: ``logit`` or ``probability``.
        batch_size: sequences a forward pass.
        progress: called with the number of different sequences done and their total.

    Returns:
        float32 (N, L, 4), output with the letter replaced less output of the sequence.
    """
    inner = scored_model(model, output)
    start, stop = region or (0, codes.shape[1])
    score = predictor(inner, _even(3 * (stop - start) + 1, batch_size))
    found = np.zeros((*codes.shape, 4), np.float32)
    for sequence, rows in _different(codes, progress):
        known = np.arange(start, stop)[sequence[start:stop] != OTHER]
        place, turn = np.repeat(known, 3), np.tile(np.arange(1, 4), len(known))
        letter = (sequence[place] + turn) % 4
        tried = np.repeat(sequence[None], len(place) + 1, axis=0)
        tried[np.arange(len(place)), place] = letter
        outputs = score(tried)
        for row in rows:
            found[row, place, letter] = (outputs[:-1] - outputs[-1])[:, targets[row]]
    return centred(found) if correct else found


def ism_window(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    window: int = 10,
    references: int = 4,
    output: Output = "logit",
    batch_size: int = PASSES,
    progress: Progress = silent,
) -> np.ndarray:
    """Return the loss of output when a window of letters is replaced.

    Each window of `window` nt is replaced by the letters of the row's shuffled copies at the same
    positions. The score of a position is the mean loss over the windows that cover it. It is
    assigned to the letter present; the other three letters score 0.

    Args:
        model: see `ism`.
        codes: (N, L) uint8.
        targets: (N,).
        rng: random numbers.
        window: width, nt, at most L.
        references: copies with shuffled dinucleotides.
        output: see `ism`.
        batch_size: see `ism`.
        progress: see `ism`.
    """
    inner = scored_model(model, output)
    length = codes.shape[1]
    window = min(window, length)
    starts = np.arange(length - window + 1)[:, None]
    inside = (np.arange(length) >= starts) & (np.arange(length) < starts + window)
    share = (inside / inside.sum(axis=0)).astype(np.float32)
    score = predictor(inner, _even(references * len(starts) + 1, batch_size))
    lost = np.zeros(codes.shape, np.float32)
    for sequence, rows in _different(codes, progress):
        copies = shuffled(sequence[None], references, rng)[0]
        tried = np.where(inside, copies[:, None], sequence).reshape(-1, length)
        outputs = score(np.concatenate([tried, sequence[None]]))
        losses = (outputs[-1] - outputs[:-1]).reshape(references, len(starts), -1).mean(axis=0)
        for row in rows:
            lost[row] = losses[:, targets[row]] @ share
    return lost[:, :, None] * one_hot(codes)


def _different(codes: np.ndarray, progress: Progress) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each different sequence with the rows in which it occurs."""
    different, owner = np.unique(codes, axis=0, return_inverse=True)
    order = np.argsort(owner.reshape(-1), kind="stable")
    bounds = np.cumsum(np.bincount(owner.reshape(-1)))[:-1]
    for number, rows in enumerate(np.split(order, bounds)):
        yield different[number], rows
        progress(number + 1, len(different))


def _even(rows: int, most: int) -> int:
    """Return the size, at most `most`, of the fewest equal batches that hold `rows` rows."""
    return -(-rows // -(-rows // most))
