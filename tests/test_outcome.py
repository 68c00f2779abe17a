"""Warnings of a training that has probably gone wrong."""

import pytest

from mlproject.network.evaluation import ClassScore
from mlproject.network.protocol import Epoch
from mlproject.network.training import Fit
from mlproject.run.outcome import headline, learned_nothing, training_warnings


def fitted(areas: list[float], best: int) -> Fit:
    history = [
        Epoch(number, {"val_loss": 0.5, "val_auroc": area}, 1.0, False)
        for number, area in enumerate(areas, 1)
    ]
    return Fit(history, best, 0.5, "patience")


def score(name: str, auroc: float | None) -> ClassScore:
    fields = dict.fromkeys(ClassScore._fields) | {"name": name, "auroc": auroc}
    return ClassScore(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("areas", "best", "averages", "part"),
    [
        (
            [0.63, 0.7, 0.8],
            1,
            "moving",
            "rises from 0.630 to 0.800: give `--monitor val_auroc`, or",
        ),
        ([0.63, 0.7, 0.8], 1, "measured", "rises from 0.630 to 0.800: give `--monitor val_auroc`"),
        ([0.63, 0.7, 0.8], 2, "moving", ""),
        ([0.8, 0.79, 0.81], 1, "moving", ""),
        ([0.8], 1, "moving", ""),
    ],
)
def test_a_first_best_epoch_while_auroc_rises_is_noticed(
    areas: list[float], best: int, averages: str, part: str
) -> None:
    found = training_warnings(fitted(areas, best), "val_loss", averages, [], {})
    assert bool(found) == bool(part)
    if part:
        assert part in found[0]
        assert ("--bn_averages measured" in found[0]) == (averages == "moving")


def test_a_network_worse_than_the_motifs_is_noticed_on_the_classes_that_have_one() -> None:
    rows = [score("SRF", 0.7), score("YY1", 0.9), score("other", 0.2), score("none", None)]
    alone = {"baseline/test_auroc/SRF": 0.9, "baseline/test_auroc/YY1": 0.9}
    (text,) = training_warnings(fitted([0.8, 0.9], 2), "val_loss", "moving", rows, alone)
    assert "(AUROC 0.800) is worse than the known motifs alone (0.900)" in text
    alone = dict.fromkeys(alone, 0.81)
    assert not training_warnings(fitted([0.8, 0.9], 2), "val_loss", "moving", rows, alone)


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"test_auroc": 0.504, "baseline/test_auroc/SRF": 0.9}, "test AUROC 0.504, by chance 0.5"),
        ({"test_pearson": 0.003, "test_r2": -0.4, "baseline/test_r2": 0.5}, "test Pearson 0.003"),
    ],
)
def test_a_network_at_chance_gets_one_warning_about_filters_and_attributions(
    metrics: dict[str, float], said: str
) -> None:
    rows = [score("SRF", 0.504)]
    (text,) = training_warnings(fitted([0.5, 0.51], 2), "val_loss", "moving", rows, metrics)
    assert f"has learned next to nothing ({said}" in text
    assert "its filters and attributions say nothing about the data: train longer" in text
    assert not learned_nothing({"test_auroc": 0.8})
    assert not learned_nothing({"test_pearson": 0.4, "test_r2": -0.4})


def test_the_headline_has_the_scores_and_the_motifs() -> None:
    values = {"test_auroc": 0.91234, "test_aupr": 0.5, "baseline/test_auroc": 0.98}
    assert headline(values) == "test AUROC 0.9123, AUPR 0.5000 (motifs alone: AUROC 0.9800)"
    assert headline({}) == "test areas are not defined"
