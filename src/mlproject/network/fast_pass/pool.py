"""Maxima of windows, with gradients that a processor computes fast."""

from collections.abc import Callable
from typing import Any

from keras import ops

from mlproject.network import backend


def window_max(x: Any, window: int, stride: int) -> Any:
    """Return the maximum of each window, as `keras.ops.max_pool` with ``same`` padding does.

    Where the stride divides the window, each value is looked at once and then log2(window / stride)
    times: on a processor JAX has no gradient of a pool that is near as fast. TensorFlow has.

    Args:
        x: (batch, positions, channels).
        window: positions a window.
        stride: positions from one window to the next.

    Returns:
        (batch, ceil(positions / stride), channels).
    """
    if window % stride or backend.name() == "tensorflow":
        return ops.max_pool(x, window, stride, padding="same")
    x, _ = padded(x, window, stride)
    _, positions, channels = x.shape
    steps = window // stride
    x = ops.reshape(x, (-1, positions // stride, stride, channels))
    maxima = _first_max(x) if stride > 1 else x[:, :, 0]
    covered = 1
    while covered < steps:
        shift = min(covered, steps - covered)
        maxima = ops.maximum(maxima[:, :-shift], maxima[:, shift:])
        covered += shift
    return maxima


def padded(x: Any, window: int, stride: int) -> tuple[Any, int]:
    """Return a map with what ``same`` padding adds for a pool, and how many positions come before.

    Args:
        x: (batch, positions, channels).
        window: positions a window.
        stride: positions from one window to the next.
    """
    positions = x.shape[1]
    missing = max((-(-positions // stride) - 1) * stride + window - positions, 0)
    before = missing // 2
    if missing:
        edges = [[0, 0], [before, missing - before], [0, 0]]
        x = ops.pad(x, edges, constant_values=-float("inf"))
    return x, before


def first_places(x: Any, maxima: Any) -> Any:
    """Return where the first of equal maxima lies in its window; behind it for not-a-numbers.

    Counted in floats, whose minimum XLA takes faster than that of integers.

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
    """Return the maximum over axis 2 with a gradient that is one pass over its input."""
    maxima = ops.max(x, axis=2)

    def gradient(upstream: Any) -> Any:
        place = ops.reshape(ops.arange(x.shape[2], dtype="int32"), (-1, 1))
        first = first_places(x, maxima)
        return ops.where(place == first[:, :, None], upstream[:, :, None], 0.0)

    return maxima, gradient
