"""The network's forward pass: equal to the model's own up to rounding, with less work.

It adds no layers. It uses the weights, moving averages and seeds of the model's stock layers, and
the model is saved as it is. These computations differ:

* **Pool before normalising.** Batch norm and activation are monotonic on each channel; a negative
  gamma reverses the order. So the maximum of ``activation(norm(y))`` is
  ``activation(norm(s * max(s * y)))``, where ``s`` is the sign of gamma. In training the statistics
  are still those of the complete map, but only the smaller, pooled map is normalised. Dropout
  before the pool comes before the maximum here, too: the largest of the kept values is normalised,
  and of it and the zeros of dropped values the larger one is the result.
* **Dropout from 16 random bits** for each value instead of 32. The rate is rounded to 1 / 65,536,
  and the scale uses the rounded rate, so that the mean is exact.
* **Max-pools**, those outside blocks too, have a gradient without a scatter, see `pool`.
* **Dense layers** have a faster gradient, see `product`.
* **Convolutions** in faster forms of equal result, see `convolution` and `winograd`. Before a wide
  pool, the gradient of their map is never formed, see `wide_pool`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from mlproject.geometry import as_list
from mlproject.network import random_bits
from mlproject.network.fast_pass import wide_pool
from mlproject.network.fast_pass.convolution import convolve
from mlproject.network.fast_pass.letters import convolve_letters
from mlproject.network.fast_pass.letters import is_cheaper as from_tables
from mlproject.network.fast_pass.plan import CUBE, Block, is_dense, is_dropout, is_pool_alone, plan
from mlproject.network.fast_pass.pool import LOWEST, window_max
from mlproject.network.fast_pass.product import product


def training_pass(model: keras.Model, sequences: Any, letters: bool = False) -> Any:
    """Return the scores of one-hot sequences in training, and update the moving averages.

    Args:
        model: one that `supports` takes.
        sequences: float32 (batch, length, 4), a tensor.
        letters: whether they are one-hot, zeros for an unknown letter, without noise.

    Returns:
        float32 (batch, classes). Equal to ``model(sequences, training=True)`` up to rounding if the
        dropout rates are 0. If a window has several equal maxima, the first gets the gradient.
    """
    return _scores(model, sequences, letters, training=True)


def prediction_pass(model: keras.Model, sequences: Any) -> Any:
    """Return the scores of one-hot sequences, equal to ``model(sequences)`` up to rounding.

    Args:
        model: one that `supports` takes.
        sequences: float32 (batch, length, 4), a tensor, zeros for an unknown letter.

    Returns:
        float32 (batch, classes).
    """
    return _scores(model, sequences, letters=True, training=False)


def _scores(model: keras.Model, sequences: Any, letters: bool, training: bool) -> Any:
    known = {id(model.inputs[0]): sequences}
    for step in plan(model):
        if isinstance(step, Block):
            source = step.convolution.input
            first = letters and source is model.inputs[0]
            known[id(step.output)] = _block(step, known[id(source)], first, training)
        elif is_pool_alone(step):
            known[id(step.output)] = _pool(step, known[id(step.input)])
        elif is_dropout(step):
            x = known[id(step.input)]
            known[id(step.output)] = dropped(step, x) if training else x
        elif is_dense(step):
            known[id(step.output)] = _dense(step, known[id(step.input)])
        else:
            found = _called(step, known, training)
            known |= zip(map(id, as_list(step.output)), as_list(found), strict=True)
    return known[id(model.outputs[0])]


def _called(operation: Any, known: Mapping[int, Any], training: bool) -> Any:
    """Return the output of an operation of the graph."""
    arguments = operation._inbound_nodes[0].arguments
    args, kwargs = keras.tree.map_structure(
        lambda one: known[id(one)] if isinstance(one, keras.KerasTensor) else one,
        (arguments.args, arguments.kwargs),
    )
    mode = {"training": training} if isinstance(operation, keras.Layer) else {}
    return operation(*args, **{**kwargs, **mode})


class Pooled(NamedTuple):
    """What the layers behind a pool need of a map ``y = convolution(x)``.

    Attributes:
        maxima: (batch, windows, filters), with dropout of the values that are kept; `LOWEST` if
            there is none.
        mean: of the complete map, (filters,).
        variance: of the complete map, (filters,).
        kept: (batch, positions, filters), bool; None without dropout.
    """

    maxima: Any
    mean: Any
    variance: Any
    kept: Any = None


def _block(block: Block, x: Any, letters: bool, training: bool) -> Any:
    """Return a block's output; batch norm, bias and activations see the pooled map only."""
    convolution, norm = block.convolution, block.norm
    kernel = ops.convert_to_tensor(convolution.kernel)
    bias = ops.convert_to_tensor(convolution.bias) if convolution.use_bias else None
    sign = 1.0
    if norm is not None:
        sign = ops.stop_gradient(ops.where(ops.convert_to_tensor(norm.gamma) < 0, -1.0, 1.0))
    dropping = block if training else block._replace(dropout=None)
    pooled = _pooled(dropping, x, kernel if norm is None else kernel * sign, letters)
    absent = None if pooled.kept is None else pooled.maxima == LOWEST
    y = pooled.maxima if absent is None else ops.where(absent, 0.0, pooled.maxima)
    if bias is not None:
        y = y + bias * sign
    if norm is not None:
        mean, variance = pooled.mean if bias is None else pooled.mean + bias * sign, pooled.variance
        if training:
            _move(norm, mean * sign, variance)
        else:
            mean, variance = norm.moving_mean * sign, ops.convert_to_tensor(norm.moving_variance)
        scale = ops.convert_to_tensor(norm.gamma) * sign * ops.rsqrt(variance + norm.epsilon)
        y = (y - mean) * scale + ops.convert_to_tensor(norm.beta)
    y = convolution.activation(y)
    for layer in block.activations:
        y = layer([y] * CUBE) if isinstance(layer, layers.Multiply) else layer(y)
    return y if absent is None else _with_dropped(block, y, pooled.kept, absent)


