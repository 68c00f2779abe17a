"""Negative windows: windows elsewhere on a genome with the GC content of given windows."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mlproject.data.genome import Genome
from mlproject.data.genome_windows import KEYS, merge, overlaps
from mlproject.sequence import OTHER

BLOCK = 1024
GC_BINS = 50
ROUNDS = 200
DRAWS_PER_WINDOW = 64
BARREN_ROUNDS = 7
SMALL = 1 << 22


def window_codes(genome: Genome, windows: pd.DataFrame, window: int) -> Iterator[np.ndarray]:
    """Yield the codes of windows in order, in blocks (at most `BLOCK`, window)."""
    places = list(zip(windows["chrom"], windows["start"].tolist(), strict=True))
    for first in range(0, len(places), BLOCK):
        block = places[first : first + BLOCK]
        yield np.stack([genome.codes(name, start, start + window) for name, start in block])


def _gc_bins(codes: np.ndarray) -> np.ndarray:
    """Return the GC content of known letters, (n,), in steps of 2 %; -1 if all are unknown."""
    known = (codes != OTHER).sum(axis=1)
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    bins = np.minimum(strong * GC_BINS // np.maximum(known, 1), GC_BINS - 1)
    return np.where(known > 0, bins, -1)


def gc_matched(
    genome: Genome, own: pd.DataFrame, window: int, taken: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw windows without N, outside `taken`, with the GC contents and chromosomes of `own`.

    The genome may lack windows of some GC content. The search ends after `DRAWS_PER_WINDOW` draws
    per window, after `BARREN_ROUNDS` rounds without success, each with twice the draws of the one
    before, or when all positions of a small genome were tried.
    """
    wanted = np.zeros(GC_BINS, np.int64)
    for block in window_codes(genome, own, window):
        bins = _gc_bins(block)
        wanted += np.bincount(bins[bins >= 0], minlength=GC_BINS)
    names = [name for name in own["chrom"].unique() if genome.sizes[name] >= window]
    room = np.array([genome.sizes[name] - window + 1 for name in names])
    first = np.cumsum(room) - room
    untried = np.full(int(room.sum()), True) if room.sum() <= SMALL else None
    chosen: list[pd.DataFrame] = []
    left, barren = max(DRAWS_PER_WINDOW * len(own), 1 << 16), 0
    for _ in range(ROUNDS):
        missing = int(wanted.sum())
        if not (missing and names and left > 0 and barren < BARREN_ROUNDS):
            break
        if untried is not None and not untried.any():
            break
        draws = min(max(4 * missing, 256) << barren, 1 << 16)
        left -= draws
        numbers = rng.choice(len(names), draws, p=room / room.sum())
        drawn = pd.DataFrame(
            {
                "chrom": np.array(names, dtype=object)[numbers],
                "start": (rng.random(draws) * room[numbers]).astype(np.int64),
                "number": numbers,
            }
        ).drop_duplicates(ignore_index=True)
        drawn = drawn.assign(end=drawn["start"] + window)
        if untried is not None:
            places = drawn["start"].to_numpy() + first[drawn["number"].to_numpy()]
            drawn = drawn[untried[places]]
            untried[places] = False
        drawn = drawn[~overlaps(drawn, taken)]
        taken_rows = []
        row = 0
        for block in window_codes(genome, drawn, window):
            bins = _gc_bins(block)
            clean = (block != OTHER).all(axis=1)
            for place in np.flatnonzero(clean):
                if wanted[bins[place]]:
                    wanted[bins[place]] -= 1
                    taken_rows.append(row + int(place))
            row += len(block)
        barren = 0 if taken_rows else barren + 1
        found = drawn.iloc[taken_rows]
        chosen.append(found)
        taken = merge(pd.concat([taken[["chrom", "start", "end"]], found]))
    empty = own[KEYS].iloc[:0]
    return pd.concat([empty, *(part[KEYS] for part in chosen)]).sort_values(KEYS, ignore_index=True)
