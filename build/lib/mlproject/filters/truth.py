"""Truth: which planted motif each filter detects, and how well, where the planted sites are known.

Tomtom answers "has this filter learned the motif?" from its position weight matrix; this module
answers it from activations alone. A filter reads one strand, so each planted motif counts twice, as
planted and as its reverse complement, like in the paper's 24 matrices. Each filter is *assigned* to
the motif and strand with its highest average precision.

The windows are those of `mlproject.filters.site_windows`.

- ``average_precision``, ``auroc``: need no threshold. The score of a window is its largest
  activation. Positives are the sites of the motif on the strand; negatives are the sites of all
  other motifs and the background. The motif's sites on the other strand are left out, since they
  score high for a palindrome only.
- ``precision``: share of the filter's active positions (above the threshold of the alignment, so
  those that form its position weight matrix) that see a site of the motif, on either strand.
- ``recall``: share of the motif's sites on the strand that an active position sees.
- ``offset``: the most common distance from the centre of a site to that of the receptive field of
  an active position that sees it, nt; ``in_place``: share of these within 1 nt of it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlproject.filters.scan import blocks
from mlproject.filters.site_windows import Peaks, window_of
from mlproject.geometry import ReceptiveField
from mlproject.names import metric_names


class FilterTruth(NamedTuple):
    """How well the filters of a layer detect the planted motifs.

    Attributes:
        names: a name for each motif.
        sites: (motifs, 2) int, planted sites that the layer sees, on the strands 1 and -1.
        average_precision: (filters, motifs, 2) float64; not a number where there is no such site.
        auroc: (filters, motifs, 2) float64, likewise.
        recall: (filters, motifs, 2) float64, likewise.
        precision: (filters, motifs) float64, 0 for a filter that is never active.
        calls: (filters,) int, active positions.
        motif: (filters,) int, the assigned motif.
        strand: (filters,) int, 0 or 1: the assigned strand.
        offset: (filters,) float64, nt; not a number if no active position sees an assigned site.
        in_place: (filters,) float64, likewise.
    """

    names: tuple[str, ...]
    sites: np.ndarray
    average_precision: np.ndarray
    auroc: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    calls: np.ndarray
    motif: np.ndarray
    strand: np.ndarray
    offset: np.ndarray
    in_place: np.ndarray


def compare_to_sites(
    peaks: Peaks, active: np.ndarray, sites: np.ndarray, names: Sequence[str], field: ReceptiveField
) -> FilterTruth:
    """Compare the filters of a layer with the planted sites.

    Args:
        peaks: the largest activations in the windows of `sites`, complete.
        active: the filters' active positions, as `mlproject.filters.scan.Scan` has them.
        sites: the planted sites, see `mlproject.data.dataset.SITE`.
        names: a name for each motif.
        field: receptive field of the layer.
    """
    found, filters = peaks.windows, peaks.values.shape[1]
    planted = found.site >= 0
    group = np.full(len(found.site), -1)
    own = sites[found.site[planted]]
    group[planted] = 2 * own["motif"].astype(np.int64) + (own["strand"] < 0)
    groups = 2 * len(names)
    counts = np.bincount(group[planted], minlength=groups)
    precision, auroc = _areas(peaks.values, group, counts)
    calls = np.zeros(filters, np.int64)
    hits = np.zeros((filters, groups), np.int64)
    seen = np.zeros((filters, len(group)), bool)
    for block in blocks(active):
        window, number = _window_and_filter(found, block)
        calls += np.bincount(block["filter"], minlength=filters)
        seen[number, window] = True
        key = number * groups + group[window]
        hits += np.bincount(key[group[window] >= 0], minlength=filters * groups).reshape(hits.shape)
    recalled = np.stack([np.bincount(group[row & planted], minlength=groups) for row in seen])
    with np.errstate(invalid="ignore"):
        recall = recalled / np.where(counts, counts, np.nan)
    best = np.nanargmax(precision, axis=1)
    offset, in_place = _offsets(peaks, active, sites, field, group, best)
    shape = (filters, len(names), 2)
    return FilterTruth(
        tuple(names),
        counts.reshape(shape[1:]),
        precision.reshape(shape),
        auroc.reshape(shape),
        recall.reshape(shape),
        hits.reshape(shape).sum(axis=2) / np.maximum(calls, 1)[:, None],
        calls,
        best // 2,
        best % 2,
        offset,
        in_place,
    )


def truth_rows(found: FilterTruth) -> list[dict[str, Any]]:
    """Return a row for each filter: the motif and strand it is assigned to, and its scores.

    ``sites`` counts the sites of the motif on the strand; ``recall_either`` is the recall of its
    sites on both strands together.
    """
    rows = []
    for number, (motif, strand) in enumerate(zip(found.motif, found.strand, strict=True)):
        own = (number, motif, strand)
        sites, recall = found.sites[motif], np.nan_to_num(found.recall[number, motif])
        values = {
            "average_precision": found.average_precision[own],
            "auroc": found.auroc[own],
            "precision": found.precision[number, motif],
            "recall": found.recall[own],
            "recall_either": (sites * recall).sum() / sites.sum(),
            "offset": found.offset[number],
            "in_place": found.in_place[number],
        }
        rows.append(
            {
                "filter": number,
                "motif": found.names[motif],
                "strand": "+-"[strand],
                "sites": int(sites[strand]),
                "active": int(found.calls[number]),
                **{
                    key: "" if np.isnan(value) else round(float(value), 6)
                    for key, value in values.items()
                },
            }
        )
    return rows


def truth_scores(found: FilterTruth) -> dict[str, float]:
    """Return how well the filters of a layer detect the planted motifs.

    Returns:
        ``site_ap``, ``site_auroc``, ``site_precision``, ``site_recall``: the score of a filter for
        the motif and strand it is assigned to, mean over all filters (a dead one has recall and
        precision 0). ``site_in_place``: mean over the filters that see any of their sites.
        ``tf_site_ap`` and so on: the score of each motif's best filter (highest average precision
        on either strand), mean over the motifs. ``tf_site_ap/<motif>``: the score for one motif.
    """
    number = np.arange(len(found.motif))
    own = (number, found.motif, found.strand)
    values = {
        "site_ap": found.average_precision[own].mean(),
        "site_auroc": found.auroc[own].mean(),
        "site_precision": found.precision[number, found.motif].mean(),
        "site_recall": found.recall[own].mean(),
    }
    if np.isfinite(found.in_place).any():
        values["site_in_place"] = np.nanmean(found.in_place)
    best = {}
    for motif in np.flatnonzero(found.sites.sum(axis=1)).tolist():
        one = found.average_precision[:, motif]
        best[motif] = np.unravel_index(int(np.nanargmax(one)), one.shape)
    for key, array in (
        ("ap", found.average_precision), ("auroc", found.auroc), ("recall", found.recall)
    ):  # fmt: skip
        each = [array[row, motif, strand] for motif, (row, strand) in best.items()]
        values[f"tf_site_{key}"] = np.mean(each)
    values["tf_site_precision"] = np.mean(
        [found.precision[row, motif] for motif, (row, _) in best.items()]
    )
    names = metric_names(found.names)
    for motif, (row, strand) in best.items():
        values[f"tf_site_ap/{names[motif]}"] = found.average_precision[row, motif, strand]
    return {key: float(value) for key, value in values.items()}


def _window_and_filter(found: Any, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return window and filter of the active positions that lie in a window."""
    window = window_of(found, block["sequence"], block["position"])
    return window[window >= 0], block["filter"][window >= 0].astype(np.int64)


