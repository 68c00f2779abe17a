"""The network's forward pass in training: equal to `model(x, training=True)`, with less work.

It adds no layers. It uses the weights, moving averages and seeds of the model's stock layers, and
the model is saved as it is. Four computations differ:

* **Pool before normalising.** Batch norm and activation are monotonic on each channel; a negative
  gamma reverses the order. So the maximum of ``activation(norm(y))`` is
  ``activation(norm(s * max(s * y)))``, where ``s`` is the sign of gamma. The statistics are still
  those of the complete map, but only the smaller, pooled map is normalised.
* **Dropout from 16 random bits** for each value instead of 32. The rate is rounded to 1 / 65,536,
  and the scale uses the rounded rate, so that the mean is exact.
* **Max-pools**, those outside blocks too, have a gradient without a scatter, see `pool`.
* **Convolutions** in faster forms of equal result, see `convolution`. Before a wide pool, the
  gradient of their map is never formed, see `wide_pool`.
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

from mlproject.geometry import as_list
from mlproject.network import backend, random_bits
from mlproject.network.fast_pass import wide_pool
from mlproject.network.fast_pass.convolution import convolve
from mlproject.network.fast_pass.plan import Block, is_pool_alone, plan
from mlproject.network.fast_pass.pool import window_max
from mlproject.network.step_parts import TrainingPass


def training_pass(model: keras.Model, sequences: Any) -> Any:
    """Return the scores of one-hot sequences in training, and update the moving averages.

    Args:
        model: one that `supports` takes.
        sequences: float32 (batch, length, 4), a tensor.

    Returns:
        float32 (batch, classes). Equal to ``model(sequences, training=True)`` up to rounding if the
        dropout rates are 0. If a window has several equal maxima, the first gets the gradient.
    """
    known = {id(model.inputs[0]): sequences}
    for step in plan(model):
        if isinstance(step, Block):
            known[id(step.output)] = _block(step, known[id(step.convolution.input)])
        elif is_pool_alone(step):
            known[id(step.output)] = _pool(step, known[id(step.input)])
        elif type(step) is layers.Dropout and step.noise_shape is None:
            known[id(step.output)] = _dropout(step, known[id(step.input)])
        else:
            found = _called(step, known)
            known |= zip(map(id, as_list(step.output)), as_list(found), strict=True)
    return known[id(model.outputs[0])]


def supports(model: keras.Model) -> bool:
    """Return whether `training_pass` computes a part of a model in another way than the model.

    That part are its blocks, see `plan` (a convolution with ``same`` padding and without dilation,
    batch norm or none, a monotonic activation, a max-pool), and other max-pools.
    """
    if any(layer.compute_dtype != "float32" for layer in model.layers):
        return False
    return any(isinstance(step, Block) or is_pool_alone(step) for step in plan(model))


def choose(model: keras.Model) -> tuple[TrainingPass, str]:
    """Return the pass to train with and its name.

    ``fast`` is `training_pass`, for models that it `supports` on a processor; ``model`` is the
    model's own.

    On a GPU `training_pass` is no faster, and on one GPU (H100, JAX 0.11.2) trainings with it had
    corrupted weights; see docs/reproduction/koo_eddy_2019/notes.md.
    """
    if backend.on_processor() and supports(model):
        return training_pass, "fast"
    return lambda model, x: model(x, training=True), "model"


def _called(operation: Any, known: Mapping[int, Any]) -> Any:
    """Return the output of an operation of the graph in training."""
    arguments = operation._inbound_nodes[0].arguments
    args, kwargs = keras.tree.map_structure(
        lambda one: known[id(one)] if isinstance(one, keras.KerasTensor) else one,
        (arguments.args, arguments.kwargs),
    )
    training = {"training": True} if isinstance(operation, keras.Layer) else {}
    return operation(*args, **{**kwargs, **training})


def _block(block: Block, x: Any) -> Any:
    """Return a block's output; batch norm, bias and activation see the pooled map only."""
    convolution, norm = block.convolution, block.norm
    kernel = ops.convert_to_tensor(convolution.kernel)
    bias = ops.convert_to_tensor(convolution.bias) if convolution.use_bias else None
    if norm is None:
        y, *_ = _pooled(x, kernel, convolution.strides[0], block.pool)
        y = y if bias is None else y + bias
    else:
        y = _pooled_norm(kernel, bias, convolution.strides[0], norm, block.pool, x)
    y = convolution.activation(y)
    return y if block.activation is None else block.activation(y)


def _pooled_norm(
    kernel: Any,
    bias: Any,
    stride: int,
    norm: layers.BatchNormalization,
    pool: layers.MaxPooling1D | None,
    x: Any,
) -> Any:
    """Return the normalised maxima of the convolution; the statistics are of its complete map."""
    gamma = ops.convert_to_tensor(norm.gamma)
    sign = ops.stop_gradient(ops.where(gamma < 0, -1.0, 1.0))
    maxima, mean, variance = _pooled(x, kernel * sign, stride, pool)
    if bias is not None:
        maxima, mean = maxima + bias * sign, mean + bias * sign
    for moving, new in ((norm.moving_mean, mean * sign), (norm.moving_variance, variance)):
        moving.assign(moving * norm.momentum + ops.stop_gradient(new) * (1.0 - norm.momentum))
    scale = gamma * sign * ops.rsqrt(variance + norm.epsilon)
    return (maxima - mean) * scale + ops.convert_to_tensor(norm.beta)


def _pooled(
    x: Any, kernel: Any, stride: int, pool: layers.MaxPooling1D | None
) -> tuple[Any, Any, Any]:
    """Return the maxima of the convolution, and mean and variance of its map by channel."""
    window, step = (pool.pool_size[0], pool.strides[0]) if pool is not None else (1, 1)
    if stride == 1 and window == step and wide_pool.is_cheaper(x, kernel, window):
        return wide_pool.pooled(x, kernel, window)
    y = convolve(x, kernel, stride)
    mean = ops.mean(y, axis=(0, 1))
    variance = ops.mean(ops.square(y - ops.stop_gradient(mean)), axis=(0, 1))
    maxima = window_max(y, window, step, stored=True) if window > 1 else y
    return maxima, mean, variance


def _pool(layer: layers.MaxPooling1D, x: Any) -> Any:
    """Return the maxima of a pool that is no block's."""
    (window,), (step,) = layer.pool_size, layer.strides
    if layer.padding == "valid":
        x = x[:, : x.shape[1] // step * step]
    return window_max(x, window, step)


def _dropout(layer: layers.Dropout, x: Any) -> Any:
    rate = round(layer.rate * random_bits.MASK_LEVELS) / random_bits.MASK_LEVELS
    if not rate:
        return x
    kept = random_bits.keep_mask(layer.seed_generator.next(), x.shape, rate)
    return ops.where(kept, x / (1.0 - rate), 0.0)
