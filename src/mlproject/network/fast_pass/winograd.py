"""Convolutions with fewer multiplications: Winograd's method in one dimension.

A map is computed in tiles of positions. Kernel and positions under a tile are evaluated, as
polynomials, at `POINTS` and at infinity, where the convolution is one product for each point. A
kernel of 5 positions takes 8 products for the 4 positions of a tile, instead of 20, and some
additions. The gradients are computed in the same way. See Lavin & Gray, CVPR 2016.

Rounding errors are some three times those of the plain sum. For JAX only.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from keras import ops

from mlproject.network import backend

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)  # more would lose digits
PRODUCTS = len(POINTS) + 1  # the last at infinity
WIDTHS = range(3, 7)
LEAST_CHANNELS = 24  # with fewer, the additions take longer than the products
LEAST_POSITIONS = 8
LEAST_POSITIONS_BY_KERNEL = 48  # for the gradient by the kernel
TOGETHER = 1000  # positions of a step of the loop, which stay in the processor's cache


def is_cheaper(x: Any, kernel: Any) -> bool:
    """Return whether a convolution is cheaper by Winograd's method; arguments as for `convolve`."""
    width, *channels = kernel.shape
    large = min(channels) >= LEAST_CHANNELS and x.shape[1] >= LEAST_POSITIONS
    return large and width in WIDTHS and backend.name() == "jax"


def convolve_winograd(x: Any, kernel: Any) -> Any:
    """Return the convolution, padded to ``same``; its gradients are computed in the same way.

    Args:
        x: (batch, positions, channels).
        kernel: (width, channels, filters), of a width of `WIDTHS`.

    Returns:
        (batch, positions, filters).
    """
    width = len(kernel)
    before = (width - 1) // 2

    @ops.custom_gradient
    def compute(x: Any, kernel: Any) -> tuple[Any, Any]:
        import jax

        def gradient(upstream: Any) -> tuple[Any, Any]:
            turned = ops.transpose(ops.flip(kernel, axis=0), (0, 2, 1))
            by_x = _convolved(upstream, turned, width - 1 - before)
            if x.shape[1] >= LEAST_POSITIONS_BY_KERNEL:
                return by_x, _by_kernel(x, upstream, width, before)
            plain = jax.vjp(lambda kernel: ops.conv(x, kernel, padding="same"), kernel)[1]
            return by_x, *plain(upstream)

        return _convolved(x, kernel, before), gradient

    return compute(x, kernel)


def _convolved(x: Any, kernel: Any, before: int) -> Any:
    """Return the convolution of x with `before` zeros before its positions, and zeros behind."""
    from jax import lax

    (batch, positions, _), (width, _, filters) = x.shape, kernel.shape
    matrices = _matrices(width)
    factors = ops.stack(_combined(matrices.kernel, kernel))

    def of_some(x: Any) -> Any:
        products = ops.matmul(_evaluated(x, width, before), factors)
        y = ops.stack(_combined(matrices.result.T, products), axis=1)
        return ops.reshape(y, (len(x), -1, filters))[:, :positions]

    return ops.reshape(lax.map(of_some, _in_parts(x)), (batch, positions, filters))


def _by_kernel(x: Any, upstream: Any, width: int, before: int) -> Any:
    """Return the gradient of `_convolved` by its kernel."""
    from jax import lax

    matrices = _matrices(width)
    tile = matrices.result.shape[1]

    def add_some(sums: Any, some: tuple[Any, Any]) -> tuple[Any, None]:
        x, upstream = some
        rows = ops.transpose(_evaluated(x, width, before), (0, 2, 1))
        tiles = ops.reshape(_in_tiles(upstream, tile, 0, 0), (-1, tile, upstream.shape[2]))
        there = ops.stack(_combined(matrices.result, ops.unstack(tiles, axis=1)))
        return sums + ops.matmul(rows, there), None

    nothing = ops.zeros((PRODUCTS, x.shape[2], upstream.shape[2]))
    sums, _ = lax.scan(add_some, nothing, (_in_parts(x), _in_parts(upstream)))
    return ops.stack(_combined(matrices.kernel.T, sums))


def _evaluated(x: Any, width: int, before: int) -> Any:
    """Return what is under each tile at each point, (products, batch * tiles, channels)."""
    matrices = _matrices(width)
    tile = matrices.result.shape[1]
    more = -(-PRODUCTS // tile) - 1
    tiles = _in_tiles(x, tile, before, more)
    count = tiles.shape[1] - more
    under = [tiles[:, n // tile : n // tile + count, n % tile] for n in range(PRODUCTS)]
    found = ops.stack(_combined(matrices.source, under))
    return ops.reshape(found, (PRODUCTS, -1, x.shape[2]))


def _in_tiles(x: Any, tile: int, before: int, more: int) -> Any:
    """Return (batch, tiles + more, tile, channels) with zeros before and behind the positions."""
    batch, positions, channels = x.shape
    count = -(-positions // tile) + more
    x = ops.pad(x, [[0, 0], [before, count * tile - positions - before], [0, 0]])
    return ops.reshape(x, (batch, count, tile, channels))


def _in_parts(x: Any) -> Any:
    """Return the sequences in parts for the steps of a loop, (parts, sequences, …)."""
    most = max(TOGETHER // x.shape[1], 1)
    together = max(n for n in range(1, most + 1) if len(x) % n == 0)
    return ops.reshape(x, (-1, together, *x.shape[1:]))


def _combined(rows: np.ndarray, terms: Sequence[Any]) -> list[Any]:
    """Return for each row the sum of the terms times the row's numbers."""
    return [
        sum(
            float(row[n]) * terms[n] if row[n] != 1 else terms[n]
            for n in np.flatnonzero(row).tolist()
        )
        for row in rows
    ]


class _Matrices(NamedTuple):
    """A tile is ``result.T @ ((kernel @ k) * (source @ x))`` of the kernel and what it is over.

    Attributes:
        kernel: (products, width).
        source: (products, products).
        result: (products, tile).
    """

    kernel: np.ndarray
    source: np.ndarray
    result: np.ndarray


@cache
def _matrices(width: int) -> _Matrices:
    """Return the matrices, which interpolate a polynomial by Lagrange's formula."""
    points = np.array(POINTS)
    others = [np.delete(points, n) for n in range(len(points))]
    scales = [np.prod(point - other) for point, other in zip(points, others, strict=True)]
    kernel, result = (
        np.vstack([np.vander(points, size, increasing=True), np.eye(size)[-1]])
        for size in (width, PRODUCTS + 1 - width)
    )
    kernel[:-1] /= np.array(scales)[:, None]
    source = [[*np.poly(other)[::-1], 0.0] for other in others] + [np.poly(points)[::-1]]
    return _Matrices(kernel, np.array(source), result)
