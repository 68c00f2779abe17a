"""The maximum of each few neighbours of a map, as in a pool whose windows overlap.

The maxima of 1, 2, 4, ... neighbours are computed in turn. A loop does this, not one expression:
XLA would compute the maxima of all turns again for each value of the last one and of its gradient,
and a block would take twice as long (``benchmarks/candidates.py``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

INFINITE = float("inf")


def max_of_neighbours(values: Any, number: int) -> Any:
    """Return the maximum of each `number` neighbours.

    Of several equal maxima the first gets the gradient.

    Args:
        values: (batch, positions, channels).
        number: neighbours, 2 or more, at most the number of positions.

    Returns:
        (batch, positions - number + 1, channels).
    """
    distances = ops.convert_to_tensor(np.array(_distances(number), "int32"))
    turns, positions = distances.shape[0], values.shape[1]

    @ops.custom_gradient
    def largest(values: Any) -> tuple[Any, Callable[..., Any]]:
        def combine(turn: Any, maxima: Any) -> Any:
            of_fewer = maxima[turn]
            later = _moved(of_fewer, distances[turn], number, -INFINITE)
            return ops.slice_update(maxima, (turn + 1, 0, 0, 0), ops.maximum(of_fewer, later)[None])

        def gradient(upstream: Any) -> Any:
            upstream = ops.pad(upstream, [[0, 0], [0, number - 1], [0, 0]])
            return ops.fori_loop(0, turns, divide, upstream)

        def divide(done: Any, upstream: Any) -> Any:
            turn = turns - 1 - done
            of_fewer, distance = maxima[turn], -distances[turn]
            first = of_fewer >= maxima[turn + 1]
            second = of_fewer > _moved(of_fewer, distance, number, INFINITE)
            earlier = _moved(upstream, distance, number, 0.0)
            return ops.where(first, upstream, 0.0) + ops.where(second, earlier, 0.0)

        maxima = ops.zeros((turns + 1, *values.shape), values.dtype)
        maxima = ops.slice_update(maxima, (0, 0, 0, 0), values[None])
        maxima = ops.fori_loop(0, turns, combine, maxima)
        return maxima[turns][:, : positions - number + 1], gradient

    return largest(values)


def _distances(number: int) -> list[int]:
    """Return how far the two maxima lie apart that each turn combines."""
    distances, covered = [], 1
    while covered < number:
        distances.append(min(covered, number - covered))
        covered += distances[-1]
    return distances


def _moved(values: Any, distance: Any, most: int, filler: float) -> Any:
    """Return the values that lie `distance` positions later, `filler` beyond the ends.

    Args:
        values: (batch, positions, channels).
        distance: an int32 scalar, -most to most.
        most: the largest distance.
        filler: a number.
    """
    edges = [[0, 0], [most, most], [0, 0]]
    wide = ops.pad(values, edges, constant_values=filler)
    return ops.slice(wide, (0, most + distance, 0), values.shape)
