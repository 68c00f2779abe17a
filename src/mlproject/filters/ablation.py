"""Ablation: how much the network needs each filter, by class.

A filter's activation is replaced by its mean over all positions and sequences, which takes what it
says about the sequence and leaves the scale that later layers expect. The loss of AUROC on the test
split is the filter's importance for a class. All layers up to the filter run once; only what comes
behind them runs again for each filter.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from scipy.stats import rankdata

from mlproject.data.rows import Rows
from mlproject.names import metric_names
from mlproject.network.backend import forward
from mlproject.network.build import activation_layer, activations
from mlproject.system.interrupts import check_interrupts

BUDGET = 6.5e11
FEWEST = 500
BATCH = 500
DRIVES = 0.01


class Ablation(NamedTuple):
    """What the network loses without each filter of a layer.

    Attributes:
        layer: ``conv1``.
        classes: names.
        sequences: number of test sequences used: all, or evenly spaced ones.
        auroc: (classes,) float64, of the whole network on these; not a number for a class without
            positives or negatives.
        loss: (filters, classes) float64, that less the AUROC without the filter.
    """

    layer: str
    classes: tuple[str, ...]
    sequences: int
    auroc: np.ndarray
    loss: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The loss averaged over the classes, (filters,)."""
        return np.nanmean(self.loss, axis=1)

    def drives(self, number: int) -> list[str]:
        """Return the classes that lose at least `DRIVES` without a filter, most first."""
        own = self.loss[number]
        return [self.classes[one] for one in np.argsort(-own, kind="stable") if own[one] >= DRIVES]


def ablate(
    model: keras.Model,
    layer: str,
    codes: Rows,
    labels: np.ndarray,
    classes: Sequence[str],
    budget: float = BUDGET,
) -> Ablation:
    """Return how much AUROC each class loses without each filter of a layer.

    Args:
        model: as `mlproject.network.build.build` returns it.
        layer: a convolution, for example ``conv1``.
        codes: uint8 (sequences, length), of the test split.
        labels: (sequences, classes), 0 or 1.
        classes: names.
        budget: most floating-point operations behind the layer, for all filters together; where
            all sequences take more, fewer are used, but not fewer than `FEWEST`.

    Raises:
        UserError: the model has no such convolution.
    """
    output = activation_layer(model, layer).output
    rest = model.get_layer(f"{layer}_dropout").output
    pool, tail = forward(keras.Model(output, rest)), forward(keras.Model(rest, model.output))
    filters = output.shape[-1]
    count = _affordable(model, rest, budget / filters, len(codes))
    rows = np.linspace(0, len(codes) - 1, count).round().astype(np.int64)
    chosen, truth = codes[rows], np.asarray(labels)[rows]
    maps, total = [], np.zeros(filters)
    for batch in activations(model, layer, chosen, BATCH):
        total += batch.mean(axis=1, dtype=np.float64).sum(axis=0)
        maps.append(np.array(pool(batch)))
    mean = (total / count).astype(np.float32)
    whole = auroc(truth, np.concatenate([tail(one) for one in maps]))
    loss = np.empty((filters, len(classes)))
    for number in range(filters):
        parts = []
        for one in maps:
            check_interrupts()
            kept = one[..., number].copy()
            one[..., number] = mean[number]
            parts.append(tail(one))
            one[..., number] = kept
        loss[number] = whole - auroc(truth, np.concatenate(parts))
    return Ablation(layer, tuple(classes), count, whole, loss)


def auroc(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the AUROC of each class, (classes,), not a number where a class has one label only."""
    ranks = rankdata(scores, axis=0)
    positives = labels.sum(axis=0, dtype=np.int64)
    negatives = len(labels) - positives
    above = (ranks * labels).sum(axis=0) - positives * (positives + 1) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        return above / (positives * negatives)


def ablation_rows(found: Ablation) -> list[dict[str, Any]]:
    """Return a row for each filter: mean loss of AUROC, the classes it drives, each class's loss.

    A driven class loses at least `DRIVES` without the filter.
    """
    return [
        {
            "filter": number,
            "auroc_loss": round(float(found.mean[number]), 6),
            "drives": " ".join(found.drives(number)),
            **{
                f"auroc_loss/{name}": "" if np.isnan(loss) else round(float(loss), 6)
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
        ``ablation_mean`` and ``ablation_max``: the filters' mean loss of AUROC, mean and largest;
        ``ablation_driven``: mean number of classes that a filter drives; ``ablation_relevant``:
        share of all positive mean losses that falls to filters that match a relevant motif, left
        out if no class has one, or nothing is lost.
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


def _affordable(model: keras.Model, rest: Any, budget: float, sequences: int) -> int:
    """Return how many sequences may pass through the layers behind `rest` for `budget`."""
    operations = 0.0
    for layer in keras.Model(rest, model.output).layers:
        if isinstance(layer, keras.layers.Conv1D | keras.layers.Dense):
            places = layer.output.shape[1] if isinstance(layer, keras.layers.Conv1D) else 1
            operations += 2.0 * places * float(np.prod(layer.kernel.shape))
    count = int(budget / max(operations, 1.0))
    return sequences if count >= sequences else min(max(count // BATCH * BATCH, FEWEST), sequences)
