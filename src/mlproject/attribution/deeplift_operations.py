"""DeepLIFT's rules for operations of `keras.ops` in the graph of a model.

An operation with one input and constants, such as ``2 / x``, is a function of that input. Those of
`SUMS` are linear in their inputs, those of `PRODUCTS` bilinear in two.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from mlproject.attribution.deeplift_pairs import (
    Pair,
    larger,
    largest,
    product,
    quotient,
    rescale,
    softmax,
)
from mlproject.geometry import FUNCTIONS, as_list

Rule = Callable[[Any, list[Pair]], Pair]

SUMS = {
    "Add", "Average", "BroadcastTo", "Concatenate", "Conjugate", "Copy", "Cumsum", "Diff",
    "ExpandDims", "Flip", "GetItem", "Hstack", "Mean", "Moveaxis", "Negative", "Pad", "Ravel",
    "Real", "Repeat", "Reshape", "Roll", "Squeeze", "Stack", "Subtract", "Sum", "Swapaxes", "Take",
    "Tile", "Transpose", "Vstack",
}  # fmt: skip
EXTREMES = ("Max", "Amax", "Min", "Amin")
PRODUCTS = {"Dot", "Einsum", "Inner", "Matmul", "Multiply", "Outer", "Tensordot"}


def applied(operation: Any, *values: Any) -> Any:
    """Return an operation of a graph, with its constants, on other values than its own inputs."""
    node = operation._inbound_nodes[0]
    rest = iter(values)

    def replaced(one: Any) -> Any:
        return next(rest) if isinstance(one, keras.KerasTensor) else one

    arguments = (node.arguments.args, node.arguments.kwargs)
    args, kwargs = keras.tree.map_structure(replaced, arguments)
    return operation(*args, **kwargs)


def has_rule(operation: Any) -> bool:
    """Return whether an operation of `keras.ops` has a rule for its number of inputs and axes."""
    kind, inputs = type(operation).__name__, len(as_list(operation.input))
    if kind in FUNCTIONS or kind == "Power":
        return inputs == 1
    if kind in EXTREMES:
        return operation.axis is not None and 0 not in as_list(operation.axis)
    return kind in OPERATIONS and (kind not in PRODUCTS or inputs <= 2)


def linear(operation: Any, pairs: list[Pair]) -> Pair:
    """Return an operation that is linear in all its inputs together."""
    x, r = (applied(operation, *(one[side] for one in pairs)) for side in (0, 1))
    return x, r


def _function(operation: Any, pairs: list[Pair]) -> Pair:
    return rescale(lambda x: applied(operation, x), pairs[0])


def _product(operation: Any, pairs: list[Pair]) -> Pair:
    if len(pairs) == 1:
        return linear(operation, pairs)
    return product(lambda a, b: applied(operation, a, b), *pairs)


def _quotient(operation: Any, pairs: list[Pair]) -> Pair:
    if len(pairs) == 2:
        return quotient(*pairs)
    above = isinstance(operation._inbound_nodes[0].arguments.args[0], keras.KerasTensor)
    return linear(operation, pairs) if above else _function(operation, pairs)


def _larger(operation: Any, pairs: list[Pair]) -> Pair:
    return _function(operation, pairs) if len(pairs) == 1 else larger(*pairs)


def _smaller(operation: Any, pairs: list[Pair]) -> Pair:
    if len(pairs) == 1:
        return _function(operation, pairs)
    y, z = larger(*((-x, -r) for x, r in pairs))
    return -y, -z


def _over_axis(operation: Any, pairs: list[Pair]) -> Pair:
    """Return the maxima, or minima, over axes behind the batch."""
    x, r = pairs[0]
    sign = 1.0 if type(operation).__name__ in ("Max", "Amax") else -1.0
    axes = [one % len(x.shape) for one in as_list(operation.axis)]
    rest = [one for one in range(1, len(x.shape)) if one not in axes]
    count = int(np.prod([x.shape[one] for one in axes]))
    maps = [
        ops.reshape(ops.transpose(sign * one, (0, *axes, *rest)), (-1, count, _size(x, rest)))
        for one in (x, r)
    ]
    y, z = largest(np.arange(count)[None], (maps[0], maps[1]))
    shape = tuple(operation.output.shape[1:])
    return sign * ops.reshape(y, (-1, *shape)), sign * ops.reshape(z, (-1, *shape))


def _size(x: Any, axes: list[int]) -> int:
    return int(np.prod([x.shape[one] for one in axes]))


OPERATIONS: dict[str, Rule] = {
    **dict.fromkeys(SUMS, linear),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(FUNCTIONS, _function),
    **dict.fromkeys(("Divide", "TrueDivide"), _quotient),
    **dict.fromkeys(EXTREMES, _over_axis),
    "Maximum": _larger,
    "Minimum": _smaller,
    "Power": _function,
    "Softmax": lambda operation, pairs: softmax(pairs[0], operation.axis),
}
