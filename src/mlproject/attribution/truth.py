"""Truth: attributions against the planted motifs.

A row is a sequence with one of its classes. Its positions are ranked by importance. Positions
covered by a planted motif of the class are positives. Motifs of other classes in the same sequence
are negatives, since they carry no information about this class. Every column of a motif counts as
planted, uninformative columns too, so no attribution can reach an AUROC of 1.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlproject.data import Dataset, Split
from mlproject.fields import VALUES
from mlproject.filters.reading import classes_of
from mlproject.names import metric_names

KINDS = ("auroc", "aupr", "snr")


class PlantedScores(NamedTuple):
    """How well importance marks the planted positions of each row; NaN for a row without any.

    Attributes:
        auroc: (rows,) probability that a planted position is more important than another position;
            0.5 for random importance.
        aupr: (rows,) area under the precision-recall curve, by trapezoids; the share of planted
            positions for random importance, about 0.07 for one motif of 14 in 200 nt.
        snr: (rows,) mean importance of planted positions less the mean of the others, in standard
            deviations of the others.
    """

    auroc: np.ndarray
    aupr: np.ndarray
    snr: np.ndarray


def planted(
    split: Split,
    sequences: np.ndarray,
    targets: np.ndarray,
    owners: Sequence[Sequence[int]],
) -> np.ndarray:
    """Return the positions covered by planted motifs of each row's class, bool (rows, L).

    Args:
        split: the split, with sites.
        sequences: (rows,) rows of the split.
        targets: (rows,) class numbers.
        owners: the classes of each planted motif, see `owners`.
    """
    covered = np.zeros((len(sequences), split.codes.shape[1]), bool)
    if split.sites is None:
        return covered
    by_sequence = sites_of(split, sequences)
    for row, (sites, target) in enumerate(zip(by_sequence, targets, strict=True)):
        for site in sites:
            if target in owners[site["motif"]]:
                covered[row, site["start"] : site["start"] + site["width"]] = True
    return covered


def sites_of(split: Split, sequences: np.ndarray) -> list[np.ndarray]:
    """Return the planted sites of each of some sequences, `SITE` records, by start."""
    if split.sites is None:
        return [np.zeros(0) for _ in sequences]
    order = np.lexsort([split.sites["start"], split.sites["sequence"]])
    sites = split.sites[order]
    first = np.searchsorted(sites["sequence"], sequences, "left")
    last = np.searchsorted(sites["sequence"], sequences, "right")
    return [sites[start:stop] for start, stop in zip(first, last, strict=True)]


def owners(data: Dataset) -> list[tuple[int, ...]]:
    """Return the numbers of the classes for which each planted motif is relevant."""
    return [
        tuple(data.classes.index(name) for name in classes_of(motif.id, data.relevant))
        for motif in data.motifs
    ]


def ranked(importance: np.ndarray, task: str) -> np.ndarray:
    """Return the values by which the positions of rows are ranked against the planted ones.

    A class is called by motifs that raise its logit: the importance. A number is raised by some
    motifs and lowered by others: the absolute importance.
    """
    return np.abs(importance) if task in VALUES else importance


def score(importance: np.ndarray, covered: np.ndarray) -> PlantedScores:
    """Score the importance of positions (rows, L) against planted positions, bool (rows, L)."""
    from sklearn.metrics import auc, precision_recall_curve, roc_auc_score

    found = np.full((3, len(importance)), np.nan)
    for row, (values, truth) in enumerate(zip(importance, covered, strict=True)):
        if not truth.any() or truth.all():
            continue
        precision, recall, _ = precision_recall_curve(truth, values)
        others = values[~truth]
        spread = others.std()
        found[:, row] = (
            roc_auc_score(truth, values),
            auc(recall, precision),
            (values[truth].mean() - others.mean()) / spread if spread > 0 else np.nan,
        )
    return PlantedScores(*found)


def summarise(
    truth: PlantedScores, targets: np.ndarray, classes: Sequence[str]
) -> Mapping[str, float]:
    """Return mean scores by class and over the classes: ``auroc``, ``auroc/CEBPB``, ...

    Args:
        truth: scores of each row.
        targets: (rows,) class numbers.
        classes: their names.

    Returns:
        Metrics. A class is left out, also of the means, if none of its rows has planted positions.
    """
    values: dict[str, float] = {}
    for kind in KINDS:
        rows = getattr(truth, kind)
        single = {}
        for number, name in enumerate(metric_names(classes)):
            own = rows[(targets == number) & np.isfinite(rows)]
            if len(own):
                single[f"{kind}/{name}"] = float(own.mean())
        if single:
            values |= {kind: float(np.mean([*single.values()])), **single}
    return values
