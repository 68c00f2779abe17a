"""The plots of a run: what is drawn are the numbers given."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from mlproject.draw.curves import (
    history_figure,
    mean_precision_recall,
    mean_roc,
    pr_figure,
    roc_figure,
)
from mlproject.draw.style import class_styles
from mlproject.network.evaluation import ClassScore, Curves, class_scores, curves

HISTORY = [
    {"epoch": 1, "train_loss": 0.5, "val_loss": 0.4, "val_auroc": 0.8},
    {"epoch": 2, "train_loss": 0.3, "val_loss": 0.35, "val_auroc": 0.9},
    {"epoch": 3, "train_loss": 0.2, "val_loss": 0.38, "val_auroc": 0.88},
]


def scored(classes: int = 3, undefined: bool = False) -> tuple[list[ClassScore], list[Curves]]:
    rng = np.random.default_rng(classes)
    labels = (rng.random((300, classes)) < 0.3).astype(np.uint8)
    if undefined:
        labels[:, 0] = 0
    scores = labels * rng.uniform(1, 3, classes) + rng.normal(size=labels.shape)
    names = [f"class {number}" for number in range(classes)]
    return class_scores(labels, scores, names), curves(labels, scores, names)


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


def drawn(figure: Figure) -> Figure:
    figure.savefig(io.BytesIO(), format="png")
    return figure


def test_history_shows_the_losses_the_auroc_and_the_best_epoch() -> None:
    figure = drawn(history_figure(HISTORY, 2))
    left, right = figure.axes
    lines = {str(line.get_label()): line for line in left.lines}
    np.testing.assert_array_equal(lines["training"].get_ydata(), [0.5, 0.3, 0.2])
    np.testing.assert_array_equal(lines["validation"].get_ydata(), [0.4, 0.35, 0.38])
    np.testing.assert_array_equal(right.lines[0].get_ydata(), [0.8, 0.9, 0.88])
    for axes in (left, right):
        np.testing.assert_array_equal(axes.lines[-1].get_xdata(), [2, 2])
        assert [text.get_text() for text in axes.texts] == ["best 2"]


@pytest.mark.parametrize("history", [[], HISTORY[:1], [{"epoch": 1, "train_loss": 0.5}]])
def test_short_histories_are_drawn(history: list[dict[str, float]]) -> None:
    assert len(drawn(history_figure(history)).axes) == 2


def test_curves_are_drawn_by_class_and_named_best_first() -> None:
    rows, found = scored()
    figure = drawn(roc_figure(rows, found))
    for curve, line in zip(found, figure.axes[0].lines, strict=False):
        np.testing.assert_array_equal(line.get_xydata(), curve.roc)
    names = legend(figure)
    assert names[0].startswith("mean of 3")
    assert names[1:] == [
        f"{row.name}  {row.auroc:.3f}" for row in sorted(rows, key=lambda row: -(row.auroc or 0))
    ]
    lines = drawn(pr_figure(rows, found)).axes[0].lines
    np.testing.assert_array_equal(lines[0].get_xydata(), found[0].precision_recall)


def test_the_mean_curves_have_the_mean_areas() -> None:
    rows, found = scored(6)
    for mean, kind in ((mean_roc(found), "auroc"), (mean_precision_recall(found), "aupr")):
        area = np.trapezoid(mean[:, 1], mean[:, 0])
        assert area == pytest.approx(np.mean([getattr(row, kind) for row in rows]), abs=0.005)
        assert (np.diff(mean[:, 0]) >= 0).all()


def test_classes_without_a_curve_are_left_out() -> None:
    rows, found = scored(3, undefined=True)
    figure = drawn(roc_figure(rows, found))
    assert len(legend(figure)) == 3
    assert not any("class 0" in name for name in legend(figure))
    rows, found = scored(1, undefined=True)
    for draw in (roc_figure, pr_figure):
        texts = [text.get_text() for text in drawn(draw(rows, found)).axes[0].texts]
        assert texts == ["no class has both labels"]


@pytest.mark.parametrize("count", [1, 6, 12, 18])
def test_each_class_has_a_style_of_its_own(count: int) -> None:
    assert len(set(class_styles(count))) == count


def test_many_classes_are_grey_around_their_mean() -> None:
    assert len(set(class_styles(19))) == 1
    rows, found = scored(19)
    assert legend(drawn(roc_figure(rows, found)))[0].startswith("mean of 19")
    assert len(legend(roc_figure(rows, found))) == 1
