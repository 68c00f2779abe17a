"""Attributions averaged over networks, such as seeds or folds, with their standard deviations."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from mlproject.attribution.completeness import completeness_error
from mlproject.attribution.logits import Progress, silent
from mlproject.attribution.methods import Attributions, attribute


class Averaged(NamedTuple):
    """A method's attributions of the same rows by one or several networks.

    Attributes:
        mean: the mean scores of all letters, or those of the one network.
        deviations: the standard deviations of the scores over the networks (n - 1); None for one
            network.
        spread: (rows, L) standard deviation of the importance of each position; None for one.
        completeness_error: mean of the networks' errors; None if the method promises no sum.
        models: number of networks.
    """

    mean: Attributions
    deviations: Attributions | None
    spread: np.ndarray | None
    completeness_error: float | None
    models: int


class _Moments:
    """Running mean and sum of squared deviations of arrays (Welford 1962), float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray | float = 0.0
        self.squares: np.ndarray | float = 0.0

    def add(self, values: np.ndarray) -> None:
        self.count += 1
        change = values - self.mean
        self.mean = self.mean + change / self.count
        self.squares = self.squares + change * (values - self.mean)

    @property
    def deviation(self) -> np.ndarray:
        return np.sqrt(np.asarray(self.squares) / (self.count - 1)).astype(np.float32)


def attribute_all(
    models: Sequence[keras.Model],
    method: str,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    sequences: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Averaged:
    """Attribute the same rows with each network and average the scores.

    Each network counts alike, with the scale of its own logits. Methods that draw random sequences
    draw the same ones for each network.

    Args:
        models: the networks.
        method: see `attribute`, as the other arguments.
        codes: (rows, L) uint8.
        targets: (rows,) class numbers.
        sequences: numbers of the rows in their split.
        seed: seed of the methods that draw random numbers.
        progress: called with the number of rows done, over all networks, and their total.

    Raises:
        UserError: see `attribute`.
    """
    scores, importance, errors = _Moments(), _Moments(), []
    total = len(models) * len(codes)
    for number, model in enumerate(models):
        before = number * len(codes)
        found = attribute(
            model, method, codes, targets, sequences=sequences, seed=seed,
            progress=lambda done, _, before=before: progress(before + done, total),  # type: ignore[misc]
        )  # fmt: skip
        errors.append(completeness_error(model, found, seed))
        if len(models) > 1:
            scores.add(found.scores)
            importance.add(found.importance)
    known = [error for error in errors if error is not None]
    error = float(np.mean(known)) if known else None
    if len(models) == 1:
        return Averaged(found, None, None, error, 1)
    return Averaged(
        found._replace(scores=np.asarray(scores.mean, np.float32)),
        found._replace(scores=scores.deviation),
        importance.deviation,
        error,
        len(models),
    )
