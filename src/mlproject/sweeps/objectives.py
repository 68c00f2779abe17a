"""What a search may improve: metrics of training and validation data, never of the test split."""

from mlproject.names import Metric
from mlproject.system.errors import UserError, nearest

EPOCH_OBJECTIVES = ("val_loss", "val_cross_entropy", "val_auroc")
FILTER_OBJECTIVES = ("match_jaspar", "match_relevant", "coverage", "dead")


def check_objective(name: str) -> None:
    """Refuse what is not measured on training or validation data.

    Raises:
        UserError: a metric of the test split, or none of the known ones.
    """
    layer, _, score = name.partition("/")
    if name.startswith("test_"):
        raise UserError(f"the test split is never an objective: got {name}; use val_auroc, …")
    if layer.startswith("conv") and score:
        raise UserError(
            f"the test split is never an objective: {name} is scanned over it; use val_{name}"
        )
    if layer.startswith("val_conv") and layer[8:].isdigit() and score in FILTER_OBJECTIVES:
        return
    allowed = [*EPOCH_OBJECTIVES, Metric.TIME_TRAIN]
    if name not in allowed:
        filters = [f"val_conv1/{one}" for one in FILTER_OBJECTIVES]
        raise UserError(f"unknown objective `{name}`: {nearest(name, [*allowed, *filters])}")


def metric_of(objective: str) -> str:
    """Return the final metric of an objective: of the best epoch, for those of each epoch."""
    return f"best_{objective}" if objective in EPOCH_OBJECTIVES else objective
