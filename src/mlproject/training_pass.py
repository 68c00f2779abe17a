"""The network's forward pass in training: what `model(x, training=True)` gives, with less work.

No layer of its own: the weights, moving averages and seeds are those of the model's stock layers,
and the model is what is saved. Two things are done in another order or with fewer bits:

* **Pool before normalising.** Batch norm, scale and activation act on each value of a channel
  alike and never change which is the larger, except that a negative gamma turns the order round.
  So the maximum of ``activation(norm(y))`` is ``activation(norm(s * max(s * y)))`` with ``s`` the
  sign of gamma. The statistics are those of the whole map, as before; what is normalised is the
  pooled one, which is smaller by the pool.
* **Dropout from 16 bits** a value of the backend's generator, not 32. The rate is rounded to
  1 / 65,536 and the scale follows the rounded one, so that the mean is kept exactly.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from mlproject import backend


def training_pass(model: keras.Model, sequences: Any) -> Any:
    """Return the scores of one-hot sequences in training, and update the moving averages.

    Args:
        model: as `mlproject.model.build` returns it: a chain of layers.
        sequences: float32 (batch, length, 4), a tensor.

    Returns:
        float32 (batch, classes). Equal to ``model(sequences, training=True)`` up to rounding
        where the dropout rates are 0; where a window has several equal maxima, the gradient goes
        to the first.
    """
    x, rest = sequences, list(model.layers[1:])
    while rest:
        layer = rest.pop(0)
        if isinstance(layer, layers.Conv1D):
            norm, activation = rest.pop(0), rest.pop(0)
            pool = rest.pop(0) if isinstance(rest[0], layers.MaxPooling1D) else None
            x = activation(_pooled_norm(norm, pool, *_oriented(layer, norm, x)))
        elif isinstance(layer, layers.Dropout):
            x = _dropout(layer, x)
        else:
            x = layer(x, training=True)
    return x


def choose() -> backend.TrainingPass:
    """Return the pass to train with: `training_pass` on a processor, the model's own on a GPU.

    On a GPU it is no faster, and on one (H100, JAX 0.11.2) trainings with it had weights spoilt in
    mid-course: docs/reproduction/notes.md has the case.
    """
    return training_pass if backend.on_processor() else lambda model, x: model(x, training=True)


def window_max(x: Any, window: int, stride: int) -> Any:
    """Return the maximum of each window, as `keras.ops.max_pool` with ``same`` padding does.

    Where the stride divides the window, each value is looked at once and then log2(window / stride)
    times; neither backend's own gradient of an overlapping pool is near as fast on a processor.

    Args:
        x: (batch, positions, channels).
        window: positions a window.
        stride: positions from one window to the next.

    Returns:
        (batch, ceil(positions / stride), channels).
    """
    if window % stride:
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


def _oriented(convolution: layers.Conv1D, norm: layers.BatchNormalization, x: Any) -> Any:
    """Return the convolution with the sign of gamma, and that sign (channels,)."""
    gamma = ops.convert_to_tensor(norm.gamma)
    sign = ops.stop_gradient(ops.where(gamma < 0, -1.0, 1.0))
    kernel = ops.convert_to_tensor(convolution.kernel) * sign
    if convolution.strides == (1,) and x.shape[1] < kernel.shape[0]:
        return short_convolution(x, kernel), sign
    return ops.conv(x, kernel, strides=convolution.strides, padding="same"), sign


def short_convolution(x: Any, kernel: Any) -> Any:
    """Return the convolution, padded to ``same``, of a map with less positions than the kernel.

    It is one matrix product, whose factor holds for each position of the output what of the kernel
    lies over the map. XLA takes map and kernel for each other here (a kernel is to be the smaller
    one) and has no fast convolution for that: 2.8 ms a batch for 4 positions, 0.1 ms for 5.

    Args:
        x: (batch, positions, channels).
        kernel: (width, channels, filters).

    Returns:
        (batch, positions, filters).
    """
    _, positions, channels = x.shape
    width, _, filters = kernel.shape
    before = (width - 1) // 2
    kernel = ops.pad(kernel, [[positions, positions], [0, 0], [0, 0]])
    first = [positions + before - place for place in range(positions)]
    factor = ops.stack([kernel[one : one + positions] for one in first], axis=2)
    factor = ops.reshape(factor, (positions * channels, positions * filters))
    product = ops.matmul(ops.reshape(x, (-1, positions * channels)), factor)
    return ops.reshape(product, (-1, positions, filters))


def _pooled_norm(
    norm: layers.BatchNormalization, pool: layers.MaxPooling1D | None, y: Any, sign: Any
) -> Any:
    """Return the normalised maxima of sign * y, statistics taken over all of y."""
    mean = ops.mean(y, axis=(0, 1))
    variance = ops.mean(ops.square(y - ops.stop_gradient(mean)), axis=(0, 1))
    for moving, new in ((norm.moving_mean, mean * sign), (norm.moving_variance, variance)):
        moving.assign(moving * norm.momentum + ops.stop_gradient(new) * (1.0 - norm.momentum))
    if pool is not None:
        y = window_max(y, pool.pool_size[0], pool.strides[0])
    scale = ops.convert_to_tensor(norm.gamma) * sign * ops.rsqrt(variance + norm.epsilon)
    return (y - mean) * scale + ops.convert_to_tensor(norm.beta)


def _dropout(layer: layers.Dropout, x: Any) -> Any:
    rate = round(layer.rate * backend.COINS) / backend.COINS
    if not rate:
        return x
    kept = backend.coins(layer.seed_generator.next(), x.shape, rate)
    return ops.where(kept, x / (1.0 - rate), 0.0)


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
