"""Trace: find the position in front of a pool that an activation comes from, approximately.

A pool keeps the largest of neighbouring activations and discards its position, so filters behind a
pool cannot be aligned directly. Tracing recovers one position per site. Of all inputs of an active
position, it follows the input with the largest contribution (activation x weight) to its arg-max in
the pool's window, and repeats this down to the first layer without a pool or stride before it. The
site is then centred on that position. If a filter combines several parts whose distance varies
within the pool, only the traced part is aligned.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from mlproject.data.rows import Rows
from mlproject.filters.scan import PIECE_VALUES, blocks
from mlproject.geometry import Window
from mlproject.system.interrupts import check_interrupts

BATCH = 250


class Level(NamedTuple):
    """A convolution and the pool of the block below it.

    Attributes:
        kernel: (width, channels, filters), positive where a weight raises the activation.
        convolution: the window of the convolution.
        pool: the window of the pool.
        below: from codes (sequences, length) to the map that the pool reads (sequences, positions,
            channels).
        pooled: from codes to the map that the convolution reads.
    """

    kernel: np.ndarray
    convolution: Window
    pool: Window
    below: Callable[[np.ndarray], np.ndarray]
    pooled: Callable[[np.ndarray], np.ndarray]


def trace(levels: Sequence[Level], sites: np.ndarray, codes: Rows) -> np.ndarray:
    """Return sites with the positions that they come from, in the map below the last level.

    Args:
        levels: the convolution of the sites first, then the one below it, and so on.
        sites: `mlproject.filters.scan.ACTIVE_SITE` records, by sequence.
        codes: uint8 (sequences, length), the sequences.
    """
    traced = np.array(sites)
    for start in range(0, len(codes), BATCH):
        check_interrupts()
        low, high = np.searchsorted(traced["sequence"], (start, start + BATCH))
        if low == high:
            continue
        batch = codes[start : start + BATCH]
        maps = [(level.below(batch), level.pooled(batch)) for level in levels]
        size = max(PIECE_VALUES // levels[0].kernel[..., 0].size, 1)
        for piece in blocks(traced[low:high], size):
            row = piece["sequence"].astype(np.int64) - start
            position = piece["position"].astype(np.int64)
            filters = piece["filter"].astype(np.int64)
            for level, (below, pooled) in zip(levels, maps, strict=True):
                position, filters = _step(level, below, pooled, row, position, filters)
            piece["position"] = position
    return traced


def _step(
    level: Level,
    below: np.ndarray,
    pooled: np.ndarray,
    row: np.ndarray,
    position: np.ndarray,
    filters: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return position and filter, in `below`, of the largest contribution to each site."""
    channels = level.kernel.shape[1]
    taps = _inputs(level.convolution, position, pooled.shape[1])
    values = pooled[row[:, None], np.clip(taps, 0, pooled.shape[1] - 1)]
    added = values * level.kernel[:, :, filters].transpose(2, 0, 1)
    inside = (taps >= 0) & (taps < pooled.shape[1])
    added = np.where(inside[..., None], added, -np.inf)
    tap, channel = np.divmod(added.reshape(len(row), -1).argmax(axis=1), channels)
    rows = np.arange(len(row))
    window = _inputs(level.pool, taps[rows, tap], below.shape[1])
    values = below[row[:, None], np.clip(window, 0, below.shape[1] - 1), channel[:, None]]
    values = np.where((window >= 0) & (window < below.shape[1]), values, -np.inf)
    return window[rows, values.argmax(axis=1)], channel


def _inputs(window: Window, outputs: np.ndarray, length: int) -> np.ndarray:
    """Return the positions that some outputs read in a map of `length`, (outputs, size)."""
    taps = np.arange(window.size) * window.dilation
    return window.start(outputs, length)[:, None] + taps
