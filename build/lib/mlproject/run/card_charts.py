"""The charts of a card: training and test performance, as inline SVG."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from mlproject.draw.curves import MEASURES, mean_precision_recall, mean_roc
from mlproject.draw.style import INK, TRAIN, VALID, class_styles
from mlproject.draw.svg import Line, Scale, chart, nice_ticks
from mlproject.network.evaluation import ClassScore, Curves

CURVE_POINTS = 20_000


def history_charts(
    history: Sequence[Mapping[str, float]], best_epoch: float | None, measure: str = "auroc"
) -> list[Markup]:
    """Return charts of the losses and of the validation score, with the best epoch marked."""
    epochs = [row["epoch"] for row in history]
    if not epochs:
        return []
    x = Scale("Epoch", 0, max(epochs), nice_ticks(0, max(epochs), 6, integer=True))
    mark = None if best_epoch is None else (best_epoch, f"best {best_epoch:g}")
    charts = []
    panels: dict[str, tuple[tuple[str, str, str], ...]] = {
        "Loss": (("train_loss", "training", TRAIN), ("val_loss", "validation", VALID)),
        f"Validation {MEASURES[measure]}": ((f"val_{measure}", "validation", VALID),),
    }
    for name, keys in panels.items():
        lines = []
        for key, label, color in keys:
            rows = [
                (row["epoch"], row[key]) for row in history if np.isfinite(row.get(key, np.nan))
            ]
            if rows:
                lines.append(Line(np.array(rows, float), color, label, width=2.0))
        if lines:
            values = np.concatenate([line.points[:, 1] for line in lines])
            low, high = values.min(), values.max()
            if high - low < 1e-6:
                low, high = low - 0.05, high + 0.05
            y = Scale(name, low, high, nice_ticks(low, high, 5))
            charts.append(chart(lines, x, y, f"{name} by epoch", mark))
    return charts


def performance_charts(rows: Sequence[ClassScore], curves: Sequence[Curves]) -> list[Markup]:
    """Return the ROC and the precision-recall chart; the key of each line is its class."""
    if not curves:
        return []
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    styles = dict(zip((row.name for row in rows), class_styles(len(rows)), strict=True))
    by_name = {row.name: row for row in rows}
    panels = (
        ("ROC", "roc", "False positive rate", "True positive rate", mean_roc, "auroc"),
        (
            "Precision-recall",
            "precision_recall",
            "Recall",
            "Precision",
            mean_precision_recall,
            "aupr",
        ),
    )
    charts = []
    for title, field, x, y, mean, kind in panels:
        lines = []
        for curve in curves:
            color, dash = styles[curve.name]
            label = f"{curve.name}: {getattr(by_name[curve.name], kind):.3f}"
            points = _thin(getattr(curve, field), CURVE_POINTS // len(curves))
            lines.append(Line(points, color, label, dash, 1.4, curve.name))
        lines.append(Line(mean(curves), INK, "mean", "", 2.6))
        scales = Scale(x, 0, 1, ticks), Scale(y, 0, 1, ticks)
        charts.append(
            chart(lines, *scales, f"{title} of each class and their mean", size=(440, 400))
        )
    return charts


def _thin(points: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` (limited to 20 to 200) points of a curve, including both ends."""
    kept = np.linspace(0, len(points) - 1, min(max(count, 20), 200, len(points)))
    return points[kept.astype(int)]
