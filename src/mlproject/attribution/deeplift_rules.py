"""DeepLIFT's rules for the operations of a Keras graph, as values with a rescaled gradient.

A *pair* holds the values for the sequence and for its reference. Each rule returns a pair whose
first value has DeepLIFT's multipliers as its gradient: contributions of the inputs sum to the
difference of the outputs. Linear operations need no rule.

Sources: Shrikumar, Greenside & Kundaje, ICML 2017 (rescale rule); products share the interaction
equally between the factors, as in SHAP and captum.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from mlproject.geometry import window_of
from mlproject.network.relative_attention import RelativeAttention
from mlproject.system.errors import UserError

Pair = tuple[Any, Any]
Function = Callable[..., Any]

SMALL = 1e-6
LINEAR = {
    "Add", "Average", "AveragePooling1D", "BatchNormalization", "Concatenate", "Cropping1D",
    "Dropout", "Flatten", "Flip", "GlobalAveragePooling1D", "Identity", "Mean", "Permute",
    "Rescaling", "Reshape", "SpatialDropout1D", "Subtract", "ZeroPadding1D",
}  # fmt: skip
ELEMENTWISE = {"ELU", "LeakyReLU", "PReLU", "ReLU"}


def propagate(operation: Any, pairs: list[Pair]) -> Pair:
    """Return the outputs of an operation for sequence and reference.

    Args:
        operation: of the graph of a model, with one output and a rule.
        pairs: its inputs.
    """
    return RULES[type(operation).__name__](operation, pairs)


def check_rule(operation: Any) -> None:
    """Raise a `UserError` if an operation has no rule."""
    kind = type(operation).__name__
    own = isinstance(operation, RelativeAttention)
    if kind not in RULES or not (own or type(operation).__module__.startswith("keras.")):
        raise UserError(
            f"`deeplift` has no rule for the layer {operation.name} ({kind}): "
            "use integrated_gradients, or ism"
        )


def rescale(function: Function, pair: Pair) -> Pair:
    """Return an elementwise function of a pair; the gradient is the ratio of the differences."""
    if function is keras.activations.linear:
        return pair
    x, r = pair
    y, z = function(x), function(r)
    step = ops.stop_gradient(x - r)
    far = ops.abs(step) > SMALL
    slope = ops.stop_gradient(y - z) / ops.where(far, step, 1.0)
    line = ops.stop_gradient(y) + slope * (x - ops.stop_gradient(x))
    return ops.where(far, line, y), z


def product(function: Function, one: Pair, other: Pair) -> Pair:
    """Return a bilinear function of two pairs; each factor's weight is the other's mean."""
    (a, c), (b, d) = one, other
    y = ops.stop_gradient(function(a, b))
    first = function(a - ops.stop_gradient(a), ops.stop_gradient((b + d) / 2))
    second = function(ops.stop_gradient((a + c) / 2), b - ops.stop_gradient(b))
    return y + first + second, function(c, d)


def softmax(pair: Pair, axis: int) -> Pair:
    """Return the softmax of a pair: exponentials times the reciprocal of their sum."""
    x, r = pair
    top = ops.stop_gradient(
        ops.maximum(ops.max(x, axis, keepdims=True), ops.max(r, axis, keepdims=True))
    )
    powers = rescale(ops.exp, (x - top, r - top))
    sums = (ops.sum(powers[0], axis, keepdims=True), ops.sum(powers[1], axis, keepdims=True))
    return product(ops.multiply, powers, rescale(ops.reciprocal, sums))


def _layer_norm(layer: keras.Layer, pair: Pair) -> Pair:
    """Return a layer norm: centred values times the reciprocal of their standard deviation."""
    centred = tuple(one - ops.mean(one, axis=-1, keepdims=True) for one in pair)
    squares = rescale(ops.square, (centred[0], centred[1]))
    spread = tuple(ops.mean(one, axis=-1, keepdims=True) + layer.epsilon for one in squares)
    y, z = product(
        ops.multiply, (centred[0], centred[1]), rescale(ops.rsqrt, (spread[0], spread[1]))
    )
    gamma = layer.gamma if layer.scale else 1.0
    beta = layer.beta if layer.center else 0.0
    return y * gamma + beta, z * gamma + beta


def _attention(layer: RelativeAttention, pair: Pair) -> Pair:
    """Return self-attention: products of queries and keys, softmax, products with values."""
    parts = [layer.split(one) for one in pair]
    query, key, value = zip(*parts, strict=True)
    y, z = product(layer.scores, query, key)
    bias = layer.relative()
    y, z = product(layer.weighted, softmax((y + bias, z + bias), -1), value)
    return layer.joined(y), layer.joined(z)


def _affine(layer: keras.Layer, x: Any) -> Any:
    """Return a convolution or dense layer without its activation."""
    if isinstance(layer, layers.Dense):
        y = ops.matmul(x, layer.kernel)
    else:
        padding = layer.padding
        if padding == "causal":
            before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
            x, padding = ops.pad(x, ((0, 0), (before, 0), (0, 0))), "valid"
        y = ops.conv(x, layer.kernel, layer.strides, padding, "channels_last", layer.dilation_rate)
    return y + layer.bias if layer.use_bias else y


def _pool(window: np.ndarray, pair: Pair) -> Pair:
    """Return the maxima over windows (outputs, positions); one position explains each of them."""
    views = [ops.take(one, window, axis=1) for one in pair]
    y, z = (ops.max(view, axis=2) for view in views)
    best = [ops.argmax(view, axis=2) for view in views]
    place = ops.expand_dims(ops.where(y >= z, *best), 2)
    taken = ops.cast(place == np.arange(window.shape[1])[:, None], pair[0].dtype)
    here, there = (ops.sum(view * taken, axis=2) for view in views)
    step = ops.stop_gradient(here - there)
    far = ops.abs(step) > SMALL
    slope = ops.where(far, ops.stop_gradient(y - z) / ops.where(far, step, 1.0), 1.0)
    return ops.stop_gradient(y) + slope * (here - ops.stop_gradient(here)), z


def _windows(layer: keras.Layer, length: int) -> np.ndarray:
    """Return the positions that each output of a max-pool reads, (outputs, pool).

    Positions outside the map are replaced by the nearest one inside. The maximum stays the same.
    """
    window = window_of(layer)
    starts = window.start(np.arange(window.outputs(length)), length)
    return np.clip(starts[:, None] + np.arange(window.size), 0, length - 1).astype(np.int32)


def _linear(operation: Any, pairs: list[Pair]) -> Pair:
    merges = isinstance(operation.input, list | tuple)
    x, r = ([one[side] for one in pairs] for side in (0, 1))
    return (operation(x), operation(r)) if merges else (operation(x[0]), operation(r[0]))


def _activated(layer: keras.Layer, pairs: list[Pair]) -> Pair:
    affine = (_affine(layer, pairs[0][0]), _affine(layer, pairs[0][1]))
    return rescale(layer.activation, affine)


def _global_pool(layer: keras.Layer, pairs: list[Pair]) -> Pair:
    y, z = _pool(np.arange(pairs[0][0].shape[1])[None], pairs[0])
    return y[:, 0], z[:, 0]


def _multiplied(layer: keras.Layer, pairs: list[Pair]) -> Pair:
    found = pairs[0]
    for pair in pairs[1:]:
        found = product(ops.multiply, found, pair)
    return found


RULES: dict[str, Callable[[Any, list[Pair]], Pair]] = {
    **dict.fromkeys(LINEAR, _linear),
    **dict.fromkeys(ELEMENTWISE, lambda layer, pairs: rescale(layer, pairs[0])),
    **dict.fromkeys(("Conv1D", "Dense"), _activated),
    "Activation": lambda layer, pairs: rescale(layer.activation, pairs[0]),
    "MaxPooling1D": lambda layer, pairs: _pool(_windows(layer, pairs[0][0].shape[1]), pairs[0]),
    "GlobalMaxPooling1D": _global_pool,
    "Multiply": _multiplied,
    "Softmax": lambda layer, pairs: softmax(pairs[0], layer.axis),
    "LayerNormalization": lambda layer, pairs: _layer_norm(layer, pairs[0]),
    "RelativeAttention": lambda layer, pairs: _attention(layer, pairs[0]),
}
