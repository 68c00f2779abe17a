"""Maxima of windows, with gradients that a CPU computes fast."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from mlproject.geometry import Window
from mlproject.network import backend
from mlproject.network.fast_pass.overlap import max_of_neighbours

LOWEST = float(np.finfo(np.float32).min)  # the maximum of nothing, to TensorFlow's pool too
FEW = 4  # places; XLA compares more of them faster in reductions


def window_max(x: Any, window: int, stride: int, stored: bool = False) -> Any:
    """Return the maximum of each window, like `keras.ops.max_pool` with ``same`` padding.

    If the stride divides the window, the maximum of each stride is computed once, and combined
    with its neighbours', see `overlap`. On a CPU this is much faster than JAX's gradient of a pool.
    TensorFlow's is fast.

    Args:
        x: (batch, positions, channels).
        window: positions a window.
        stride: positions from one window to the next.
        stored: whether x lies in memory, as the result of a convolution does; XLA would compute
            element-wise operations again for each place of a window.

    Returns:
        (batch, ceil(positions / stride), channels).
    """
    if window % stride or backend.name() == "tensorflow":
        return ops.max_pool(x, window, stride, padding="same")
    x, _ = padded(x, window, stride)
    _, positions, channels = x.shape
    steps = window // stride
    x = ops.reshape(x, (-1, positions // stride, stride, channels))
    first_max = _first_max_in_turn if stored and stride <= FEW else _first_max
    maxima = first_max(x) if stride > 1 else x[:, :, 0]
    return max_of_neighbours(maxima, steps) if steps > 1 else maxima


def padded(x: Any, window: int, stride: int) -> tuple[Any, int]:
    """Return a map with the ``same`` padding of a pool, and the number of positions added before.

    Args:
        x: (batch, positions, channels).
        window: positions a window.
        stride: positions from one window to the next.
    """
    before, after = Window(window, stride).pad(x.shape[1])
    if before + after:
        edges = [[0, 0], [before, after], [0, 0]]
        x = ops.pad(x, edges, constant_values=-float("inf"))
    return x, before


def first_places(x: Any, maxima: Any) -> Any:
    """Return the index of the first maximum in each window; the window's size for not-a-number.

    Indices are computed as floats, since XLA computes their minimum faster than that of integers.

    Args:
        x: (batch, windows, places, channels).
        maxima: (batch, windows, channels).

    Returns:
        int32 (batch, windows, channels).
    """
    size = x.shape[2]
    place = ops.reshape(ops.arange(size, dtype="float32"), (-1, 1))
    first = ops.min(ops.where(x == maxima[:, :, None], place, float(size)), axis=2)
    return ops.cast(first, "int32")


@ops.custom_gradient
def _first_max(x: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the maximum over axis 2, with a gradient that needs one pass over the input."""
    maxima = ops.max(x, axis=2)
    return maxima, lambda upstream: _at_places(first_places(x, maxima), x.shape[2], upstream)


@ops.custom_gradient
def _first_max_in_turn(x: Any) -> tuple[Any, Callable[..., Any]]:
    """Return `_first_max`, where one pass finds the maximum and its place."""
    maxima, first = x[:, :, 0], ops.zeros_like(x[:, :, 0], dtype="int32")
    for number in range(1, x.shape[2]):
        value = x[:, :, number]
        first = ops.where(value > maxima, number, first)
        maxima = ops.maximum(maxima, value)
    return maxima, lambda upstream: _at_places(first, x.shape[2], upstream)


def _at_places(places: Any, size: int, upstream: Any) -> Any:
    """Return a gradient (batch, windows, size, channels) that is zero but at one place each."""
    place = ops.reshape(ops.arange(size, dtype="int32"), (-1, 1))
    return ops.where(place == places[:, :, None], upstream[:, :, None], 0.0)
