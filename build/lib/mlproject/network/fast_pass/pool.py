"""Maxima of windows, with gradients that a CPU computes fast."""

from collections.abc import Callable
from typing import Any

from keras import ops

from mlproject.geometry import Window
from mlproject.network import backend


def window_max(x: Any, window: int, stride: int) -> Any:
    """Return the maximum of each window, like `keras.ops.max_pool` with ``same`` padding.

    If the stride divides the window, the maximum of each stride is computed once, and combined in
    log2(window / stride) steps. On a CPU this is much faster than JAX's gradient of a pool.
    TensorFlow's is fast.

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

    def gradient(upstream: Any) -> Any:
        place = ops.reshape(ops.arange(x.shape[2], dtype="int32"), (-1, 1))
        first = first_places(x, maxima)
        return ops.where(place == first[:, :, None], upstream[:, :, None], 0.0)

    return maxima, gradient
