"""From labels and scores to named numbers, tables and curves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from mlproject.names import metric_names
from mlproject.system.errors import UserError

CURVE_POINTS = 500
FEW = 10


class ClassScore(NamedTuple):
    """The scores of one class: numbers of sequences, and how well the class is predicted.

    Attributes:
        name: the class.
        positives: sequences with label 1.
        negatives: sequences with label 0.
        auroc: area under the ROC curve. All three areas are None without positives or without
            negatives.
        aupr: area under the precision-recall curve by trapezoids, as in the paper's released code.
        ap: average precision, the same area by steps.
    """

    name: str
    positives: int
    negatives: int
    auroc: float | None
    aupr: float | None
    ap: float | None

    @property
    def sequences(self) -> int:
        """Number of sequences."""
        return self.positives + self.negatives

    @property
    def defined(self) -> bool:
        """Whether the class has positives and negatives, so that its areas are defined."""
        return self.auroc is not None

    @property
    def few(self) -> bool:
        """Whether the class has fewer than `FEW` positives, so that the areas are unreliable."""
        return self.positives < FEW


class Curves(NamedTuple):
    """The curves of one class, thinned to `CURVE_POINTS` points.

    Attributes:
        name: the class.
        roc: (points, 2) false and true positive rate, each from 0 to 1.
        precision_recall: (points, 2) recall, from 1 to 0, and precision.
    """

    name: str
    roc: np.ndarray
    precision_recall: np.ndarray


def metrics(rows: Sequence[Any], prefix: str = "test_") -> dict[str, float]:
    """Return each of `MEASURES`: its mean over the classes, and its value for each class.

    Args:
        rows: one for each class, from `class_scores`; or one for each output, with the fields of
            `mlproject.network.value_scores.ValueScore`.
        prefix: prefix of the metric names.

    Returns:
        ``{"test_auroc": mean, "test_auroc/CEBPB": ..., ...}``. Undefined scores are left out, also
        of the means; see `undefined`.

    Raises:
        UserError: class names that give equal metric names.
    """
    names = metric_names(row.name for row in rows)
    values = {}
    kinds = MEASURES if not rows or isinstance(rows[0], ClassScore) else rows[0]._fields[2:]
    for kind in kinds:
        single = {
            f"{prefix}{kind}/{name}": value
            for name, row in zip(names, rows, strict=True)
            if (value := getattr(row, kind)) is not None
        }
        if single:
            values[f"{prefix}{kind}"] = float(np.mean([*single.values()]))
        values |= single
    return values


def undefined(rows: Sequence[Any]) -> list[str]:
    """Return the classes without positives or negatives, or the outputs that do not vary."""
    return [row.name for row in rows if not row.defined]


def class_scores(
    labels: np.ndarray, scores: np.ndarray, classes: Sequence[str]
) -> list[ClassScore]:
    """Return one row for each class.

    Args:
        labels: (sequences, classes), 0 or 1.
        scores: (sequences, classes), higher where a label of 1 is more likely.
        classes: names of the columns.

    Raises:
        UserError: the arrays do not fit together, are empty, or have scores that are not finite.
    """
    check_shapes(labels, scores, classes)
    rows = []
    for name, truth, score in zip(classes, labels.T, scores.T, strict=True):
        positives = int(truth.sum())
        negatives = len(truth) - positives
        both = positives and negatives
        values = {kind: of(truth, score) if both else None for kind, of in MEASURES.items()}
        rows.append(ClassScore(name, positives, negatives, **values))
    return rows


def curves(labels: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> list[Curves]:
    """Return the curves of the classes with both labels; see `class_scores` for the arguments."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    check_shapes(labels, scores, classes)
    found = []
    for name, truth, score in zip(classes, labels.T, scores.T, strict=True):
        if truth.min() != truth.max():
            false_rate, true_rate, _ = roc_curve(truth, score)
            precision, recall, _ = precision_recall_curve(truth, score)
            found.append(Curves(name, _thin(false_rate, true_rate), _thin(recall, precision)))
    return found


def mean_auroc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the mean AUROC over the classes with both labels, None without such a class.

    Args:
        labels: (sequences, classes), 0 or 1.
        scores: (sequences, classes).
    """
    return _mean(_auroc, labels, scores)


def mean_aupr(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Return the mean AUPR by trapezoids; arguments and result as for `mean_auroc`."""
    return _mean(_aupr, labels, scores)


def pooled_area(labels: np.ndarray, scores: np.ndarray, curve: Literal["ROC", "PR"]) -> float:
    """Return the area under a curve of all classes together, as Keras' `AUC` metric has it.

    Args:
        labels: (sequences, classes), 0 or 1.
        scores: (sequences, classes), from 0 to 1.
        curve: which one; 200 thresholds, interpolated.
    """
    import keras

    metric = keras.metrics.AUC(curve=curve)
    metric.update_state(labels.reshape(-1), scores.reshape(-1))
    return float(metric.result())


def _mean(
    area: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, scores: np.ndarray
) -> float | None:
    both = labels.min(axis=0) != labels.max(axis=0)
    areas = [area(*pair) for pair in zip(labels.T[both], scores.T[both], strict=True)]
    return float(np.mean(areas)) if areas else None


def _aupr(truth: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import auc, precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth, score)
    return float(auc(recall, precision))


def _auroc(truth: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, score))


def _ap(truth: np.ndarray, score: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, score))


MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "auroc": _auroc,
    "aupr": _aupr,
    "ap": _ap,
}
"""From labels and scores of one class, with positives and negatives, to a field of `ClassScore`."""


def check_shapes(labels: np.ndarray, scores: np.ndarray, classes: Sequence[str]) -> None:
    """Raise a `UserError` if arrays (sequences, classes) differ in shape or cannot be scored."""
    if labels.shape != scores.shape or labels.shape[1:] != (len(classes),):
        raise UserError(
            f"labels and scores must both be (sequences, {len(classes)} classes): "
            f"got {labels.shape} and {scores.shape}"
        )
    if not len(labels):
        raise UserError("there must be sequences to evaluate: got none")
    if not np.isfinite(scores).all():
        raise UserError(f"scores must be finite: got {scores[~np.isfinite(scores)][0]}")


def _thin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return at most `CURVE_POINTS` points of a curve, evenly spaced, including both ends."""
    points = np.stack([x, y], axis=1)
    if len(points) <= CURVE_POINTS:
        return points
    path = np.concatenate([[0.0], np.abs(np.diff(points, axis=0)).sum(axis=1).cumsum()])
    wanted = np.searchsorted(path, np.linspace(0.0, path[-1], CURVE_POINTS))
    return points[np.unique(np.clip([0, *wanted[1:-1], len(points) - 1], 0, len(points) - 1))]
