"""Plots of a run: training history, ROC and precision-recall curves."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mlproject.draw.style import GREY, GRID, INK, TRAIN, VALID, class_styles, style_axes
from mlproject.network.evaluation import ClassScore, Curves

MEASURES = {"auroc": "AUROC", "pearson": "Pearson correlation"}
GRID_POINTS = np.linspace(0.0, 1.0, 201)


def mean_roc(curves: Sequence[Curves]) -> np.ndarray:
    """Return the mean true positive rate at each false positive rate, (202, 2), from (0, 0)."""
    rates = [np.interp(GRID_POINTS, curve.roc[:, 0], curve.roc[:, 1]) for curve in curves]
    return np.concatenate([[[0.0, 0.0]], np.stack([GRID_POINTS, np.mean(rates, axis=0)], axis=1)])


def mean_precision_recall(curves: Sequence[Curves]) -> np.ndarray:
    """Return the mean precision at each recall, (201, 2)."""
    rising = [curve.precision_recall[::-1] for curve in curves]
    rates = [np.interp(GRID_POINTS, points[:, 0], points[:, 1]) for points in rising]
    return np.stack([GRID_POINTS, np.mean(rates, axis=0)], axis=1)


def history_figure(
    history: Sequence[Mapping[str, float]],
    best_epoch: int | None = None,
    measure: str = "auroc",
) -> Figure:
    """Draw the losses and the validation score of each epoch, and mark the best epoch.

    Args:
        history: for each epoch ``epoch`` and the measured values: ``train_loss``, ``val_loss``,
            ``val_auroc``; missing values are not drawn.
        best_epoch: the epoch whose weights were kept, counted from 1.
        measure: the score, one of `MEASURES`.
    """
    figure = Figure(figsize=(7.5, 3.0), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    lines = (("train_loss", "training", TRAIN), ("val_loss", "validation", VALID))
    for key, label, color in lines:
        _line(left, history, key, label, color)
    _line(right, history, f"val_{measure}", "validation", VALID)
    for axes, name in ((left, "Loss"), (right, MEASURES[measure])):
        style_axes(axes, "Epoch", name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(0, max([row["epoch"] for row in history], default=1) + 1)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=GREY, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
            axes.annotate(
                f"best {best_epoch}", (best_epoch, 1), xycoords=axes.get_xaxis_transform(),
                xytext=(0, 2), textcoords="offset points", ha="center", size=7, color=GREY,
            )  # fmt: skip
    if left.lines:
        left.legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def roc_figure(rows: Sequence[ClassScore], curves: Sequence[Curves]) -> Figure:
    """Draw the ROC curve of each class and their mean.

    Args:
        rows: scores of all classes.
        curves: of the classes that have both labels.
    """
    scores = {row.name: row.auroc for row in rows}
    lines = [(curve.name, curve.roc) for curve in curves]
    mean = mean_roc(curves) if curves else None
    figure, axes = _curve_figure(lines, mean, scores)
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=0.8, zorder=0)
    style_axes(axes, "False positive rate", "True positive rate")
    return figure


def pr_figure(rows: Sequence[ClassScore], curves: Sequence[Curves]) -> Figure:
    """Draw the precision-recall curve of each class and their mean; arguments as `roc_figure`."""
    scores = {row.name: row.aupr for row in rows}
    lines = [(curve.name, curve.precision_recall) for curve in curves]
    mean = mean_precision_recall(curves) if curves else None
    figure, axes = _curve_figure(lines, mean, scores)
    style_axes(axes, "Recall", "Precision")
    return figure


def _curve_figure(
    lines: Sequence[tuple[str, np.ndarray]],
    mean: np.ndarray | None,
    scores: Mapping[str, float | None],
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.9, 4.3), layout="compressed", facecolor="white")
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    styles = dict(zip(scores, class_styles(len(scores)), strict=True))
    handles = []
    for name, points in lines:
        color, pattern = styles[name].color, styles[name].pattern
        handles += axes.plot(*points.T, color=color, linestyle=pattern, linewidth=1.1, zorder=2)
        handles[-1].set_label(f"{name}  {scores[name]:.3f}")
    handles.sort(key=lambda handle: -float(str(handle.get_label()).split()[-1]))
    if mean is not None:
        average = np.mean([value for value in scores.values() if value is not None])
        (line,) = axes.plot(*mean.T, color=INK, linewidth=2.2, zorder=3)
        line.set_label(f"mean of {len(lines)}  {average:.3f}")
        shown = handles if len(set(styles.values())) == len(styles) else []
        figure.legend(handles=[line, *shown], loc="outside right center", frameon=False, fontsize=8)
    else:
        axes.text(0.5, 0.5, "no class has both labels", ha="center", color=GREY, size=9)
    return figure, axes


def _line(
    axes: Axes, history: Sequence[Mapping[str, float]], key: str, label: str, color: str
) -> None:
    points = [(row["epoch"], row[key]) for row in history if key in row]
    if points:
        marker = "o" if len(points) == 1 else ""
        axes.plot(*zip(*points, strict=True), color=color, label=label, marker=marker, zorder=2)
