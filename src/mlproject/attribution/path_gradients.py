"""Attributions from gradients along paths: integrated and expected gradients.

Arguments and results are those of `mlproject.attribution.gradients`.
"""

from collections.abc import Callable, Iterable

import keras
import numpy as np

from mlproject.attribution.gradients import class_gradient, filled, mean_gradient
from mlproject.attribution.logits import BATCH, Output, Progress, selector, silent
from mlproject.attribution.references import UNIFORM, shuffled
from mlproject.attribution.scores import hypothetical
from mlproject.sequence import one_hot
from mlproject.system.interrupts import check_interrupts

BLOCK = 10


def integrated_gradients(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    steps: int = 32,
    most_steps: int = 4096,
    error: float = 0.01,
    output: Output = "logit",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> np.ndarray:
    """Return the gradient integrated along the straight path from the uniform reference.

    The reference has 1/4 for each letter. The contributions of a row sum to the output of the row
    less the output of the reference, up to the error of the integral, a trapezoidal sum. The
    gradient of a network of rectified units and max-pools jumps along the path, so the error only
    falls with one over the number of points. This number is doubled until the error of the row is
    small enough.

    Args:
        model: see `saliency`.
        codes: (N, L) uint8.
        targets: (N,).
        steps: initial number of intervals of the path.
        most_steps: largest number of intervals, used even if the error is larger.
        error: allowed error of a row's sum, as a share of its difference of outputs, which counts
            as 1 where it is smaller.
        output: see `saliency`.
        batch_size: see `saliency`.
        progress: see `saliency`.

    Source: Sundararajan, Taly & Yan, ICML 2017.
    """
    call = class_gradient(model, output)
    select = selector(targets, model.output_shape[-1])
    size = min(batch_size, len(codes))

    def at(rows: np.ndarray, place: float) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs and slopes of some rows at a point of the path, 0 to 1."""
        parts = []
        for start in range(0, len(rows), size):
            check_interrupts()
            part = rows[start : start + size]
            padded = filled(part, size)
            x = one_hot(codes[padded])
            found = call((UNIFORM + place * (x - UNIFORM)).astype(np.float32), select[padded])
            parts.append([array[: len(part)] for array in found])
        outputs, slopes = zip(*parts, strict=True)
        return np.concatenate(outputs), np.concatenate(slopes)

    found = np.zeros((*codes.shape, 4), np.float32)
    for start in range(0, len(codes), BLOCK * max(size, 1)):
        rows = np.arange(start, min(start + BLOCK * size, len(codes)))
        found[rows] = _integrated(at, codes[rows], rows, steps, most_steps, error)
        progress(int(rows[-1]) + 1, len(codes))
    return found


def _integrated(
    at: Callable[[np.ndarray, float], tuple[np.ndarray, np.ndarray]],
    codes: np.ndarray,
    rows: np.ndarray,
    steps: int,
    most_steps: int,
    error: float,
) -> np.ndarray:
    """Return the hypothetical contributions of some rows, see `integrated_gradients`."""
    path = one_hot(codes) - np.float32(UNIFORM)
    (low, first), (high, last) = at(rows, 0.0), at(rows, 1.0)
    difference, total = high - low, (first.astype(np.float64) + last) / 2
    left, parts, places = np.arange(len(rows)), steps, range(1, steps)
    while True:
        for place in places:
            total[left] += at(rows[left], place / parts)[1]
        sums = (total[left] * path[left]).sum(axis=(1, 2)) / parts
        missed = np.abs(sums - difference[left])
        enough = missed <= error * np.maximum(np.abs(difference[left]), 1.0)
        total[left[enough]] /= parts
        left = left[~enough]
        if not len(left) or 2 * parts > most_steps:
            total[left] /= parts
            return hypothetical(total, np.full_like(total, UNIFORM)).astype(np.float32)
        parts *= 2
        places = range(1, parts, 2)


def expected_gradients(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    references: int = 20,
    output: Output = "logit",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> np.ndarray:
    """Return the mean gradient at random points of the paths from shuffled copies of the sequence.

    Each reference is the row with its dinucleotides shuffled. One point is drawn from each path,
    such that the points of a row cover the path evenly. The contributions sum to the difference of
    the outputs in expectation.

    Args:
        model: see `saliency`.
        codes: (N, L) uint8.
        targets: (N,).
        rng: random numbers.
        references: shuffled copies of each row.
        output: see `saliency`.
        batch_size: see `saliency`.
        progress: see `saliency`.

    Source: Erion et al., Nat Mach Intell 3: 620, 2021.
    """
    others = shuffled(codes, references, rng)

    def points(x: np.ndarray, rows: slice) -> Iterable[tuple[float, np.ndarray, np.ndarray]]:
        for number in range(references):
            reference = filled(one_hot(others[rows, number]), len(x))
            place = (number + rng.random(len(x), np.float32)[:, None, None]) / references
            yield 1 / references, reference + place * (x - reference), reference

    return mean_gradient(model, codes, targets, points, output, batch_size, progress)


def integrated_shuffled(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    references: int = 10,
    steps: int = 20,
    output: Output = "logit",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> np.ndarray:
    """Return the gradient averaged over the paths from shuffled copies of the sequence.

    The gradient is neither centred nor multiplied by the difference from the reference. The score
    of the letter present is the gradient times the input, as in Koo & Ploenzke 2021.

    Args:
        model: see `saliency`.
        codes: (N, L) uint8.
        targets: (N,).
        rng: random numbers.
        references: copies of each row with its dinucleotides shuffled.
        steps: intervals of a path; the integral is a trapezoidal sum.
        output: see `saliency`.
        batch_size: see `saliency`.
        progress: see `saliency`.

    Source: Koo & Ploenzke, Nat Mach Intell 3: 258, 2021, and the code they released.
    """
    others = shuffled(codes, references, rng)

    def points(x: np.ndarray, rows: slice) -> Iterable[tuple[float, np.ndarray, float]]:
        for number in range(references):
            reference = filled(one_hot(others[rows, number]), len(x))
            for step in range(steps + 1):
                weight = (0.5 if step in (0, steps) else 1.0) / (steps * references)
                yield weight, reference + np.float32(step / steps) * (x - reference), 0.0

    return mean_gradient(model, codes, targets, points, output, batch_size, progress)
