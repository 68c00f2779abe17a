"""Attributions from gradients at or near the sequence: saliency, SmoothGrad.

Each function takes codes (N, L) with one class for each row and returns float32 (N, L, 4): the
hypothetical contribution of every letter at every position to the logit of that class (the score
before the sigmoid), or to its probability. `mlproject.attribution.scores.contributions` selects the
letters present.
"""

from collections.abc import Callable, Iterable

import keras
import numpy as np

from mlproject.attribution.logits import (
    BATCH,
    Output,
    Progress,
    batches,
    chosen,
    scored_model,
    selector,
    silent,
)
from mlproject.attribution.scores import centred, hypothetical
from mlproject.network.backend import Gradient, gradient
from mlproject.sequence import one_hot
from mlproject.system.interrupts import check_interrupts

Points = Callable[[np.ndarray, slice], Iterable[tuple[float, np.ndarray, np.ndarray | float]]]


def class_gradient(model: keras.Model, output: Output = "logit") -> Gradient:
    """Return the compiled gradient of one class's output with respect to the sequence.

    Args:
        model: the network.
        output: ``logit`` or ``probability``.

    Returns:
        A function from one-hot (batch, L, 4) and a selector (batch, classes), see `selector`, to
        outputs (batch,) and gradients (batch, L, 4).
    """
    inner = scored_model(model, output)
    return gradient(lambda inputs, select: chosen(inner(inputs, training=False), select))


def saliency(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    correct: bool = True,
    output: Output = "logit",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> np.ndarray:
    """Return the gradient with respect to the one-hot sequence.

    Args:
        model: the network.
        codes: (N, L) uint8.
        targets: (N,) class of each row.
        correct: centre the gradient over the four letters, see `scores.centred`.
        output: ``logit`` or ``probability``.
        batch_size: rows a batch.
        progress: called with the number of rows done and their total.

    Source: Simonyan, Vedaldi & Zisserman, arXiv:1312.6034, 2013.
    """

    def points(x: np.ndarray, rows: slice) -> Iterable[tuple[float, np.ndarray, float]]:
        yield 1.0, x, 0.0

    found = mean_gradient(model, codes, targets, points, output, batch_size, progress)
    return centred(found) if correct else found


def smoothgrad(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    samples: int = 25,
    noise: float = 0.1,
    correct: bool = True,
    output: Output = "logit",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> np.ndarray:
    """Return the mean gradient of noisy copies of the sequence.

    Args:
        model: see `saliency`.
        codes: (N, L) uint8.
        targets: (N,).
        rng: random numbers.
        samples: number of copies.
        noise: standard deviation of the Gaussian noise on each of the four channels.
        correct: see `saliency`.
        output: see `saliency`.
        batch_size: see `saliency`.
        progress: see `saliency`.

    Source: Smilkov et al., arXiv:1706.03825, 2017.
    """

    def points(x: np.ndarray, rows: slice) -> Iterable[tuple[float, np.ndarray, float]]:
        for _ in range(samples):
            yield 1 / samples, x + noise * rng.standard_normal(x.shape, np.float32), 0.0

    found = mean_gradient(model, codes, targets, points, output, batch_size, progress)
    return centred(found) if correct else found


def mean_gradient(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    points: Points,
    output: Output,
    batch_size: int,
    progress: Progress,
) -> np.ndarray:
    """Return the weighted mean of hypothetical contributions at several points of the input."""
    call = class_gradient(model, output)
    select = selector(targets, model.output_shape[-1])
    found = np.zeros((*codes.shape, 4), np.float32)
    for rows, (batch, chosen_classes) in batches([codes, select], batch_size):
        x, count = one_hot(batch), rows.stop - rows.start
        for weight, inputs, reference in points(x, rows):
            check_interrupts()
            slopes = call(inputs, chosen_classes)[1]
            shares = hypothetical(slopes, np.broadcast_to(reference, x.shape))
            found[rows] += np.float32(weight) * shares[:count]
        progress(rows.stop, len(codes))
    return found


def filled(array: np.ndarray, size: int) -> np.ndarray:
    """Return `array` with its last row repeated until there are `size` rows."""
    return array[np.minimum(np.arange(size), len(array) - 1)]
