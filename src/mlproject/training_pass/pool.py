"""Maxima of windows, with gradients that a processor computes fast."""

from collections.abc import Callable
from typing import Any

from keras import ops

from mlproject import backend


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
    _, positions, channels = x.shape
    windows = -(-positions // stride)
    missing = max((windows - 1) * stride + window - positions, 0)
    if missing:
        before = missing // 2
        edges = [[0, 0], [before, missing - before], [0, 0]]
        x = ops.pad(x, edges, constant_values=-float("inf"))
    steps = window // stride
    used = (windows + steps - 1) * stride
    x = ops.reshape(x[:, :used], (-1, used // stride, stride, channels))
    maxima = _first_max(x) if stride > 1 else x[:, :, 0]
    covered = 1
    while covered < steps:
        shift = min(covered, steps - covered)
        maxima = ops.maximum(maxima[:, :-shift], maxima[:, shift:])
        covered += shift
    return maxima


@ops.custom_gradient
def _first_max(x: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the maximum over axis 2 with a gradient that is one pass over its input."""
    maxima = ops.max(x, axis=2)

    def gradient(upstream: Any) -> Any:
        size = x.shape[2]
        place = ops.reshape(ops.arange(size, dtype="int32"), (1, 1, size, 1))
        equal = x == maxima[:, :, None]
        first = ops.min(ops.where(equal, place, size), axis=2)
        return ops.where(place == first[:, :, None], upstream[:, :, None], 0.0)

    return maxima, gradient
