"""Sums over all windows of a map: what mean and covariance of the windows are computed from.

A window of `width` positions and c channels is a row of ``width * c`` numbers. The sum of the
products of these rows with themselves takes ``(width * c) ** 2`` multiply-adds for each window. Two
ways take less work:

* `_by_blocks`: the product of a row of the windows of `BLOCK` positions in a row, which are one
  longer window, holds the products of all of them. For few channels.
* `_by_distances`: the products of positions, ``sum z[p, i] z[p + d, j]`` for each distance d within
  a window, less those of windows that do not exist.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from mlproject.sequence import LETTERS

BLOCK = 20  # positions


def window_sums(z: Any, width: int) -> tuple[Any, Any]:
    """Return the sum of all windows of a map and the sum of their products with themselves.

    Args:
        z: (batch, positions, channels).
        width: positions a window, from 2 to the number of positions.

    Returns:
        (width * channels,) and (width * channels, width * channels).
    """
    return (_by_blocks if z.shape[2] <= len(LETTERS) else _by_distances)(z, width)


def _by_blocks(z: Any, width: int) -> tuple[Any, Any]:
    batch, positions, channels = z.shape
    edge = width - 1
    block = max(BLOCK, edge)
    blocks, rest = divmod(positions - edge, block)
    parts = []
    if blocks:
        missing = max((blocks + 1) * block - positions, 0)
        longer = ops.pad(z, [[0, 0], [0, missing], [0, 0]])
        shape = (batch, blocks, block, channels)
        own, next_ones = (
            ops.reshape(longer[:, start : start + blocks * block], shape) for start in (0, block)
        )
        parts.append((ops.concatenate([own, next_ones[:, :, :edge]], axis=2), block))
    if rest:
        parts.append((z[:, blocks * block :], rest))
    sums, products = 0.0, 0.0
    for windows, starts in parts:
        rows = ops.reshape(windows, (-1, (starts + edge) * channels))
        row_sums, row_products = ops.sum(rows, axis=0), ops.matmul(ops.transpose(rows), rows)
        for start in range(starts):
            window = slice(start * channels, (start + width) * channels)
            sums, products = sums + row_sums[window], products + row_products[window, window]
    return sums, products


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
