"""Trace: where behind a pool an activation comes from, approximately.

A pool keeps the largest of neighbouring activations and forgets where it was, so that filters
behind it cannot be aligned. This undoes it as far as one number can: of all inputs of an active
position, the one that adds most to it (activation x weight) is followed back to the place in the
pool's window that it came from, its arg-max, and so on down to the first layer that no pool or
stride precedes. The site is then centred on that one place. Where a filter rests on several parts
whose distance the pool lets vary, only the part that was followed is in register.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from mlproject.data.rows import Rows
from mlproject.filters.scan import blocks as pieces
from mlproject.network.backend import forward, value
from mlproject.network.build import activation_layer
from mlproject.sequence import one_hot
from mlproject.spec import Block
from mlproject.system.interrupts import check_interrupts

BATCH = 250
PIECE_VALUES = 1 << 22


class _Level(NamedTuple):
    """A convolution above a pool: what leads from its positions to those below the pool."""

    kernel: np.ndarray
    block: Block
    below: Block


def origin(blocks: Sequence[Block], number: int) -> int:
    """Return the last convolution, `number` or one below it, that no pool or stride precedes."""
    while number > 1 and any(one.pool > 1 or one.stride > 1 for one in blocks[: number - 1]):
        number -= 1
    return number


def trace(
    model: keras.Model, blocks: Sequence[Block], number: int, sites: np.ndarray, codes: Rows
) -> np.ndarray:
    """Return sites of convolution `number` at the positions of convolution `origin` they come from.

    Args:
        model: as `mlproject.network.build.build` returns it.
        blocks: the network's.
        number: the convolution, from 1.
        sites: `mlproject.filters.scan.SITE` records, by sequence.
        codes: uint8 (sequences, length), the sequences.
    """
    lowest = origin(blocks, number)
    levels = [_level(model, blocks, one) for one in range(number, lowest, -1)]
    maps = [
        forward(keras.Model(model.inputs, output))
        for one in range(number - 1, lowest - 1, -1)
        for output in (
            activation_layer(model, f"conv{one}").output,
            model.get_layer(f"conv{one}_dropout").output,
        )
    ]
    traced = np.array(sites)
    for start in range(0, len(codes), BATCH):
        check_interrupts()
        low, high = np.searchsorted(traced["sequence"], (start, start + BATCH))
        if low == high:
            continue
        letters = one_hot(codes[start : start + BATCH])
        found = [call(letters) for call in maps]
        size = max(PIECE_VALUES // levels[0].kernel[..., 0].size, 1)
        for piece in pieces(traced[low:high], size):
            row = piece["sequence"].astype(np.int64) - start
            position = piece["position"].astype(np.int64)
            filters = piece["filter"].astype(np.int64)
            for level, below, pooled in zip(levels, found[::2], found[1::2], strict=True):
                position, filters = _step(level, below, pooled, row, position, filters)
            piece["position"] = position
    return traced


def _level(model: keras.Model, blocks: Sequence[Block], number: int) -> _Level:
    """Return convolution `number` with weights that are positive where they raise activations."""
    sign = np.where(value(model.get_layer(f"conv{number}_bn").gamma) < 0, -1, 1)
    kernel = value(model.get_layer(f"conv{number}").kernel) * sign
    return _Level(kernel, blocks[number - 1], blocks[number - 2])


def _step(
    level: _Level,
    below: np.ndarray,
    pooled: np.ndarray,
    row: np.ndarray,
    position: np.ndarray,
    filters: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return position and filter, in `below`, of the largest contribution to each site."""
    width, channels, _ = level.kernel.shape
    places = _inputs(position, level.block.stride, width, pooled.shape[1])
    seen = pooled[row[:, None], np.clip(places, 0, pooled.shape[1] - 1)]
    added = seen * level.kernel[:, :, filters].transpose(2, 0, 1)
    inside = (places >= 0) & (places < pooled.shape[1])
    added = np.where(inside[..., None], added, -np.inf)
    tap, channel = np.divmod(added.reshape(len(row), -1).argmax(axis=1), channels)
    place = places[np.arange(len(row)), tap]
    window = _inputs(place, level.below.pool_stride, level.below.pool, below.shape[1])
    values = below[row[:, None], np.clip(window, 0, below.shape[1] - 1), channel[:, None]]
    values = np.where((window >= 0) & (window < below.shape[1]), values, -np.inf)
    return window[np.arange(len(row)), values.argmax(axis=1)], channel


def _inputs(position: np.ndarray, stride: int, width: int, size: int) -> np.ndarray:
    """Return what a ``same``-padded window over a map of `size` sees, (positions, width)."""
    out = -(-size // stride)
    padding = max((out - 1) * stride + width - size, 0) // 2
    return position[:, None] * stride - padding + np.arange(width)