def _areas(
    values: np.ndarray, group: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return average precision and AUROC of (windows, filters) for each group of windows.

    Groups are numbered 2 m and 2 m + 1 for the two strands of motif m; -1 is the background.
    Positives are the windows of the group. Negatives are all windows outside both groups of the
    motif. Equal values share one threshold.
    """
    present = np.flatnonzero(counts)
    precisions = np.full((values.shape[1], len(counts)), np.nan)
    areas = precisions.copy()
    for number, column in enumerate(values.T):
        order = np.argsort(-column, kind="stable")
        ranked, labels = column[order], group[order]
        ends = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
        for one in present:
            positive = np.cumsum(labels == one)[ends]
            negative = ends + 1 - np.cumsum(labels >> 1 == one >> 1)[ends]
            gained = np.diff(positive, prepend=0)
            precision = positive / np.maximum(positive + negative, 1)
            precisions[number, one] = (gained * precision).sum() / counts[one]
            passed = np.diff(negative, prepend=0) * (positive - gained / 2)
            if negative[-1]:
                areas[number, one] = passed.sum() / (counts[one] * negative[-1])
    return precisions, areas


def _offsets(
    peaks: Peaks,
    active: np.ndarray,
    sites: np.ndarray,
    field: ReceptiveField,
    group: np.ndarray,
    best: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the most common offset of each filter on its own sites, and the share around it."""
    found, filters = peaks.windows, len(best)
    reach = 2 * (field.width + int(sites["width"].max()))
    counts = np.zeros((filters, 2 * reach + 1), np.int64)
    for block in blocks(active):
        window = window_of(found, block["sequence"], block["position"])
        hit = (window >= 0) & (group[window] == best[block["filter"]])
        site = sites[found.site[window[hit]]]
        left = block["position"][hit].astype(np.int64) * field.step - field.left
        twice = 2 * (left - site["start"].astype(np.int64)) + field.width - site["width"]
        key = block["filter"][hit].astype(np.int64) * counts.shape[1] + twice + reach
        counts += np.bincount(key, minlength=counts.size).reshape(counts.shape)
    total = counts.sum(axis=1)
    most = counts.argmax(axis=1)
    near = np.abs(np.arange(counts.shape[1]) - most[:, None]) <= 2
    with np.errstate(invalid="ignore"):
        in_place = np.where(near, counts, 0).sum(axis=1) / np.where(total, total, np.nan)
    return np.where(total, (most - reach) / 2, np.nan), in_place