def _move(norm: layers.BatchNormalization, mean: Any, variance: Any) -> None:
    """Update the moving averages."""
    for moving, new in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
        moving.assign(moving * norm.momentum + ops.stop_gradient(new) * (1.0 - norm.momentum))


def _with_dropped(block: Block, y: Any, kept: Any, absent: Any) -> Any:
    """Return the larger of the scaled maxima and the zeros of the values that are dropped.

    Args:
        block: with dropout and a pool.
        y: (batch, windows, filters), the largest kept values.
        kept: (batch, positions, filters), bool.
        absent: (batch, windows, filters), bool: no value is kept.
    """
    zeros = window_max(ops.where(kept, 0.0, 1.0), *_window(block.pool))
    below = ops.logical_and(zeros > 0, y < 0)
    return ops.where(ops.logical_or(absent, below), 0.0, y / (1.0 - _rate(block.dropout)))


def _pooled(block: Block, x: Any, kernel: Any, letters: bool) -> Pooled:
    stride, (window, step) = block.convolution.strides[0], _window(block.pool)
    batch, positions, _ = x.shape
    kept = _kept(block.dropout, (batch, -(-positions // stride), kernel.shape[2]))
    if stride == 1 and window == step and wide_pool.is_cheaper(x, kernel, window, letters):
        return Pooled(*wide_pool.pooled(x, kernel, window, kept, letters), kept)
    tables = letters and stride == 1 and from_tables(kernel, False)
    y = convolve_letters(x, kernel) if tables else convolve(x, kernel, stride)
    mean, variance = _moments(y)
    if kept is not None:
        y = ops.where(kept, y, LOWEST)
    maxima = window_max(y, window, step, stored=kept is None) if window > 1 else y
    return Pooled(maxima, mean, variance, kept)


@ops.custom_gradient
def _moments(y: Any) -> tuple[Any, Any]:
    """Return mean and variance (channels,) of a map, with a gradient in few passes over it."""
    mean = ops.mean(y, axis=(0, 1))
    variance = ops.mean(ops.square(y - mean), axis=(0, 1))
    count = float(y.shape[0] * y.shape[1])

    def gradient(*upstream: Any) -> Any:
        by_mean, by_variance = upstream[0] if len(upstream) == 1 else upstream
        return (y - mean) * (by_variance * (2.0 / count)) + by_mean / count

    return (mean, variance), gradient


def _window(pool: layers.MaxPooling1D | None) -> tuple[int, int]:
    """Return the window of a pool and its step."""
    return (pool.pool_size[0], pool.strides[0]) if pool is not None else (1, 1)


def _pool(layer: layers.MaxPooling1D, x: Any) -> Any:
    """Return the maxima of a pool that is no block's."""
    (window,), (step,) = layer.pool_size, layer.strides
    if layer.padding == "valid":
        x = x[:, : x.shape[1] // step * step]
    return window_max(x, window, step)


def _dense(layer: layers.Dense, x: Any) -> Any:
    """Return the output of a dense layer."""
    y = product(x, ops.convert_to_tensor(layer.kernel))
    return layer.activation(y + ops.convert_to_tensor(layer.bias) if layer.use_bias else y)


def dropped(layer: layers.Dropout, x: Any) -> Any:
    """Return the output of dropout in training."""
    kept = _kept(layer, x.shape)
    return x if kept is None else ops.where(kept, x / (1.0 - _rate(layer)), 0.0)


def _kept(layer: layers.Dropout | None, shape: tuple[int, ...]) -> Any:
    """Return which values of a map dropout keeps, bool; None if it drops none."""
    rate = _rate(layer)
    if layer is None or not rate:
        return None
    return random_bits.keep_mask(layer.seed_generator.next(), shape, rate)


def _rate(layer: layers.Dropout | None) -> float:
    """Return the share of values that dropout drops, a multiple of 1 / `MASK_LEVELS`."""
    levels = random_bits.MASK_LEVELS
    return 0.0 if layer is None else round(layer.rate * levels) / levels
