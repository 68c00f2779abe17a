"""Align: from the sites of a filter to its position weight matrix.

`mlproject.geometry.ReceptiveField` states which nucleotides a position of a map sees. A window of
another width is centred on the field, half a nucleotide to the left where the two widths differ by
an odd number. A window of 19 at position p therefore covers ``p - 9`` to ``p + 9`` for kernels of
1, 3, 9, 19 and 20.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods, and the code they released.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mlproject.data.rows import Rows
from mlproject.fields import AlignmentName
from mlproject.filters.scan import Scan, blocks
from mlproject.geometry import ReceptiveField
from mlproject.sequence import LETTERS, OTHER

CODES = len(LETTERS) + 1  # A, C, G, T and everything else


class AlignmentSites(NamedTuple):
    """Which sites an alignment takes, and what they weigh.

    Attributes:
        above: every position above the threshold; otherwise the best position of each sequence.
        weighted: a site weighs its activation; otherwise 1.
        margin: nt between the window and the ends of the sequence, at least; None: the window may
            leave the sequence.
        fewest: a filter with fewer sites has a uniform matrix and counts as dead.
    """

    above: bool
    weighted: bool
    margin: int | None
    fewest: int = 1

    def of(self, found: Scan) -> np.ndarray:
        """Return the sites among those of a scan."""
        return found.released if self.above else found.paper


SITES: Mapping[AlignmentName, AlignmentSites] = {
    "released": AlignmentSites(above=True, weighted=True, margin=None),
    "paper": AlignmentSites(above=False, weighted=False, margin=0),
    "exponential": AlignmentSites(above=True, weighted=False, margin=1, fewest=2),
}


class Aligned(NamedTuple):
    """The position weight matrices of a layer's filters.

    Attributes:
        pwms: (filters, window, 4) float64, each row sums to 1; columns without weight are 0.25.
        nsites: (filters,) int, number of sites; 0 = a dead filter.
        weights: (filters, window) float64, total weight of the letters counted in each column.
        maximum: (filters,) float32, the largest activation observed.
    """

    pwms: np.ndarray
    nsites: np.ndarray
    weights: np.ndarray
    maximum: np.ndarray


def align(
    found: Scan,
    alignment: AlignmentName,
    codes: Rows,
    field: ReceptiveField,
    window: int = 0,
) -> Aligned:
    """Count letters in a window around each site.

    ``released``: the weight of a site is its activation. Window columns outside the sequence are
    not counted, so columns at the margins have less weight. ``paper``: the weight of a site is 1. A
    site is dropped if its window leaves the sequence. ``exponential``, as Koo & Ploenzke 2021: the
    sites of ``released`` with weight 1; a site is dropped if its window leaves the sequence or
    touches an end; a filter with one site has no matrix.

    Args:
        found: the sites, of the sequences `codes`.
        alignment: one of `SITES`.
        codes: (sequences, length) uint8, A C G T = 0 to 3; other letters are not counted. Only the
            rows of one block of sites are in memory.
        field: receptive field of the layer.
        window: width of the matrices, nt; 0 = the width of the field (a first-layer filter's size).

    Raises:
        ValueError: `found` comes from another number of sequences.
    """
    if found.sequences != len(codes):
        raise ValueError(f"{found.sequences} sequences were scanned, {len(codes)} given")
    rule = SITES[alignment]
    filters, length, window = len(found.maximum), codes.shape[1], window or field.width
    offset = field.start(window)
    before = max(-offset, 0)
    after = max((length - 1) // field.step * field.step + offset + window - length, 0)
    counts = np.zeros((window, filters, CODES))
    nsites = np.zeros(filters, np.int64)
    for sites in blocks(rule.of(found)):
        lowest = int(sites["sequence"][0])
        near = codes[lowest : int(sites["sequence"][-1]) + 1]
        padded = np.pad(near, ((0, 0), (before, after)), constant_values=OTHER)
        row, flat = padded.shape[1], padded.reshape(-1)
        start = sites["position"].astype(np.int64) * field.step + offset
        kept = np.full(len(sites), True)
        if rule.margin is not None:
            kept = (start >= rule.margin) & (start + window <= length - rule.margin)
        first = ((sites["sequence"].astype(np.int64) - lowest) * row + start + before)[kept]
        number = sites["filter"][kept].astype(np.int64)
        weight = sites["activation"][kept].astype(np.float64) if rule.weighted else None
        nsites += np.bincount(number, minlength=filters)
        for column in range(window):
            key = number * CODES + flat[first + column]
            counts[column] += np.bincount(
                key, weights=weight, minlength=filters * CODES
            ).reshape(filters, -1)  # fmt: skip
    counts = counts[:, :, :OTHER].transpose(1, 0, 2)
    few = nsites < rule.fewest
    counts[few], nsites[few] = 0.0, 0
    weights = counts.sum(axis=2)
    pwms = np.full(counts.shape, 1 / len(LETTERS))
    np.divide(counts, weights[..., None], out=pwms, where=weights[..., None] > 0)
    return Aligned(pwms, nsites, weights, found.maximum)
