"""Scores of outputs that are numbers: regression and counts."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from mlproject.network.evaluation import check_shapes

SMALLEST_RATE = 1e-7  # of a Poisson distribution, as in Keras


class ValueScore(NamedTuple):
    """How well one output is predicted. A correlation with a constant measured value is None.

    Attributes:
        name: the output.
        sequences: number of sequences.
        pearson: Pearson's correlation of measured and predicted values, -1 to 1; 0 for constant
            predictions.
        spearman: the same of their ranks.
        r2: 1 less the squared error over that of the mean measured value; below 0 if worse.
        mse: mean squared error, in squared units of the output.
        deviance: Poisson deviance, mean over sequences; None for regression.
    """

    name: str
    sequences: int
    pearson: float | None
    spearman: float | None
    r2: float | None
    mse: float
    deviance: float | None

    @property
    def defined(self) -> bool:
        """Whether the measured values differ, so that correlations are defined."""
        return self.pearson is not None


def value_scores(
    values: np.ndarray, predicted: np.ndarray, outputs: Sequence[str], counts: bool = False
) -> list[ValueScore]:
    """Return one row for each output.

    Args:
        values: (sequences, outputs), measured.
        predicted: (sequences, outputs).
        outputs: names of the columns.
        counts: whether the values are counts, with a deviance.

    Raises:
        UserError: the arrays do not fit together, are empty, or predictions are not finite.
    """
    check_shapes(values, predicted, outputs)
    truth, found = values.astype(np.float64), predicted.astype(np.float64)
    rows = []
    for number, name in enumerate(outputs):
        pair = truth[:, number], found[:, number]
        scores = {kind: of(*pair) for kind, of in VALUE_MEASURES.items()}
        if not counts:
            scores["deviance"] = None
        rows.append(ValueScore(name, len(truth), **scores))  # type: ignore[arg-type]
    return rows


def pearson(truth: np.ndarray, found: np.ndarray) -> float | None:
    """Return Pearson's correlation, None for a constant truth, 0 for constant predictions."""
    if not _varies(truth):
        return None
    if not _varies(found):
        return 0.0
    one, other = truth - truth.mean(), found - found.mean()
    return float((one @ other) / np.sqrt((one @ one) * (other @ other)))


def spearman(truth: np.ndarray, found: np.ndarray) -> float | None:
    """Return Pearson's correlation of the ranks; equal values share their mean rank."""
    return pearson(rankdata(truth), rankdata(found))


def r_squared(truth: np.ndarray, found: np.ndarray) -> float | None:
    """Return the coefficient of determination, None for a constant truth."""
    if not _varies(truth):
        return None
    return float(1 - np.square(truth - found).sum() / np.square(truth - truth.mean()).sum())


def mean_squared_error(truth: np.ndarray, found: np.ndarray) -> float:
    """Return the mean squared error."""
    return float(np.square(truth - found).mean())


def poisson_deviance(truth: np.ndarray, found: np.ndarray) -> float:
    """Return twice the mean log-likelihood lost against perfect predictions, 0 or more."""
    rate = np.maximum(found, SMALLEST_RATE)
    gained = np.where(truth > 0, truth * np.log(np.where(truth > 0, truth, 1.0) / rate), 0.0)
    return float(2 * (gained - truth + rate).mean())


VALUE_MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], float | None]] = {
    "pearson": pearson,
    "spearman": spearman,
    "r2": r_squared,
    "mse": mean_squared_error,
    "deviance": poisson_deviance,
}
"""From measured and predicted values of one output, (sequences,), to a field of `ValueScore`."""
VALUE_LABELS = {
    "pearson": "Pearson", "spearman": "Spearman", "r2": "R²", "mse": "MSE", "deviance": "deviance",
}  # fmt: skip
"""Fields of `ValueScore` as text."""


def _varies(values: np.ndarray) -> bool:
    """Return whether values differ by more than float32's rounding of their size."""
    return float(np.ptp(values)) > 1e-6 * float(np.abs(values).max())


class Density(NamedTuple):
    """Where the pairs of measured and predicted values of one output lie.

    Attributes:
        name: the output.
        counts: (`BINS`, `BINS`) int, pairs in each cell: measured by predicted value.
        low: lower end of both axes.
        high: upper end of both axes.
    """

    name: str
    counts: np.ndarray
    low: float
    high: float


BINS = 48
OUTSIDE = 0.1  # per cent of the values at each end that are drawn at the border


def densities(values: np.ndarray, predicted: np.ndarray, outputs: Sequence[str]) -> list[Density]:
    """Return the density of measured and predicted values of each output, on common axes."""
    found = []
    for name, *pair in zip(outputs, values.T, predicted.T, strict=True):
        both = np.stack(pair).astype(np.float64)
        ends = np.percentile(both, [OUTSIDE, 100 - OUTSIDE], axis=1)
        low, high = float(ends[0].min()), float(ends[1].max())
        if not high > low:
            low, high = low - 0.5, high + 0.5
        cells = np.clip(((both - low) / (high - low) * BINS).astype(np.int64), 0, BINS - 1)
        counts = np.bincount(cells[0] * BINS + cells[1], minlength=BINS * BINS)
        found.append(Density(name, counts.reshape(BINS, BINS), low, high))
    return found
