"""Sums over all windows of a map: what mean and covariance of the windows are computed from.

A window of `width` positions and c channels is a row of ``width * c`` numbers. The sum of the
products of these rows with themselves takes ``(width * c) ** 2`` multiply-adds for each window. Two
ways take less work. Both first compute the products of positions, ``sum z[p, i] z[p + d, j]`` for
each distance d within a window:

* `_by_blocks`: of a few positions with all that follow within a window. For few channels.
* `_by_distances`: of all positions by a convolution of the map with itself. Windows that do not
  exist are taken away then.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from mlproject.sequence import LETTERS

BLOCK = 4  # positions


def window_sums(z: Any, width: int) -> tuple[Any, Any]:
    """Return the sum of all windows of a map and the sum of their products with themselves.

    Args:
        z: (batch, positions, channels).
        width: positions a window, at most the number of positions.

    Returns:
        (width * channels,) and (width * channels, width * channels).
    """
    channels = z.shape[2]
    if width == 1:
        rows = ops.reshape(z, (-1, channels))
        return ops.sum(rows, axis=0), _squared(rows)
    return (_by_blocks if channels <= len(LETTERS) else _by_distances)(z, width)


@ops.custom_gradient
def _squared(rows: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the product of the rows' columns with themselves; its gradient takes one product."""
    products = ops.matmul(ops.transpose(rows), rows)
    return products, lambda upstream: ops.matmul(rows, upstream + ops.transpose(upstream))


def _by_blocks(z: Any, width: int) -> tuple[Any, Any]:
    batch, positions, channels = z.shape
    edge = width - 1
    starts = positions - edge
    count, later = -(-starts // BLOCK), -(-edge // BLOCK)
    own = ops.pad(z[:, :starts], [[0, 0], [0, count * BLOCK - starts], [0, 0]])
    longer = ops.pad(z, [[0, 0], [0, (count + later) * BLOCK - positions], [0, 0]])
    blocks = ops.reshape(longer, (batch, count + later, BLOCK * channels))
    following = [blocks[:, first : first + count] for first in range(later + 1)]
    own, following = (
        ops.reshape(one, (batch * count, -1)) for one in (own, ops.concatenate(following, axis=2))
    )
    products = ops.matmul(ops.transpose(own), following)
    products = ops.reshape(products, (BLOCK, channels, -1, channels))
    apart = sum(products[place, :, place : place + width] for place in range(BLOCK))
    places = ops.reshape(ops.sum(ops.reshape(z, (batch, -1)), axis=0), (positions, channels))
    changes = ops.cumsum(places[starts:] - places[:edge], axis=0)
    sums = ops.sum(places[:starts], axis=0) + ops.pad(changes, [[1, 0], [0, 0]])
    return ops.reshape(sums, (-1,)), _of_places(apart, z[:, :edge], z[:, starts:])


def _of_places(apart: Any, first: Any, last: Any) -> Any:
    """Return the products of all places of the windows, (width * channels, width * channels).

    From a place to the next one, the first positions leave the sum and the last ones come in.

    Args:
        apart: products of the windows' first place with all places, (channels, width, channels).
        first: the first ``width - 1`` positions, (batch, width - 1, channels).
        last: the last ones.
    """
    channels, width, _ = apart.shape
    edge, size = (width - 1) * channels, width * channels
    later = ops.transpose(apart, (1, 0, 2))
    either = ops.concatenate([ops.transpose(later[:0:-1], (0, 2, 1)), later])
    distances = np.arange(width) - np.arange(width)[:, None] + width - 1
    equal = ops.transpose(ops.take(either, distances, axis=0), (0, 2, 1, 3))
    first, last = (ops.reshape(one, (-1, edge)) for one in (first, last))
    rows, others = ops.concatenate([last, first]), ops.concatenate([last, -first])
    changes = ops.pad(ops.matmul(ops.transpose(rows), others), [[edge, 0], [edge, 0]])
    moved = [slice(start, start + size) for start in range(0, edge, channels)]
    return ops.reshape(equal, (size, size)) + sum(changes[one, one] for one in moved)


def _by_distances(z: Any, width: int) -> tuple[Any, Any]:
    edge, size = width - 1, width * z.shape[2]
    apart = _products(z, width)
    turned = ops.transpose(apart, (0, 2, 1))
    rows = [
        ops.concatenate([apart[b - a] if b >= a else turned[a - b] for b in range(width)], axis=1)
        for a in range(width)
    ]
    sums = ops.tile(ops.sum(z, axis=(0, 1)), (width,))
    # These sums include the windows that go on from the end of z at its beginning.
    ends = ops.concatenate([z[:, -edge:], z[:, :edge]], axis=1)
    outside = ops.stack([ends[:, start : start + width] for start in range(edge)])
    outside = ops.reshape(outside, (-1, size))
    products = ops.concatenate(rows) - ops.matmul(ops.transpose(outside), outside)
    return sums - ops.sum(outside, axis=0), products


def _products(z: Any, width: int) -> Any:
    """Return ``sum z[n, p, i] z[n, p + d, j]`` for each d < width: (width, channels, channels).

    Behind the last position of a sequence its first one follows.
    """

    @ops.custom_gradient
    def compute(z: Any) -> tuple[Any, Callable[..., Any]]:
        longer = ops.concatenate([z, z[:, : width - 1]], axis=1)
        products = ops.conv(
            ops.transpose(longer, (2, 1, 0)), ops.transpose(z, (1, 0, 2)), padding="valid"
        )

        def gradient(upstream: Any) -> Any:
            turned = ops.transpose(upstream, (0, 2, 1))
            kernel = [upstream[:0:-1], upstream[:1] + turned[:1], turned[1:]]
            around = ops.concatenate([z[:, 1 - width :], longer], axis=1)
            return ops.conv(around, ops.concatenate(kernel), padding="valid")

        return ops.transpose(products, (1, 2, 0)), gradient

    return compute(z)
