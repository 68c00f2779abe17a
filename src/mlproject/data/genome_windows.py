"""Windows on a genome, and their labels by overlap with peaks.

Source of the bins: Zhou & Troyanskaya, Nat Methods 12: 931, 2015, as in Koo & Eddy 2019, Methods.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from mlproject.data.header_places import LONGEST_NAME
from mlproject.data.split import WINDOW
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity

KEYS = ["chrom", "start"]
MOST_ROWS = 100_000_000


def bin_windows(
    peaks: Mapping[str, pd.DataFrame], window: int, size: int, merge_labels: bool
) -> pd.DataFrame:
    """Return windows around the bins that are more than half covered by peaks of a class.

    Args:
        peaks: class -> intervals, see `mlproject.data.bed.read_intervals`.
        window: nt, centred on the bin.
        size: nt per bin. Bins start at its multiples.
        merge_labels: whether a window has the labels of all its bins, or of the central one.

    Returns:
        Columns ``chrom start``, and one per class with 0 or 1. Windows are sorted and distinct.

    Raises:
        UserError: more than `MOST_ROWS` bins or labels.
    """
    labelled = []
    for name, intervals in peaks.items():
        merged = merge(intervals)
        first = (merged["start"] // size).to_numpy()
        count = ((merged["end"] - 1) // size).to_numpy() - first + 1
        _check_size(int(count.sum()), "bins in the peaks of a class")
        row = np.repeat(np.arange(len(merged)), count)
        bins = np.arange(len(row)) - np.repeat(count.cumsum() - count, count) + first[row]
        start, end = merged["start"].to_numpy()[row], merged["end"].to_numpy()[row]
        covered = np.minimum(end, (bins + 1) * size) - np.maximum(start, bins * size)
        table = pd.DataFrame({"chrom": merged["chrom"].to_numpy()[row], "bin": bins, "nt": covered})
        total = table.groupby(["chrom", "bin"], as_index=False)["nt"].sum()
        total = total[2 * total["nt"] > size]
        labelled.append(total[["chrom", "bin"]].assign(name=name))
    found = pd.concat(labelled, ignore_index=True)
    centres = found[["chrom", "bin"]].drop_duplicates()
    if merge_labels:
        near = (window // size - 1) // 2
        _check_size((2 * near + 1) * len(found), "labels of bins in windows")
        shifted = [found.assign(bin=found["bin"] + step) for step in range(-near, near + 1)]
        found = pd.concat(shifted).merge(centres, on=["chrom", "bin"])
    found = found.assign(start=found["bin"] * size + size // 2 - window // 2)
    return _table(found, list(peaks))


def _check_size(count: int, what: str) -> None:
    if count > MOST_ROWS:
        raise UserError(
            f"`bin_size` must give at most {MOST_ROWS:,} {what}: got {count:,}; take larger bins"
        )


def summit_windows(peaks: Mapping[str, pd.DataFrame], window: int) -> pd.DataFrame:
    """Return windows around summits, with the labels of all classes with a peak at the summit."""
    found = []
    for name, intervals in peaks.items():
        found.append(intervals[["chrom", "summit"]].assign(name=name))
    summits = pd.concat(found)[["chrom", "summit"]].drop_duplicates(ignore_index=True)
    points = summits.assign(start=summits["summit"], end=summits["summit"] + 1)
    for name, intervals in peaks.items():
        inside = summits[overlaps(points, intervals)]
        found.append(inside.assign(name=name))
    table = pd.concat(found, ignore_index=True)
    return _table(table.assign(start=table["summit"] - window // 2), list(peaks))


def _table(found: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    pairs = found[[*KEYS, "name"]].drop_duplicates()
    table = pairs[KEYS].drop_duplicates().sort_values(KEYS, ignore_index=True)
    for name in classes:
        own = pairs.loc[pairs["name"] == name, KEYS].assign(**{"label": np.uint8(1)})
        joined = table[KEYS].merge(own, on=KEYS, how="left")["label"]
        table[("label", name)] = joined.fillna(0).to_numpy(np.uint8)
    return table


def labels_of(windows: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Return (windows, classes) uint8."""
    return np.stack([windows[("label", name)].to_numpy(np.uint8) for name in classes], axis=1)


def places(own: pd.DataFrame, others: pd.DataFrame, count: int, window: int) -> np.ndarray:
    """Return the places of a split's windows as `WINDOW` records, (count,).

    Args:
        own: windows of peaks, the first rows.
        others: negatives from the genome, the last rows. Rows between them have no place, and so
            have those on chromosomes whose names do not fit in a record.
        count: number of rows.
        window: nt.
    """
    found = np.zeros(count, WINDOW)
    for first, part in ((0, own), (count - len(others), others)):
        names = [name.encode() for name in part["chrom"]]
        known = np.array([len(name) <= LONGEST_NAME for name in names], bool)
        rows = first + np.flatnonzero(known)
        found["chrom"][rows] = np.array(names, object)[known]
        found["start"][rows] = part["start"].to_numpy()[known]
        found["end"][rows] = found["start"][rows] + window
    return found


def nameless(windows: pd.DataFrame) -> Iterator[str]:
    """Yield a sentence if `places` gives windows no place because of long names."""
    long = sum(len(name.encode()) > LONGEST_NAME for name in windows["chrom"].unique())
    if long:
        yield (
            f"the places of windows on {quantity(long, 'chromosome')} are not kept: names have at "
            f"most {LONGEST_NAME} bytes there"
        )


def merge(intervals: pd.DataFrame) -> pd.DataFrame:
    """Return the union of intervals as disjoint intervals."""
    with _bioframe() as bioframe:
        return bioframe.merge(intervals[["chrom", "start", "end"]], min_dist=0)


def overlaps(windows: pd.DataFrame, intervals: pd.DataFrame) -> np.ndarray:
    """Return (windows,) bool: True for windows that share a nucleotide with an interval."""
    if not (len(windows) and len(intervals)):
        return np.zeros(len(windows), bool)
    columns = ["chrom", "start", "end"]
    with _bioframe() as bioframe:
        counted = bioframe.count_overlaps(windows[columns], intervals[columns])
    return counted["count"].to_numpy() > 0


@contextmanager
def _bioframe() -> Iterator[Any]:
    """Yield bioframe, without the warnings of pandas 3.1 about bioframe 0.8's use of `inplace`."""
    import bioframe

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield bioframe
