"""The network's forward pass in training: equal to `model(x, training=True)`, with less work.

It adds no layers. It uses the weights, moving averages and seeds of the model's stock layers, and
the model is saved as it is. Three computations differ:

* **Pool before normalising.** Batch norm and activation are monotonic on each channel; a negative
  gamma reverses the order. So the maximum of ``activation(norm(y))`` is
  ``activation(norm(s * max(s * y)))``, where ``s`` is the sign of gamma. The statistics are still
  those of the complete map, but only the smaller, pooled map is normalised.
* **Dropout from 16 random bits** for each value instead of 32. The rate is rounded to 1 / 65,536,
  and the scale uses the rounded rate, so that the mean is exact.
* **Convolutions** in faster forms of equal result, see `convolution`. Before a wide pool, the
  gradient of their map is never formed, see `wide_pool`.
"""

from typing import Any

import keras
from keras import layers, ops

from mlproject.network import backend, random_bits
from mlproject.network.fast_pass import wide_pool
from mlproject.network.fast_pass.convolution import convolve
from mlproject.network.fast_pass.pool import window_max
from mlproject.network.step_parts import TrainingPass

CHAINED = (
    layers.Dropout,
    layers.Flatten,
    layers.Dense,
    layers.BatchNormalization,
    layers.Activation,
)


def training_pass(model: keras.Model, sequences: Any) -> Any:
    """Return the scores of one-hot sequences in training, and update the moving averages.

    Args:
        model: as `mlproject.network.build.build` returns it: a chain of layers.
        sequences: float32 (batch, length, 4), a tensor.

    Returns:
        float32 (batch, classes). Equal to ``model(sequences, training=True)`` up to rounding if the
        dropout rates are 0. If a window has several equal maxima, the first gets the gradient.
    """
    x, rest = sequences, list(model.layers[1:])
    while rest:
        layer = rest.pop(0)
        if isinstance(layer, layers.Conv1D):
            norm, activation = rest.pop(0), rest.pop(0)
            pool = rest.pop(0) if isinstance(rest[0], layers.MaxPooling1D) else None
            x = activation(_pooled_norm(layer, norm, pool, x))
        elif isinstance(layer, layers.Dropout):
            x = _dropout(layer, x)
        else:
            x = layer(x, training=True)
    return x


def supports(model: keras.Model) -> bool:
    """Return whether `training_pass` can train a model.

    The layers must form a chain of blocks (convolution without bias, dilation or `valid` padding;
    batch norm; activation; perhaps a `same` max-pool) and of other layers after each other.
    """
    rest = list(model.layers[1:])
    if not _is_chain(model) or any(layer.compute_dtype != "float32" for layer in rest):
        return False
    while rest:
        layer = rest.pop(0)
        if isinstance(layer, layers.Conv1D):
            plain = layer.padding == "same" and not layer.use_bias and layer.dilation_rate == (1,)
            kinds = [type(one) for one in rest[:2]]
            if not plain or kinds != [layers.BatchNormalization, layers.Activation]:
                return False
            del rest[:2]
            pooled = bool(rest) and isinstance(rest[0], layers.MaxPooling1D)
            if pooled and rest.pop(0).padding != "same":
                return False
        elif type(layer) not in CHAINED:
            return False
    return True


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


def _is_chain(model: keras.Model) -> bool:
    """Return whether each layer reads the output of the layer before it, and nothing else."""
    pairs = zip(model.layers, model.layers[1:], strict=False)
    chained = all(after.input is before.output for before, after in pairs)
    return chained and len(model.operations) == len(model.layers)


def _pooled_norm(
    convolution: layers.Conv1D,
    norm: layers.BatchNormalization,
    pool: layers.MaxPooling1D | None,
    x: Any,
) -> Any:
    """Return the normalised maxima of the convolution; the statistics are of its complete map."""
    gamma = ops.convert_to_tensor(norm.gamma)
    sign = ops.stop_gradient(ops.where(gamma < 0, -1.0, 1.0))
    kernel = ops.convert_to_tensor(convolution.kernel) * sign
    maxima, mean, variance = _pooled(x, kernel, convolution.strides[0], pool)
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
    return window_max(y, window, step) if window > 1 else y, mean, variance


def _dropout(layer: layers.Dropout, x: Any) -> Any:
    rate = round(layer.rate * random_bits.MASK_LEVELS) / random_bits.MASK_LEVELS
    if not rate:
        return x
    kept = random_bits.keep_mask(layer.seed_generator.next(), x.shape, rate)
    return ops.where(kept, x / (1.0 - rate), 0.0)
