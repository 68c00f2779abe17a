"""A convolution before a wide max-pool, trained without the gradient of its complete map.

The layers behind the pool need three results of the map ``y = convolution(x)``: its maxima, and the
mean and variance of each channel. None of them needs the gradient of the complete map:

* A maximum is the product of the kernel and the window of ``x`` under it. With a pool of 100, one
  position of 100 has a gradient, so windows are gathered and scattered instead of convolved.
* Mean and variance follow from sums of products of ``x`` with itself, ``sum x[p, i] x[p + d, j]``
  for each distance d within the kernel: ``mean = m' w`` and ``variance = w' C w``, where m and C
  are mean and covariance of the windows of ``x``. If ``x`` has fewer channels than the map, these
  sums and their gradients take less work than the map.

Both are exact. The code is for JAX only, since TensorFlow gathers and scatters too slowly.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from mlproject.network import backend
from mlproject.network.fast_pass.pool import LOWEST, first_places, padded
from mlproject.sequence import LETTERS

MIN_WINDOW = 48  # positions; gathering is no less work than the map for smaller windows
MIN_GAIN = 3  # filters for each input channel


def is_cheaper(x: Any, kernel: Any, window: int) -> bool:
    """Return whether training through `pooled` is cheaper than through the map.

    Args:
        x: (batch, positions, channels).
        kernel: (width, channels, filters).
        window: positions a window of the pool, which is also its stride.
    """
    width, channels, filters = kernel.shape
    wide = window >= MIN_WINDOW and 1 < width <= x.shape[1]
    return wide and len(LETTERS) < channels <= filters / MIN_GAIN and backend.name() == "jax"


def pooled(x: Any, kernel: Any, window: int, kept: Any = None) -> tuple[Any, Any, Any]:
    """Return maxima, mean and variance of a convolution, padded to ``same``.

    Args:
        x: (batch, positions, channels), at least as many positions as the kernel is wide.
        kernel: (width, channels, filters), of a width of 2 or more.
        window: positions a window of the pool, padded to ``same`` as well.
        kept: the values that dropout keeps for the pool, (batch, positions, filters), bool.

    Returns:
        The maxima (batch, ceil(positions / window), filters), `LOWEST` if nothing is kept; the
        first of equal ones gets the gradient. Mean and variance of all values over batch and
        positions, each (filters,).
    """
    return _maxima(x, kernel, window, kept), *_moments(x, kernel)


def _maxima(x: Any, kernel: Any, window: int, kept: Any) -> Any:
    @ops.custom_gradient
    def compute(x: Any, kernel: Any) -> tuple[Any, Callable[..., Any]]:
        y = ops.conv(x, kernel, padding="same")
        if kept is not None:
            y = ops.where(kept, y, LOWEST)
        y, before = padded(y, window, window)
        windows = y.shape[1] // window
        y = ops.reshape(y, (-1, windows, window, y.shape[2]))
        maxima = ops.max(y, axis=2)
        starts = ops.arange(windows, dtype="int32")[:, None] * window - before
        starts = ops.clip(starts + first_places(y, maxima), 0, x.shape[1] - 1)  # not-a-numbers

        def gradient(upstream: Any) -> tuple[Any, Any]:
            return _gradients(x, kernel, starts, upstream)

        return maxima, gradient

    return compute(x, kernel)


def _gradients(x: Any, kernel: Any, starts: Any, upstream: Any) -> tuple[Any, Any]:
    """Return the gradients by x and kernel of products of the kernel with windows of padded x."""
    from jax import lax

    _, positions, channels = x.shape
    width, _, filters = kernel.shape
    before = (width - 1) // 2
    longer = ops.pad(x, [[0, 0], [before, width - 1 - before], [0, 0]])
    length = longer.shape[1]
    weights = ops.transpose(ops.reshape(kernel, (-1, filters)))
    one_window = lax.ScatterDimensionNumbers((1,), (), (0,))

    def by_sequence(sums: Any, one: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        # One sequence at a time, since its windows then stay in the processor's cache.
        sequence, starts, upstream = one
        windows = ops.vectorized_map(
            lambda row: ops.slice(sequence, (row, 0), (width, channels)), ops.reshape(starts, (-1,))
        )
        windows = ops.reshape(windows, (-1, filters, width * channels))
        upstream = upstream[..., None]
        scattered = lax.scatter_add(
            ops.zeros((length * channels,)),
            ops.reshape(starts, (-1, 1)) * channels,
            ops.reshape(upstream * weights, (-1, width * channels)),
            one_window,
            mode="promise_in_bounds",
        )
        scattered = ops.reshape(scattered, (length, channels))[before : before + positions]
        return sums + windows * upstream, scattered

    nothing = ops.zeros((starts.shape[1], filters, width * channels))
    sums, by_x = lax.scan(by_sequence, nothing, (longer, starts, upstream))
    by_kernel = ops.reshape(ops.transpose(ops.sum(sums, axis=0)), kernel.shape)
    return by_x, by_kernel


def _moments(x: Any, kernel: Any) -> tuple[Any, Any]:
    """Return mean and variance (filters,) of the convolution, from the covariance of windows.

    Each channel of x is centred first, since a covariance loses digits if the mean is larger than
    the spread. The padding is centred too and becomes minus the mean.
    """
    width, channels, filters = kernel.shape
    batch, positions, _ = x.shape
    before = (width - 1) // 2
    centre = ops.stop_gradient(ops.mean(x, axis=(0, 1)))
    z = ops.pad(x, [[0, 0], [before, width - 1 - before], [0, 0]]) - centre
    products = _products(z, width)
    turned = ops.transpose(products, (0, 2, 1))
    second = [
        [products[b - a] if b >= a else turned[a - b] for b in range(width)] for a in range(width)
    ]
    sums = ops.tile(ops.sum(z, axis=(0, 1)), (width,))
    # These sums include the windows that go on from the end of z at its beginning.
    edge = width - 1
    ends = ops.concatenate([z[:, positions:], z[:, :edge]], axis=1)
    beyond = [ends[:, start : start + width] for start in range(edge)]
    outside = ops.reshape(ops.stack(beyond), (-1, width * channels))
    count = batch * positions
    mean = (sums - ops.sum(outside, axis=0)) / count
    second = ops.concatenate([ops.concatenate(row, axis=1) for row in second])
    second = (second - ops.matmul(ops.transpose(outside), outside)) / count
    covariance = second - mean[:, None] * mean
    weights = ops.reshape(kernel, (-1, filters))
    variance = ops.sum(weights * ops.matmul(covariance, weights), axis=0)
    return ops.matmul(mean + ops.tile(centre, (width,)), weights), variance


def _products(x: Any, width: int) -> Any:
    """Return ``sum x[n, p, i] x[n, p + d, j]`` for each d < width: (width, channels, channels).

    Behind the last position of a sequence its first one follows.
    """

    @ops.custom_gradient
    def compute(x: Any) -> tuple[Any, Callable[..., Any]]:
        longer = ops.concatenate([x, x[:, : width - 1]], axis=1)
        products = ops.conv(
            ops.transpose(longer, (2, 1, 0)), ops.transpose(x, (1, 0, 2)), padding="valid"
        )

        def gradient(upstream: Any) -> Any:
            turned = ops.transpose(upstream, (0, 2, 1))
            kernel = [upstream[:0:-1], upstream[:1] + turned[:1], turned[1:]]
            around = ops.concatenate([x[:, 1 - width :], longer], axis=1)
            return ops.conv(around, ops.concatenate(kernel), padding="valid")

        return ops.transpose(products, (1, 2, 0)), gradient

    return compute(x)
