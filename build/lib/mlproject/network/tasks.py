"""What follows from a data set's task: output, loss, scores, and the parameters that fit it.

| task | output | loss | scores |
|---|---|---|---|
| binary | sigmoid | binary cross-entropy | AUROC, AUPR of each class |
| multiclass | softmax | cross-entropy | accuracy; AUROC, AUPR of each class against the rest |
| regression | linear | mean squared error | Pearson, Spearman, R2, MSE of each output |
| counts | softplus | Poisson, or Poisson of the total and multinomial | the same, and deviance |
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from mlproject.fields import VALUES
from mlproject.network import evaluation
from mlproject.network.evaluation import ClassScore, class_scores, mean_aupr, mean_auroc
from mlproject.network.value_scores import (
    SMALLEST_RATE,
    VALUE_MEASURES,
    ValueScore,
    value_scores,
)
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError

SMALLEST_PROBABILITY = 1e-7  # the clipping of Keras
ACTIVATIONS: Mapping[str, str] = MappingProxyType(
    {"binary": "sigmoid", "multiclass": "softmax", "regression": "linear", "counts": "softplus"}
)  # of the output layer
MONITORED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binary": ("cross_entropy", "auroc", "aupr", "auroc_pooled", "aupr_pooled"),
        "multiclass": ("cross_entropy", "accuracy", "auroc", "aupr"),
        "regression": ("pearson", "spearman", "r2", "mse"),
        "counts": ("pearson", "spearman", "r2", "mse", "deviance"),
    }
)  # scores that may be monitored, beside the loss
PRIMARY: Mapping[str, str] = MappingProxyType(
    {"binary": "auroc", "multiclass": "auroc", "regression": "pearson", "counts": "pearson"}
)  # the score that an ablation changes, and that a line of progress shows
CLASS_FIELDS = {"label_smoothing": 0.0, "class_weight": "none"}  # of tasks with classes only

Score = ClassScore | ValueScore


def check_task(spec: RunSpec, task: str, outputs: int) -> None:
    """Raise a `UserError` for parameters that do not fit the task of the data.

    Args:
        spec: the run's spec.
        task: of its data set.
        outputs: number of classes or outputs.
    """
    allowed = ["val_loss", *(f"val_{name}" for name in MONITORED[task])]
    if spec.monitor not in allowed:
        raise UserError(
            f"`monitor` must be {', '.join(allowed)} with data of the task {task}: "
            f"got {spec.monitor}"
        )
    for name, default in CLASS_FIELDS.items():
        if task in VALUES and getattr(spec, name) != default:
            raise UserError(
                f"`{name}` is for classes: got {name}={getattr(spec, name)} with data of the task "
                f"{task}; leave it out"
            )
    if spec.class_weight == "balanced" and task != "binary":
        raise UserError(
            "`class_weight=balanced` is for classes that do not exclude each other: got data of "
            f"the task {task}; leave it out"
        )
    if spec.loss == "poisson_multinomial" and (task != "counts" or outputs < 2):
        raise UserError(
            "`loss=poisson_multinomial` is for counts with two outputs at least: got data of the "
            f"task {task} with {outputs}; leave it out"
        )


def data_loss(
    labels: np.ndarray, scores: np.ndarray, task: str = "binary", loss: str = "auto"
) -> float:
    """Return the loss of labels and scores (n, outputs), without L2, smoothing and weights.

    Cross-entropies are in nats; of several outputs it is the mean.
    """
    scores = scores.astype(np.float64)
    if task == "binary":
        scores = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        return float(-np.log(np.where(labels == 1, scores, 1 - scores)).mean())
    if task == "multiclass":
        scores = scores / scores.sum(axis=1, keepdims=True)
        right = scores[np.arange(len(labels)), labels.argmax(axis=1)]
        return float(-np.log(np.clip(right, SMALLEST_PROBABILITY, 1.0)).mean())
    truth = labels.astype(np.float64)
    if task == "regression":
        return float(np.square(truth - scores).mean())
    rates = np.maximum(scores, 0.0)
    if loss == "auto":
        return float((rates - truth * np.log(rates + SMALLEST_RATE)).mean())
    total, wanted = rates.sum(axis=1), truth.sum(axis=1)
    whole = (total - wanted * np.log(total + SMALLEST_RATE)) / truth.shape[1]
    shares = rates / (total[:, None] + SMALLEST_RATE)
    return float((whole - (truth * np.log(shares + SMALLEST_RATE)).mean(axis=1)).mean())


def validation_scores(
    labels: np.ndarray, scores: np.ndarray, task: str, monitor: str
) -> dict[str, float]:
    """Return the scores of an epoch by name: ``val_auroc``, ``val_pearson``, ...

    They are means over classes or outputs. AUPR and pooled areas are computed if monitored only.

    Raises:
        UserError: the monitored score is defined for no class or output.
    """
    if task in VALUES:
        values: dict[str, float | None] = {
            f"val_{name}": _mean_value(labels, scores, VALUE_MEASURES[name])
            for name in MONITORED[task]
        }
    else:
        values = {"val_auroc": mean_auroc(labels, scores)}
        if task == "multiclass":
            values["val_accuracy"] = accuracy(labels, scores)
        if monitor == "val_aupr":
            values[monitor] = mean_aupr(labels, scores)
        elif monitor.endswith("_pooled"):
            values[monitor] = evaluation.pooled_area(
                labels, scores, "ROC" if "auroc" in monitor else "PR"
            )
    if monitor in values and values[monitor] is None:
        what = "an output that varies" if task in VALUES else "a class with both labels"
        raise UserError(f"`monitor={monitor}` needs {what} in the validation split: got none")
    return {name: value for name, value in values.items() if value is not None}


def test_rows(
    labels: np.ndarray, scores: np.ndarray, outputs: Sequence[str], task: str
) -> Sequence[Score]:
    """Return a row of scores for each class or output."""
    if task in VALUES:
        return value_scores(labels, scores, outputs, task == "counts")
    return class_scores(labels, scores, outputs)


def accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of sequences (n, classes) whose highest score is at the label of 1."""
    return float((labels.argmax(axis=1) == scores.argmax(axis=1)).mean())


def _mean_value(
    labels: np.ndarray,
    scores: np.ndarray,
    measure: Callable[[np.ndarray, np.ndarray], float | None],
) -> float | None:
    pairs = zip(labels.T.astype(np.float64), scores.T.astype(np.float64), strict=True)
    found = [one for pair in pairs if (one := measure(*pair)) is not None]
    return float(np.mean(found)) if found else None
