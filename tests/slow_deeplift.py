"""DeepLIFT written out: from the outputs back to the inputs, one rule after the other, in numpy.

Linear operations are probed with one unit vector after the other, so nothing here needs gradients.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from mlproject.geometry import as_list, window_of
from mlproject.network.relative_attention import RelativeAttention

Array = np.ndarray
SMALL = 1e-6
LINEAR = {
    "Add", "AveragePooling1D", "BatchNormalization", "Concatenate", "Conv1D", "Cropping1D", "Dense",
    "DepthwiseConv1D", "Dropout", "ExpandDims", "Flatten", "Flip", "GetItem",
    "GlobalAveragePooling1D", "Mean", "Negative", "Permute", "Rescaling", "Reshape",
    "SeparableConv1D", "Subtract", "Sum", "Transpose",
}  # fmt: skip
CURVED = {
    "Activation", "Exp", "Log1p", "Power", "ReLU", "Relu", "Rsqrt", "Sigmoid", "Silu", "Softplus",
    "Sqrt", "Square", "Tanh",
}  # fmt: skip


def slow_multipliers(model: keras.Model, x: Array, r: Array, chosen: int) -> Array:
    """Return the multipliers (L, 4) of output `chosen` for a sequence and its reference (L, 4)."""
    values = {id(model.inputs[0]): (_one(x), _one(r))}
    operations = [one for one in model.operations if not isinstance(one, layers.InputLayer)]
    for operation in operations:
        pairs = [values[id(one)] for one in as_list(operation.input)]
        outputs = tuple(_call(operation, *(pair[side] for pair in pairs)) for side in (0, 1))
        values[id(operation.output)] = (outputs[0], outputs[1])
    found = {one: np.zeros_like(pair[0]) for one, pair in values.items()}
    found[id(model.outputs[0])][0, chosen] = 1.0
    for operation in reversed(operations):
        tensors = as_list(operation.input)
        pairs = [values[id(one)] for one in tensors]
        own = _back(operation, pairs, values[id(operation.output)], found[id(operation.output)])
        for tensor, part in zip(tensors, own, strict=True):
            found[id(tensor)] = found[id(tensor)] + part
    return found[id(model.inputs[0])][0]


def _one(x: Array) -> Array:
    return x[None].astype(np.float64)


def _call(operation: Any, *inputs: Array) -> Array:
    """Return an operation with its own constants on other inputs."""
    node = operation._inbound_nodes[0].arguments
    rest = iter([one.astype(np.float32) for one in inputs])
    args, kwargs = keras.tree.map_structure(
        lambda one: next(rest) if isinstance(one, keras.KerasTensor) else one,
        (node.args, node.kwargs),
    )
    return np.asarray(keras.ops.convert_to_numpy(operation(*args, **kwargs)), np.float64)


def _back(operation: Any, pairs: list[Any], outputs: Any, m: Array) -> list[Array]:
    """Return the multipliers of an operation's inputs from those of its output."""
    kind = type(operation).__name__
    activation = getattr(operation, "activation", None)
    if kind in LINEAR and activation in (None, keras.activations.linear):
        return _linear(operation, pairs, m)
    if kind in LINEAR:
        assert activation is not None
        operation.activation = keras.activations.linear
        inner = tuple(_call(operation, pairs[0][side]) for side in (0, 1))
        own = _linear(operation, pairs, m * _ratio(inner, outputs, activation))
        operation.activation = activation
        return own
    if kind in CURVED or (len(pairs) == 1 and kind not in RULES):
        return [m * _ratio(pairs[0], outputs, lambda x: _call(operation, x))]
    return RULES[kind](operation, pairs, m)


def _ratio(inputs: Any, outputs: Any, function: Callable[[Array], Any]) -> Array:
    """Return differences of outputs over those of inputs; the slope where these agree."""
    (x, r), (y, z) = inputs, outputs
    near = np.abs(x - r) <= SMALL
    far = (y - z) / np.where(near, 1.0, x - r)
    step = 1e-2
    above, below = (np.asarray(function(one), np.float64) for one in (x + step, x - step))
    return np.where(near, (above - below) / (2 * step), far)


def _linear(operation: Any, pairs: list[Any], m: Array) -> list[Array]:
    if type(operation).__name__ == "Concatenate" and as_list(operation.axis) == [0]:
        return list(np.split(m, len(pairs)))
    if type(operation).__name__ == "Mean" and as_list(operation.axis) == [0]:
        return [np.broadcast_to(m, pairs[0][0].shape) / len(pairs[0][0])]
    if pairs[0][0].size == m.size and type(operation).__name__ == "Reshape":
        return [m.reshape(pairs[0][0].shape)]
    return [_probed(operation, pairs, number, m) for number in range(len(pairs))]


def _probed(operation: Any, pairs: list[Any], number: int, m: Array) -> Array:
    """Move each value of one input by 1, and see what that does to the output."""
    shape = pairs[number][0].shape
    size = int(np.prod(shape[1:]))
    zeros = [np.zeros((size, *pair[0].shape[1:])) for pair in pairs]
    moved = [one.copy() for one in zeros]
    moved[number] = np.eye(size).reshape(size, *shape[1:])
    effect = _call(operation, *moved) - _call(operation, *zeros)
    rows = [(effect * one).reshape(size, -1).sum(axis=1).reshape(shape[1:]) for one in m]
    return np.stack(rows)


