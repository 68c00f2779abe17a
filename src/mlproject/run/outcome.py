"""What a run says at its end: the lines of its description, and warnings about its training."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlproject.filters.reading import LayerReading, filters_by_class
from mlproject.names import Metric, metric_name
from mlproject.network.evaluation import ClassScore
from mlproject.network.training import Fit

RISE = 0.02
BEHIND = 0.02
CHANCE = {"test_auroc": (0.55, "AUROC", "0.5"), "test_pearson": (0.1, "Pearson", "0")}
"""Score -> below which a network has learned next to nothing, its name, its value by chance."""


class Motifs(NamedTuple):
    """The classes whose motif some filter of the first layer read matches, and the others."""

    found: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


def motifs_found(readings: Sequence[LayerReading], relevant: Mapping[str, Sequence[str]]) -> Motifs:
    """Return the classes with known motifs that the first layer's filters match, and the rest."""
    if not readings:
        return Motifs()
    by_class = filters_by_class(readings[0], relevant)
    return Motifs(
        tuple(name for name, filters in by_class.items() if filters),
        tuple(name for name, filters in by_class.items() if not filters),
    )


def learned_nothing(metrics: Mapping[str, float]) -> str:
    """Return the test score of a network that is hardly above chance, else an empty text.

    Such a network's filters, ablation and attributions come from its random initial weights.
    """
    for name, (least, label, chance) in CHANCE.items():
        if name in metrics:
            own = metrics[name]
            return f"test {label} {own:.3f}, by chance {chance}" if own < least else ""
    return ""


def training_warnings(
    fitted: Fit,
    monitor: str,
    averages: str,
    rows: Sequence[ClassScore],
    metrics: Mapping[str, float],
) -> list[str]:
    """Return sentences about a training that has probably gone wrong.

    Args:
        fitted: the training.
        monitor: the value that chose the best epoch.
        averages: the spec's `bn_averages`.
        rows: the network's scores of each class on the test split.
        metrics: the run's final metrics, with those of the baseline (``baseline/...``).
    """
    found = []
    areas = [one.values["val_auroc"] for one in fitted.history if "val_auroc" in one.values]
    if fitted.best_epoch == 1 and len(areas) > 1 and max(areas) - areas[0] > RISE:
        advice = "give `--monitor val_auroc`"
        if averages == "moving":
            advice += ", or `--bn_averages measured` for small data"
        found.append(
            f"the best epoch by {monitor} is the first, although the validation AUROC rises from "
            f"{areas[0]:.3f} to {max(areas):.3f}: {advice}"
        )
    if score := learned_nothing(metrics):
        found.append(
            f"the network has learned next to nothing ({score}), and its filters and attributions "
            "say nothing about the data: train longer, on more data, or with other parameters"
        )
        return found
    alone = metrics.get("baseline/test_r2")
    if alone is not None and (own := metrics.get("test_r2", alone)) < alone - BEHIND:
        found.append(
            f"the network (R² {own:.3f}) is worse than a linear model of words ({alone:.3f}): "
            "train longer, on more data, or with other parameters"
        )
    pairs = [
        (row.auroc, metrics[name])
        for row in rows
        if (name := f"baseline/test_auroc/{metric_name(row.name)}") in metrics
        and row.auroc is not None
    ]
    if pairs:
        own, alone = (sum(pair[place] for pair in pairs) / len(pairs) for place in (0, 1))
        if own < alone - BEHIND:
            found.append(
                f"the network (AUROC {own:.3f}) is worse than the known motifs alone ({alone:.3f}) "
                "on the classes that have one: train longer, on more data, or with other parameters"
            )
    return found


def headline(metrics: Mapping[str, float]) -> str:
    """Return the test scores, and those of the motifs alone, in a few words."""
    names = {"AUROC": Metric.TEST_AUROC, "AUPR": Metric.TEST_AUPR, "AP": Metric.TEST_AP}
    names |= {"accuracy": "test_accuracy", "Pearson": "test_pearson", "Spearman": "test_spearman"}
    names |= {"R²": "test_r2", "deviance": "test_deviance"}
    scores = [f"{label} {metrics[name]:.4f}" for label, name in names.items() if name in metrics]
    text = f"test {', '.join(scores) or 'areas are not defined'}"
    for what, label in (("motifs", "AUROC"), ("word counts", "R²")):
        if (alone := metrics.get(f"baseline/{names[label]}")) is not None:
            return f"{text} ({what} alone: {label} {alone:.4f})"
    return text
