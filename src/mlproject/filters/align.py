"""Align: from the sites of a filter to its position weight matrix.

Which nucleotides a position of a map sees follows from Keras' ``same`` padding: a kernel of width k
with stride 1 at position p covers ``p - (k - 1) // 2`` to ``p + k // 2``. A window of another width
is centred on that stretch, half a nucleotide to the left where the two differ by an odd number. So
a window of 19 at position p covers ``p - 9`` to ``p + 9`` for kernels of 1, 3, 9, 19 and 20.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods, and the code they released.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from mlproject.data.rows import Rows
from mlproject.filters.scan import Scan, blocks
from mlproject.spec import Block

LETTERS = 4


class Field(NamedTuple):
    """The receptive field: position p of a map sees `width` nt from nt ``p * step - left`` on."""

    width: int
    left: int
    step: int = 1

    def start(self, window: int) -> int:
        """Return the offset from ``p * step`` at which a centred window of `window` nt starts."""
        return (self.width - window) // 2 - self.left


class Aligned(NamedTuple):
    """The position weight matrices of a layer's filters.

    Attributes:
        pwms: (filters, window, 4) float64, each row sums to 1; columns without weight are 0.25.
        nsites: (filters,) int, number of sites; 0 = a dead filter.
        weights: (filters, window) float64, the weight that each column rests on.
        maximum: (filters,) float32, the largest activation observed.
    """

    pwms: np.ndarray
    nsites: np.ndarray
    weights: np.ndarray
    maximum: np.ndarray


def receptive_field(layers: Sequence[Block], number: int, length: int) -> Field:
    """Return the receptive field of convolution `number` (from 1) over sequences of `length` nt.

    Behind a pool the field is where the activation may come from; which position of the pool's
    window it was is lost.
    """
    field, size = Field(1, 0), length
    for index, block in enumerate(layers[:number], 1):
        field, size = _behind(field, size, block.kernel, block.stride)
        if index < number:
            field, size = _behind(field, size, block.pool, block.pool_stride)
    return field


def _behind(field: Field, size: int, kernel: int, stride: int) -> tuple[Field, int]:
    """Return field and size of a ``same``-padded window of `kernel` over a map of `size`."""
    out = -(-size // stride)
    padding = max((out - 1) * stride + kernel - size, 0) // 2
    return Field(
        field.width + (kernel - 1) * field.step,
        field.left + padding * field.step,
        field.step * stride,
    ), out


def align(
    found: Scan,
    alignment: Literal["released", "paper"],
    codes: Rows,
    field: Field,
    window: int = 0,
) -> Aligned:
    """Count letters in a window around each site.

    ``released``: each site weighs its activation; what lies outside the sequence counts nothing, so
    that the columns at the margin rest on less weight. ``paper``: each site weighs 1; a site whose
    window leaves the sequence is dropped.

    Args:
        found: the sites, of the sequences `codes`.
        alignment: which of the two.
        codes: (sequences, length) uint8, A C G T = 0 to 3; other letters count nothing. Only those
            of one block of sites are in memory.
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
    counts = np.zeros((window, filters, LETTERS + 1))
    nsites = np.zeros(filters, np.int64)
    for sites in blocks(found.released if weighted else found.paper):
        lowest = int(sites["sequence"][0])
        near = codes[lowest : int(sites["sequence"][-1]) + 1]
        padded = np.pad(near, ((0, 0), (before, after)), constant_values=LETTERS)
        row, flat = padded.shape[1], padded.reshape(-1)
        start = sites["position"].astype(np.int64) * field.step + offset
        kept = np.full(len(sites), True) if weighted else (start >= 0) & (start + window <= length)
        first = ((sites["sequence"].astype(np.int64) - lowest) * row + start + before)[kept]
        number = sites["filter"][kept].astype(np.int64)
        weight = sites["activation"][kept].astype(np.float64) if weighted else None
        nsites += np.bincount(number, minlength=filters)
        for column in range(window):
            key = number * (LETTERS + 1) + flat[first + column]
            counts[column] += np.bincount(
                key, weights=weight, minlength=filters * (LETTERS + 1)
            ).reshape(filters, -1)
    counts = counts[:, :, :LETTERS].transpose(1, 0, 2)
    weights = counts.sum(axis=2)
    pwms = np.full(counts.shape, 1 / LETTERS)
    np.divide(counts, weights[..., None], out=pwms, where=weights[..., None] > 0)
    return Aligned(pwms, nsites, weights, found.maximum)
