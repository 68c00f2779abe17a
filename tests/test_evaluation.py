"""Numbers, tables and curves of an evaluation, against cases that a person can compute."""

from itertools import pairwise

import numpy as np
import pytest

from mlproject.names import metric_name, metric_names
from mlproject.network.evaluation import (
    CURVE_POINTS,
    MEASURES,
    class_scores,
    curves,
    mean_auroc,
    metrics,
    undefined,
)
from mlproject.system.errors import UserError

LABELS = np.array([[1, 1, 1, 0], [0, 0, 1, 0], [1, 1, 1, 0], [0, 1, 1, 0]], np.uint8)
SCORES = np.array([[0.9] * 4, [0.7] * 4, [0.5] * 4, [0.1] * 4], np.float32)
CLASSES = ("CEBPB", "MAX", "all", "none")


def pairwise_auroc(truth: np.ndarray, score: np.ndarray) -> float:
    """Return the share of (positive, negative) pairs in the right order, ties counting half."""
    difference = score[truth == 1][:, None] - score[truth == 0][None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def slow_curve(truth: np.ndarray, score: np.ndarray) -> list[tuple[float, float]]:
    """Return (recall, precision) for each threshold from high to low, after (0, 1)."""
    points = [(0.0, 1.0)]
    for threshold in sorted(set(score.tolist()), reverse=True):
        called = score >= threshold
        points.append((float(truth[called].sum() / truth.sum()), float(truth[called].mean())))
    return points


def random_case(count: int = 300, columns: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random((count, columns)) < 0.3).astype(np.uint8)
    return labels, np.round(labels * 0.3 + rng.random((count, columns)), 2).astype(np.float32)


def test_areas_of_four_sequences_by_hand() -> None:
    """MAX: 1 0 1 1 by falling score: of 3 pairs one is right; precision 1, 1/2, 2/3, 3/4."""
    row = class_scores(LABELS, SCORES, CLASSES)[1]
    assert (row.name, row.positives, row.negatives) == ("MAX", 3, 1)
    assert row.auroc == pytest.approx(1 / 3)
    assert row.ap == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    trapezoids = [(1 + 1) / 2, (1 / 2 + 2 / 3) / 2, (2 / 3 + 3 / 4) / 2]
    assert row.aupr == pytest.approx(sum(trapezoids) / 3)


def test_areas_equal_slow_ones_with_ties() -> None:
    labels, scores = random_case()
    for row, truth, score in zip(
        class_scores(labels, scores, "abc"), labels.T, scores.T, strict=True
    ):
        steps = [*pairwise(slow_curve(truth, score))]
        assert row.auroc == pytest.approx(pairwise_auroc(truth, score))
        assert row.ap == pytest.approx(sum((r2 - r1) * p2 for (r1, _), (r2, p2) in steps))
        aupr = sum((r2 - r1) * (p1 + p2) / 2 for (r1, p1), (r2, p2) in steps)
        assert row.aupr == pytest.approx(aupr)


def test_names_and_means_leave_out_what_is_not_defined() -> None:
    values = metrics(class_scores(LABELS, SCORES, CLASSES))
    assert set(values) == {f"test_{kind}{of}" for kind in MEASURES for of in ("", "/CEBPB", "/MAX")}
    assert {"auroc", "aupr", "ap"} <= set(MEASURES)
    for kind in MEASURES:
        single = [values[f"test_{kind}/CEBPB"], values[f"test_{kind}/MAX"]]
        assert values[f"test_{kind}"] == pytest.approx(np.mean(single))
    assert values["test_auroc"] == pytest.approx((3 / 4 + 1 / 3) / 2)
    assert undefined(class_scores(LABELS, SCORES, CLASSES)) == ["all", "none"]
    assert set(metrics(class_scores(LABELS, SCORES, CLASSES), "val_")) == {
        name.replace("test_", "val_") for name in values
    }


def test_nothing_is_defined_without_positives_or_negatives() -> None:
    assert metrics(class_scores(LABELS[:, 2:], SCORES[:, 2:], CLASSES[2:])) == {}
    assert mean_auroc(LABELS[:, 2:], SCORES[:, 2:]) is None
    assert curves(LABELS[:, 2:], SCORES[:, 2:], CLASSES[2:]) == []
    row = class_scores(LABELS, SCORES, CLASSES)[3]
    assert row == ("none", 0, 4, *[None] * len(MEASURES))


def test_mean_auroc_equals_that_of_the_evaluation() -> None:
    labels, scores = random_case()
    assert mean_auroc(labels, scores) == metrics(class_scores(labels, scores, "abc"))["test_auroc"]


def test_curves_of_four_sequences_by_hand() -> None:
    first, second = curves(LABELS, SCORES, CLASSES)
    assert (first.name, second.name) == ("CEBPB", "MAX")
    np.testing.assert_allclose(
        first.roc, np.array([[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]])
    )
    wanted = np.array([[1, 3 / 4], [2 / 3, 2 / 3], [1 / 3, 1 / 2], [1 / 3, 1], [0, 1]])
    np.testing.assert_allclose(second.precision_recall, wanted)


def test_thinned_curves_keep_their_ends_and_areas() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random((20_000, 1)) < 0.02).astype(np.uint8)
    scores = labels + rng.normal(size=labels.shape)
    ((_, roc, precision_recall),) = curves(labels, scores, ["rare"])
    row = class_scores(labels, scores, ["rare"])[0]
    assert 100 < len(roc) <= CURVE_POINTS
    assert 100 < len(precision_recall) <= CURVE_POINTS
    assert roc[[0, -1]].tolist() == [[0, 0], [1, 1]]
    assert precision_recall[-1].tolist() == [0, 1]
    assert np.trapezoid(roc[:, 1], roc[:, 0]) == pytest.approx(row.auroc, abs=0.003)
    area = -np.trapezoid(precision_recall[:, 1], precision_recall[:, 0])
    assert area == pytest.approx(row.aupr, abs=0.01)


@pytest.mark.parametrize(
    ("name", "reduced"),
    [
        ("CEBPB", "CEBPB"),
        ("H1-hESC|JunD (v2)", "H1-hESC_JunD__v2_"),
        ("a/b c:d", "a_b_c_d"),
        ("NF-κB", "NF-_B"),
        ("..", "__"),
        ("", "_"),
        ("v1.0", "v1.0"),
    ],
)
def test_class_names_are_reduced_to_safe_letters(name: str, reduced: str) -> None:
    assert metric_name(name) == reduced


def test_class_names_that_collide_are_refused() -> None:
    assert metric_names(["a b", "a-b"]) == ["a_b", "a-b"]
    with pytest.raises(UserError, match="got 'a b' and 'a/b', both a_b; rename one"):
        metric_names(["x", "a b", "a/b"])
    with pytest.raises(UserError, match="rename one"):
        metrics(class_scores(LABELS[:, :2], SCORES[:, :2], ["a b", "a/b"]))


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        (LABELS, SCORES[:3], r"got \(4, 4\) and \(3, 4\)"),
        (LABELS[:, :3], SCORES[:, :3], r"4 classes\): got \(4, 3\)"),
        (LABELS, np.where(SCORES > 0.8, np.nan, SCORES), "scores must be finite: got nan"),
        (LABELS[:0], SCORES[:0], "got none"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    labels: np.ndarray, scores: np.ndarray, message: str
) -> None:
    for function in (curves, class_scores):
        with pytest.raises(UserError, match=message):
            function(labels, scores, CLASSES)