def _max_pool(layer: Any, pairs: list[Any], m: Array) -> list[Array]:
    x, r = pairs[0]
    length = x.shape[1]
    if isinstance(layer, layers.MaxPooling1D):
        window = window_of(layer)
        starts = [int(window.start(one, length)) for one in range(window.outputs(length))]
        spans = [range(max(one, 0), min(one + window.size, length)) for one in starts]
    else:
        spans, m = [range(length)], m.reshape(len(m), 1, -1)
    found = np.zeros_like(x)
    for row, channel in np.ndindex(len(x), x.shape[2]):
        for output, span in enumerate(spans):
            a, b = (one[row, span, channel] for one in (x, r))
            place = span[int(np.argmax(a) if a.max() >= b.max() else np.argmax(b))]
            step = x[row, place, channel] - r[row, place, channel]
            slope = (a.max() - b.max()) / step if abs(step) > SMALL else 1.0
            found[row, place, channel] += m[row, output, channel] * slope
    return [found]


def _softmax(operation: Any, pairs: list[Any], m: Array, axis: int | None = None) -> list[Array]:
    x, r = pairs[0]
    axis = operation.axis if axis is None else axis
    e, f = np.exp(x), np.exp(r)
    s, t = (one.sum(axis=axis, keepdims=True) for one in (e, f))
    of_inverse = (m * (e + f) / 2).sum(axis=axis, keepdims=True)
    of_sum = of_inverse * _ratio((s, t), (1 / s, 1 / t), lambda one: 1 / one)
    return [(m * (1 / s + 1 / t) / 2 + of_sum) * _ratio((x, r), (e, f), np.exp)]


def _multiply(operation: Any, pairs: list[Any], m: Array) -> list[Array]:
    if len(pairs) == 1:
        return [_probed(operation, pairs, 0, m)]
    (a, c), (b, d) = pairs
    return [_summed(m * (b + d) / 2, a.shape), _summed(m * (a + c) / 2, b.shape)]


def _divide(operation: Any, pairs: list[Any], m: Array) -> list[Array]:
    if len(pairs) == 1:
        outputs = tuple(_call(operation, one) for one in pairs[0])
        return [m * _ratio(pairs[0], outputs, lambda x: _call(operation, x))]
    (a, c), (b, d) = pairs
    inverse = _ratio((b, d), (1 / b, 1 / d), lambda one: 1 / one)
    own = _summed(m * (1 / b + 1 / d) / 2, a.shape)
    return [own, _summed(m * (a + c) / 2, b.shape) * inverse]


def _summed(m: Array, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which an input was repeated."""
    axes = tuple(one for one in range(m.ndim) if shape[one] == 1 and m.shape[one] > 1)
    return m.sum(axis=axes, keepdims=True) if axes else m


def _maximum(operation: Any, pairs: list[Any], m: Array) -> list[Array]:
    if len(pairs) == 1:
        outputs = tuple(_call(operation, one) for one in pairs[0])
        return [m * _ratio(pairs[0], outputs, lambda x: _call(operation, x))]
    (a, c), (b, d) = pairs
    over = _ratio(
        (a - b, c - d), (np.maximum(a - b, 0), np.maximum(c - d, 0)), lambda x: np.maximum(x, 0)
    )
    return [m * over, m * (1 - over)]


def _layer_norm(layer: Any, pairs: list[Any], m: Array) -> list[Array]:
    x, r = ((one - one.mean(axis=-1, keepdims=True)) for one in pairs[0])
    m = m * np.asarray(layer.gamma)
    v, w = ((one**2).mean(axis=-1, keepdims=True) + layer.epsilon for one in (x, r))
    of_inverse = (m * (x + r) / 2).sum(axis=-1, keepdims=True)
    inverse = _ratio((v, w), (v**-0.5, w**-0.5), lambda one: np.abs(one) ** -0.5)
    of_square = of_inverse * inverse / x.shape[-1]
    own = m * (v**-0.5 + w**-0.5) / 2 + of_square * (x + r)
    return [own - own.mean(axis=-1, keepdims=True)]


def _attention(layer: RelativeAttention, pairs: list[Any], m: Array) -> list[Array]:
    kernel = np.asarray(layer.query_key_value.kernel, np.float64)
    shape = (layer.positions, 3, layer.heads, layer.key)
    (q, k, v), (p, j, w) = (np.moveaxis((one[0] @ kernel).reshape(shape), 1, 0) for one in pairs[0])
    bias, scale = np.asarray(layer.relative(), np.float64), layer.key**-0.5
    s, t = (np.einsum("qhc,khc->hqk", *one) * scale + bias for one in ((q, k), (p, j)))
    weights = [np.exp(one) / np.exp(one).sum(axis=-1, keepdims=True) for one in (s, t)]
    of_joined = (m[0] @ np.asarray(layer.output_dense.kernel, np.float64).T).reshape(q.shape)
    of_weights = np.einsum("qhc,khc->hqk", of_joined, (v + w) / 2)
    of_value = np.einsum("qhc,hqk->khc", of_joined, sum(weights) / 2)
    (of_scores,) = _softmax(None, [(s, t)], of_weights, axis=-1)
    of_query = np.einsum("hqk,khc->qhc", of_scores, (k + j) / 2) * scale
    of_key = np.einsum("hqk,qhc->khc", of_scores, (q + p) / 2) * scale
    joined = np.stack([of_query, of_key, of_value], axis=1).reshape(layer.positions, -1)
    return [(joined @ kernel.T)[None]]


RULES: dict[str, Callable[..., list[Array]]] = {
    "MaxPooling1D": _max_pool, "GlobalMaxPooling1D": _max_pool, "Softmax": _softmax,
    "Multiply": _multiply, "Divide": _divide, "TrueDivide": _divide, "Maximum": _maximum,
    "LayerNormalization": _layer_norm, "RelativeAttention": _attention,
}  # fmt: skip
