"""Align: from the sites of a filter to its position weight matrix.

`mlproject.geometry.ReceptiveField` states which nucleotides a position of a map sees. A window of
another width is centred on the field, half a nucleotide to the left where the two widths differ by
an odd number. A window of 19 at position p therefore covers ``p - 9`` to ``p + 9`` for kernels of
1, 3, 9, 19 and 20.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods, and the code they released.
"""

from typing import Literal, NamedTuple

import numpy as np

from mlproject.data.rows import Rows
from mlproject.filters.scan import Scan, blocks
from mlproject.geometry import ReceptiveField
from mlproject.sequence import LETTERS, OTHER

CODES = len(LETTERS) + 1  # A, C, G, T and everything else


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
    alignment: Literal["released", "paper"],
    codes: Rows,
    field: ReceptiveField,
    window: int = 0,
) -> Aligned:
    """Count letters in a window around each site.

    ``released``: the weight of a site is its activation. Window columns outside the sequence are
    not counted, so columns at the margins have less weight. ``paper``: the weight of a site is 1. A
    site is dropped if its window leaves the sequence.

    Args:
        found: the sites, of the sequences `codes`.
        alignment: ``released`` or ``paper``.
        codes: (sequences, length) uint8, A C G T = 0 to 3; other letters are not counted. Only the
            rows of one block of sites are in memory.
        field: receptive field of the layer.
        window: width of the matrices, nt; 0 = the width of the field (a first-layer filter's size).

    Raises:
        ValueError: `found` comes from another number of sequences.
    """
    if found.sequences != len(codes):
        raise ValueError(f"{found.sequences} sequences were scanned, {len(codes)} given")
    weighted = alignment == "released"
    filters, length, window = len(found.maximum), codes.shape[1], window or field.width
    offset = field.start(window)
    before = max(-offset, 0)
    after = max((length - 1) // field.step * field.step + offset + window - length, 0)
    counts = np.zeros((window, filters, CODES))
    nsites = np.zeros(filters, np.int64)
    for sites in blocks(found.released if weighted else found.paper):
        lowest = int(sites["sequence"][0])
        near = codes[lowest : int(sites["sequence"][-1]) + 1]
        padded = np.pad(near, ((0, 0), (before, after)), constant_values=OTHER)
        row, flat = padded.shape[1], padded.reshape(-1)
        start = sites["position"].astype(np.int64) * field.step + offset
        kept = np.full(len(sites), True) if weighted else (start >= 0) & (start + window <= length)
        first = ((sites["sequence"].astype(np.int64) - lowest) * row + start + before)[kept]
        number = sites["filter"][kept].astype(np.int64)
        weight = sites["activation"][kept].astype(np.float64) if weighted else None
        nsites += np.bincount(number, minlength=filters)
        for column in range(window):
            key = number * CODES + flat[first + column]
            counts[column] += np.bincount(
                key, weights=weight, minlength=filters * CODES
            ).reshape(filters, -1)  # fmt: skip
    counts = counts[:, :, :OTHER].transpose(1, 0, 2)
    weights = counts.sum(axis=2)
    pwms = np.full(counts.shape, 1 / len(LETTERS))
    np.divide(counts, weights[..., None], out=pwms, where=weights[..., None] > 0)
    return Aligned(pwms, nsites, weights, found.maximum)
