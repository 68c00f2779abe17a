"""Windows: runs of positions of a map that see a planted site, and runs of background positions.

A position sees a site if its receptive field covers at least half of the shorter of field and site.
A position that sees two sites belongs to the one whose centre is nearer to the centre of the field.
Positions that see no site are the background. They are cut into windows of the median length of a
site's window.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mlproject.geometry import ReceptiveField


class SiteWindows(NamedTuple):
    """Disjoint runs of positions, sorted by sequence and position.

    Attributes:
        start: (windows,) int64, first position, counted through all sequences: row * positions + p.
        stop: (windows,) int64, one past the last position.
        site: (windows,) int64, row of the site in the given sites; -1 for the background.
        positions: number of positions of a sequence.
        sequences: number of sequences.
    """

    start: np.ndarray
    stop: np.ndarray
    site: np.ndarray
    positions: int
    sequences: int


def site_windows(
    sites: np.ndarray, field: ReceptiveField, positions: int, sequences: int
) -> SiteWindows:
    """Return the windows of planted sites and of the background.

    Args:
        sites: records with `sequence`, `start` and `width`, see `mlproject.data.dataset.SITE`.
        field: receptive field of the layer.
        positions: number of positions of its map.
        sequences: number of sequences.

    Returns:
        A window for each site that any position sees, and the windows of the background. Without a
        site the result is empty.
    """
    row = sites["sequence"].astype(np.int64)
    first, width = sites["start"].astype(np.int64), sites["width"].astype(np.int64)
    order = np.lexsort((2 * first + width, row))
    row, first, width = row[order], first[order], width[order]
    need = -(-np.minimum(width, field.width) // 2)
    lowest = -(-(first + need - field.width + field.left) // field.step)
    highest = (first + width - need + field.left) // field.step
    # The last position whose field has its centre at or before the middle between two sites.
    middle = 2 * (first[:-1] + first[1:]) + width[:-1] + width[1:] - 2
    last = (middle - 2 * (field.width - 1) + 4 * field.left) // (4 * field.step)
    close = row[:-1] == row[1:]
    highest[:-1] = np.where(close, np.minimum(highest[:-1], last), highest[:-1])
    lowest[1:] = np.where(close, np.maximum(lowest[1:], last + 1), lowest[1:])
    lowest, highest = np.maximum(lowest, 0), np.minimum(highest, positions - 1)
    seen = lowest <= highest
    start = (row * positions + lowest)[seen]
    stop = (row * positions + highest + 1)[seen]
    own = order[seen]
    if not len(own):
        return SiteWindows(start, stop, own, positions, sequences)
    bounds = np.arange(sequences + 1, dtype=np.int64) * positions
    gap_start = np.sort(np.concatenate([bounds[:-1], stop]))
    gap_stop = np.sort(np.concatenate([bounds[1:], start]))
    size = int(np.median(stop - start))
    count = (gap_stop - gap_start) // size
    number = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    empty = np.repeat(gap_start, count) + number * size
    starts = np.concatenate([start, empty])
    order = np.argsort(starts, kind="stable")
    return SiteWindows(
        starts[order],
        np.concatenate([stop, empty + size])[order],
        np.concatenate([own, np.full(len(empty), -1)])[order],
        positions,
        sequences,
    )


class Peaks:
    """The largest activation of every filter in every window, collected batch by batch.

    Attributes:
        windows: the windows.
        values: (windows, filters) float32, complete after the last batch of `watch`.
    """

    def __init__(self, found: SiteWindows) -> None:
        self.windows = found
        self.values = np.zeros((0, 0), np.float32)

    def watch(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield batches (sequences, positions, filters) unchanged, and record their maxima.

        Raises:
            ValueError: the batches have another number of positions, or of sequences in total.
        """
        start, stop, _, positions, sequences = self.windows
        parts, done = [], 0
        for batch in batches:
            if batch.shape[1] != positions:
                raise ValueError(f"maps of {batch.shape[1]} positions, windows of {positions}")
            low, high = np.searchsorted(start, (done * positions, (done + len(batch)) * positions))
            flat = batch.reshape(-1, batch.shape[2])
            edges = np.stack([start[low:high], stop[low:high]], axis=1) - done * positions
            parts.append(_largest(flat, edges))
            done += len(batch)
            yield batch
        if done != sequences:
            raise ValueError(f"windows of {sequences} sequences, activations of {done}")
        self.values = np.concatenate(parts)


def window_of(found: SiteWindows, sequence: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the number of the window that contains each position, -1 for none."""
    place = sequence.astype(np.int64) * found.positions + position
    number = np.searchsorted(found.start, place, side="right") - 1
    inside = (number >= 0) & (place < found.stop[number])
    return np.where(inside, number, -1)


def _largest(flat: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the maxima of (rows, filters) between disjoint edges (windows, 2)."""
    if not len(edges):
        return np.zeros((0, flat.shape[1]), flat.dtype)
    bounds = edges.reshape(-1)
    if bounds[-1] == len(flat):
        bounds = bounds[:-1]
    return np.maximum.reduceat(flat, bounds, axis=0)[::2]
