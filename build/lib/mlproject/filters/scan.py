"""Scan: from the activations of a layer to the sites where its filters are active, in one pass.

One pass serves all alignments. ``released`` selects every position above a share of
the largest activation observed. That maximum is known only at the end, so the scan keeps candidates
above the same share of the largest activation so far and drops candidates as the maximum grows.
``paper`` selects the best position of each sequence.

Memory: one batch, 8 bytes a sequence and filter, and at most `KEPT_SITES` candidates of 14 bytes.
Further candidates, as of filters that are active nearly everywhere, go to a temporary file.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods, and the code they released.
"""

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np

from mlproject.system.interrupts import check_interrupts

ACTIVE_SITE = np.dtype(
    [("sequence", "<u4"), ("position", "<u4"), ("filter", "<u2"), ("activation", "<f4")]
)
KEPT_SITES = 1 << 23
BLOCK_SITES = 1 << 20
PIECE_VALUES = 1 << 22


class Scan(NamedTuple):
    """Where the filters of a layer are active.

    Attributes:
        released: `ACTIVE_SITE` records, every position above the threshold, by sequence, position
            and filter.
        paper: `ACTIVE_SITE` records, at most one a sequence and filter, by sequence and filter.
        maximum: (filters,) float32, the largest activation observed.
        sequences: number of sequences scanned.
    """

    released: np.ndarray
    paper: np.ndarray
    maximum: np.ndarray
    sequences: int

    def above(self, share: float) -> "Scan":
        """Return the scan with the `released` sites above a share of the largest activation."""
        least = np.float32(share) * self.maximum
        return self._replace(released=_above(self.released, least))


def scan(
    activations: Iterable[np.ndarray],
    *,
    released: float = 0.5,
    paper: float = 0.7,
    possible: np.ndarray | None = None,
    kept_sites: int = KEPT_SITES,
) -> Scan:
    """Find the sites of every filter under both alignments.

    Args:
        activations: batches (sequences, positions, filters), in the order of the sequences.
        released: share of the largest activation observed that a position must exceed.
        paper: share of `possible` that the best position of a sequence must reach.
        possible: (filters,) the maximum possible activation; None: the largest observed.
        kept_sites: number of candidates held in memory.

    Returns:
        The sites. A filter that is never above zero, or has an activation that is not a number, has
        none.

    Raises:
        ValueError: there is no batch, or batches differ in positions or filters.
    """
    maximum: np.ndarray | None = None
    shape: tuple[int, ...] = ()
    best: list[np.ndarray] = []
    where: list[np.ndarray] = []
    sequences = 0
    with tempfile.TemporaryFile() as overflow:
        candidates = _Candidates(overflow, kept_sites)
        for batch in activations:
            peak = batch.max(axis=1)
            if maximum is None:
                shape, maximum = batch.shape[1:], np.full(batch.shape[2], -np.inf, np.float32)
            if batch.shape[1:] != shape:
                raise ValueError(f"batches of {shape} and {batch.shape[1:]} (positions, filters)")
            maximum = np.maximum(maximum, peak.max(axis=0))
            candidates.add(batch, sequences, released * maximum)
            best.append(peak)
            where.append(batch.argmax(axis=1).astype(np.uint32))
            sequences += len(batch)
        if maximum is None:
            raise ValueError("no activations to scan")
        threshold = paper * (maximum if possible is None else np.asarray(possible, np.float32))
        return Scan(
            candidates.above(released * maximum),
            _best_sites(np.concatenate(best), np.concatenate(where), threshold),
            maximum,
            sequences,
        )


def blocks(sites: np.ndarray, size: int = BLOCK_SITES) -> Iterator[np.ndarray]:
    """Yield the records in pieces of `size`, so that a mapped file is never read at once."""
    for start in range(0, len(sites), size):
        check_interrupts()
        yield sites[start : start + size]


def _best_sites(best: np.ndarray, where: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Return as sites the best positions (sequences, filters) that reach the threshold."""
    sequence, number = np.nonzero((best >= threshold) & (best > 0))
    return _records(sequence, where[sequence, number], number, best[sequence, number])


def _records(
    sequence: np.ndarray, position: np.ndarray, number: np.ndarray, activation: np.ndarray
) -> np.ndarray:
    sites = np.empty(len(sequence), ACTIVE_SITE)
    sites["sequence"], sites["position"], sites["filter"] = sequence, position, number
    sites["activation"] = activation
    return sites


class _Candidates:
    """Sites that may exceed the final threshold, in memory up to `limit`, then in a file."""

    def __init__(self, overflow: IO[bytes], limit: int) -> None:
        self.overflow, self.limit = overflow, limit
        self.chunks: list[np.ndarray] = []
        self.held = self.spilled = 0

    def add(self, batch: np.ndarray, first: int, threshold: np.ndarray) -> None:
        """Add the positions of a batch above `threshold` (filters,); `first` is its first row."""
        _, positions, filters = batch.shape
        step = max(PIECE_VALUES // (positions * filters), 1)
        for start in range(0, len(batch), step):
            piece = batch[start : start + step].reshape(-1, filters)
            found = np.flatnonzero(piece > threshold)
            row, number = np.divmod(found, filters)
            sequence, position = np.divmod(row, positions)
            values = piece.reshape(-1)[found]
            self.chunks.append(_records(first + start + sequence, position, number, values))
            self.held += len(found)
            if self.held > self.limit:
                self._shrink(threshold)

    def _shrink(self, threshold: np.ndarray) -> None:
        """Drop candidates below the threshold; if more than half remain, write them to the file."""
        self.chunks = [_above(chunk, threshold) for chunk in self.chunks]
        self.held = sum(len(chunk) for chunk in self.chunks)
        if 2 * self.held > self.limit:
            for chunk in self.chunks:
                chunk.tofile(self.overflow)
            self.spilled += self.held
            self.chunks, self.held = [], 0

    def above(self, threshold: np.ndarray) -> np.ndarray:
        """Return the candidates above the final threshold, mapped from a file if there are many."""
        if not self.spilled:
            return _above(np.concatenate(self.chunks), threshold)
        early = np.memmap(self.overflow, ACTIVE_SITE, "r", shape=(self.spilled,))
        with tempfile.TemporaryFile() as file:
            for part in (early, *self.chunks):
                for block in blocks(part):
                    _above(block, threshold).tofile(file)
            count = file.tell() // ACTIVE_SITE.itemsize
            if not count:
                return np.empty(0, ACTIVE_SITE)
            return np.memmap(file, ACTIVE_SITE, "r", shape=(count,))


def _above(sites: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    return sites[sites["activation"] > threshold[sites["filter"]]]
