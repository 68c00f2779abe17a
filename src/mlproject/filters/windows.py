"""Windows: the positions of a map that see a planted site, and such runs of others to compare with.

A position sees a site if its receptive field covers at least half of the shorter of the two. Where
it sees two, it belongs to the one whose centre is nearer to the field's. What sees no site is cut
into windows of as many positions as a site usually has: the background.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mlproject.filters.align import Field


class Windows(NamedTuple):
    """Runs of positions that share none, by sequence and position.

    Attributes:
        start: (windows,) int64, first position, counted through all sequences: row * positions + p.
        stop: (windows,) int64, behind the last position.
        site: (windows,) int64, the row of the sites that were given; -1 for the background.
        positions: number of positions of a sequence.
        sequences: number of sequences.
    """

    start: np.ndarray
    stop: np.ndarray
    site: np.ndarray
    positions: int
    sequences: int


def windows(sites: np.ndarray, field: Field, positions: int, sequences: int) -> Windows:
    """Return the windows of planted sites and of the background.

    Args:
        sites: records with `sequence`, `start` and `width`, see `mlproject.data.dataset.SITE`.
        field: receptive field of the layer.
        positions: number of positions of its map.
        sequences: number of sequences.

    Returns:
        A window for each site that any position sees, and for the background; no background if
        there is no site.
    """
    row = sites["sequence"].astype(np.int64)
    first, width = sites["start"].astype(np.int64), sites["width"].astype(np.int64)
    order = np.lexsort((2 * first + width, row))
    row, first, width = row[order], first[order], width[order]
    need = -(-np.minimum(width, field.width) // 2)
    lowest = -(-(first + need - field.width + field.left) // field.step)
    highest = (first + width - need + field.left) // field.step
    # The last position whose field is centred no farther right than half way to the next site.
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
        return Windows(start, stop, own, positions, sequences)
    bounds = np.arange(sequences + 1, dtype=np.int64) * positions
    gap_start = np.sort(np.concatenate([bounds[:-1], stop]))
    gap_stop = np.sort(np.concatenate([bounds[1:], start]))
    size = int(np.median(stop - start))
    count = (gap_stop - gap_start) // size
    number = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    empty = np.repeat(gap_start, count) + number * size
    starts = np.concatenate([start, empty])
    order = np.argsort(starts, kind="stable")
    return Windows(
        starts[order],
        np.concatenate([stop, empty + size])[order],
        np.concatenate([own, np.full(len(empty), -1)])[order],
        positions,
        sequences,
    )


class Peaks:
    """The largest activation of every filter in every window, collected as batches pass by.

    Attributes:
        windows: where to look.
        values: (windows, filters) float32, once all batches have passed.
    """

    def __init__(self, found: Windows) -> None:
        self.windows = found
        self.values = np.zeros((0, 0), np.float32)

    def watch(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield batches (sequences, positions, filters) as they come, and look at each.

        Raises:
            ValueError: batches of another number of positions, or sequences in all.
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


def window_of(found: Windows, sequence: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the number of the window that each position lies in, -1 for none."""
    place = sequence.astype(np.int64) * found.positions + position
    number = np.searchsorted(found.start, place, side="right") - 1
    inside = (number >= 0) & (place < found.stop[number])
    return np.where(inside, number, -1)


def _largest(flat: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the maxima of (rows, filters) between edges (windows, 2), which share no row."""
    if not len(edges):
        return np.zeros((0, flat.shape[1]), flat.dtype)
    bounds = edges.reshape(-1)
    if bounds[-1] == len(flat):
        bounds = bounds[:-1]
    return np.maximum.reduceat(flat, bounds, axis=0)[::2]
