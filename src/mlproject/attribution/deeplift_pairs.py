"""DeepLIFT's rules as functions of pairs: values whose gradient is a multiplier.

A *pair* holds the values for the sequence and for its reference. Each rule returns a pair whose
first value has DeepLIFT's multipliers as its gradient: contributions of the inputs sum to the
difference of the outputs.

Sources: Shrikumar, Greenside & Kundaje, ICML 2017 (rescale rule); products share the interaction
equally between the factors, as in SHAP and captum.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

Pair = tuple[Any, Any]
Function = Callable[..., Any]

SMALL = 1e-6


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


def largest(window: np.ndarray, pair: Pair) -> Pair:
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


def larger(one: Pair, other: Pair) -> Pair:
    """Return the larger of two pairs, value by value: the second, and what the first exceeds it."""
    (a, c), (b, d) = one, other
    y, z = rescale(ops.relu, (a - b, c - d))
    return b + y, d + z


def quotient(one: Pair, other: Pair) -> Pair:
    """Return one pair divided by another: a product with the reciprocal."""
    return product(ops.multiply, one, rescale(ops.reciprocal, other))
