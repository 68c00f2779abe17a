"""Ablation: how much the network needs each filter, by class.

A filter's activation is replaced by its mean over all positions and sequences. This removes the
filter's information about the sequence and keeps the scale that later layers expect. The loss of
AUROC on the test split is the filter's importance for a class. All layers up to the filter run
once; only the layers behind it run again for each filter. For outputs that are numbers, Pearson's
correlation takes the place of AUROC.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata

from mlproject.data.rows import Rows
from mlproject.names import metric_names
from mlproject.network.value_scores import pearson
from mlproject.system.interrupts import check_interrupts

BUDGET = 6.5e11
FEWEST = 500
BATCH = 500
DRIVES = 0.01


class NetworkParts(NamedTuple):
    """A network that is cut behind the activation of a layer and behind that layer's block.

    Attributes:
        filters: number of filters of the layer.
        head: from codes (sequences, length) to batches of lists of arrays: the activations
            (`BATCH`, ..., positions, filters), then the inputs of `tail`. The first input of `tail`
            has the same filters, pooled perhaps.
        tail: from its inputs to scores (sequences, classes).
        tail_multiply_adds: multiplications of `tail` for one sequence.
    """

    filters: int
    head: Callable[[Rows], Iterable[list[np.ndarray]]]
    tail: Callable[[list[np.ndarray]], np.ndarray]
    tail_multiply_adds: int


class Ablation(NamedTuple):
    """The loss of the network without each filter of a layer.

    Attributes:
        layer: ``conv1``.
        classes: names.
        sequences: number of test sequences used: all, or evenly spaced ones.
        intact: (classes,) float64, the score of the intact network on these sequences; not a number
            for a class without positives or negatives.
        loss: (filters, classes) float64, `intact` less the score without the filter.
        measure: the score, ``auroc`` or ``pearson``.
    """

    layer: str
    classes: tuple[str, ...]
    sequences: int
    intact: np.ndarray
    loss: np.ndarray
    measure: str = "auroc"

    @property
    def mean(self) -> np.ndarray:
        """The loss averaged over the classes, (filters,)."""
        return np.nanmean(self.loss, axis=1)

    def drives(self, number: int) -> list[str]:
        """Return the classes that lose at least `DRIVES` without a filter, most first."""
        own = self.loss[number]
        return [self.classes[one] for one in np.argsort(-own, kind="stable") if own[one] >= DRIVES]


def ablate(
    parts: NetworkParts,
    layer: str,
    codes: Rows,
    labels: np.ndarray,
    classes: Sequence[str],
    budget: float = BUDGET,
    measure: str = "auroc",
) -> Ablation:
    """Return how much each class's score falls without each filter of a layer.

    Args:
        parts: the network.
        layer: name of the layer, for example ``conv1``.
        codes: uint8 (sequences, length), of the test split.
        labels: (sequences, classes), 0 or 1; or numbers.
        classes: names.
        budget: most floating-point operations behind the layer, for all filters together. Where all
            sequences take more, fewer are used, but not fewer than `FEWEST`.
        measure: one of `MEASURES`.
    """
    score = MEASURES[measure]
    count = _affordable(parts, budget / parts.filters, len(codes))
    rows = np.linspace(0, len(codes) - 1, count).round().astype(np.int64)
    chosen, truth = codes[rows], np.asarray(labels)[rows]
    maps, total = [], np.zeros(parts.filters)
    for activations, *inputs in parts.head(chosen):
        places = tuple(range(1, activations.ndim - 1))
        total += activations.mean(axis=places, dtype=np.float64).sum(axis=0)
        maps.append([np.array(inputs[0]), *inputs[1:]])
    mean = (total / count).astype(np.float32)
    intact = score(truth, np.concatenate([parts.tail(one) for one in maps]))
    loss = np.empty((parts.filters, len(classes)))
    for number in range(parts.filters):
        scores = []
        for one in maps:
            check_interrupts()
            kept = one[0][..., number].copy()
            one[0][..., number] = mean[number]
            scores.append(parts.tail(one))
            one[0][..., number] = kept
        loss[number] = intact - score(truth, np.concatenate(scores))
    return Ablation(layer, tuple(classes), count, intact, loss, measure)


def auroc(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the AUROC of each class, (classes,), not a number where a class has one label only."""
    ranks = rankdata(scores, axis=0)
    positives = labels.sum(axis=0, dtype=np.int64)
    negatives = len(labels) - positives
    above = (ranks * labels).sum(axis=0) - positives * (positives + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / (positives * negatives)


def correlations(values: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each output, (outputs,); not a number for a constant one."""
    pairs = zip(values.T.astype(np.float64), predicted.T.astype(np.float64), strict=True)
    found = [pearson(*pair) for pair in pairs]
    return np.array([np.nan if one is None else one for one in found])


MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "auroc": auroc,
    "pearson": correlations,
}
"""From labels and scores (sequences, classes) to the score of each class."""


def ablation_rows(found: Ablation) -> list[dict[str, Any]]:
    """Return a row for each filter: mean loss of AUROC, the classes it drives, each class's loss.

    A driven class loses at least `DRIVES` without the filter.
    """
    return [
        {
            "filter": number,
            f"{found.measure}_loss": round(float(found.mean[number]), 6),
            "drives": " ".join(found.drives(number)),
            **{
                f"{found.measure}_loss/{name}": "" if np.isnan(loss) else round(float(loss), 6)
                for name, loss in zip(metric_names(found.classes), own, strict=True)
            },
        }
        for number, own in enumerate(found.loss)
    ]


def ablation_scores(found: Ablation, relevant: Sequence[int] | None) -> dict[str, float]:
    """Return how much the network needs the filters of a layer.

    Args:
        found: their ablation.
        relevant: the filters that match a relevant motif, None if no class has one.

    Returns:
        ``ablation_mean`` and ``ablation_max``: mean and maximum of the filters' mean losses;
        ``ablation_driven``: mean number of classes that a filter drives; ``ablation_relevant``:
        share of all positive mean losses that belongs to filters with a relevant match. The last is
        left out if no class has a relevant motif, or nothing is lost.
    """
    needed = np.maximum(found.mean, 0.0)
    values = {
        "ablation_mean": float(found.mean.mean()),
        "ablation_max": float(found.mean.max()),
        "ablation_driven": float(np.mean([len(found.drives(n)) for n in range(len(needed))])),
    }
    if relevant is not None and needed.sum():
        values["ablation_relevant"] = float(needed[list(relevant)].sum() / needed.sum())
    return values


def _affordable(parts: NetworkParts, budget: float, sequences: int) -> int:
    """Return how many sequences may pass through the tail for `budget` operations."""
    count = int(budget / max(2.0 * parts.tail_multiply_adds, 1.0))
    return sequences if count >= sequences else min(max(count // BATCH * BATCH, FEWEST), sequences)
