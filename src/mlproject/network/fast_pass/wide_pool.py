"""A convolution before a max-pool, trained without the gradient of its complete map.

The layers behind the pool need three results of the map ``y = convolution(x)``: its maxima, and the
mean and variance of each channel. None of them needs the gradient of the complete map:

* A maximum is the product of the kernel and the window of ``x`` under it. With a pool of 100, one
  position of 100 has a gradient, so windows are gathered and scattered instead of convolved.
* Mean and variance follow from mean m and covariance C of the windows of ``x``: ``mean = m' w`` and
  ``variance = w' C w``. With few channels, C takes less work than the map; see `covariance`.

Both are exact. The code is for JAX only, since TensorFlow gathers and scatters too slowly.
"""

from collections.abc import Callable
from typing import Any

from keras import ops

from mlproject.geometry import Window
from mlproject.network import backend
from mlproject.network.fast_pass.convolution import convolve
from mlproject.network.fast_pass.covariance import window_sums
from mlproject.network.fast_pass.letters import LANES, maxima_and_places
from mlproject.network.fast_pass.letters import is_cheaper as from_tables
from mlproject.network.fast_pass.pool import LOWEST, first_places, padded
from mlproject.sequence import LETTERS

MIN_WINDOW = 48  # positions; gathering is no less work than the map for smaller windows
MIN_WINDOW_OF_LETTERS = 10  # the same for the first layer
MIN_WINDOW_OF_TABLES = 4  # the same for the first layer on letters, see `letters`
MOST_GATHERED = 1 << 18  # numbers of a sequence; more would leave the processor's second cache
MIN_GAIN = 3  # filters for each input channel


def is_cheaper(x: Any, kernel: Any, window: int, letters: bool = False) -> bool:
    """Return whether `pooled` is cheaper than the map in training.

    Args:
        x: (batch, positions, channels).
        kernel: (width, channels, filters).
        window: positions a window of the pool, which is also its stride.
        letters: whether x is one-hot, zeros for an unknown letter.
    """
    width, channels, filters = kernel.shape
    least = MIN_WINDOW_OF_LETTERS if channels <= len(LETTERS) else MIN_WINDOW
    gathered = -(-x.shape[1] // window) * filters * width * channels
    if letters and from_tables(kernel, True) and gathered <= MOST_GATHERED:
        least = MIN_WINDOW_OF_TABLES
    wide = window >= least and width <= x.shape[1]
    return wide and channels <= filters / MIN_GAIN and backend.name() == "jax"


def pooled(
    x: Any, kernel: Any, window: int, kept: Any = None, letters: bool = False
) -> tuple[Any, Any, Any]:
    """Return maxima, mean and variance of a convolution, padded to ``same``.

    Args:
        x: (batch, positions, channels), at least as many positions as the kernel is wide.
        kernel: (width, channels, filters).
        window: positions a window of the pool, padded to ``same`` as well.
        kept: the values that dropout keeps for the pool, (batch, positions, filters), bool.
        letters: whether x is one-hot, zeros for an unknown letter.

    Returns:
        The maxima (batch, ceil(positions / window), filters), `LOWEST` if nothing is kept; the
        first of equal ones gets the gradient. Mean and variance of all values over batch and
        positions, each (filters,).
    """
    find = maxima_and_places if letters and from_tables(kernel, True) else _maxima_and_places
    return _maxima(x, kernel, window, kept, find), *_moments(x, kernel, letters)


def _maxima(x: Any, kernel: Any, window: int, kept: Any, find: Callable[..., Any]) -> Any:
    before, _ = Window(window, window).pad(x.shape[1])

    @ops.custom_gradient
    def compute(x: Any, kernel: Any) -> tuple[Any, Callable[..., Any]]:
        maxima, places = find(x, kernel, window, kept)
        starts = ops.arange(maxima.shape[1], dtype="int32")[:, None] * window - before
        starts = ops.clip(starts + places, 0, x.shape[1] - 1)  # not-a-numbers

        def gradient(upstream: Any) -> tuple[Any, Any]:
            return _gradients(x, kernel, starts, upstream)

        return maxima, gradient

    return compute(x, kernel)


def _maxima_and_places(x: Any, kernel: Any, window: int, kept: Any) -> tuple[Any, Any]:
    """Return the same as `mlproject.network.fast_pass.letters.maxima_and_places`, of any x."""
    y = convolve(x, kernel)
    if kept is not None:
        y = ops.where(kept, y, LOWEST)
    y, _ = padded(y, window, window)
    y = ops.reshape(y, (-1, y.shape[1] // window, window, y.shape[2]))
    maxima = ops.max(y, axis=2)
    return maxima, first_places(y, maxima)


def _gradients(x: Any, kernel: Any, starts: Any, upstream: Any) -> tuple[Any, Any]:
    """Return the gradients by x and kernel of products of the kernel with windows of padded x.

    Windows are rows of numbers of a whole number of `LANES`, which is several times as fast. Behind
    a window, the kernel's row is 0, and what the window's row holds there is not used.
    """
    from jax import lax

    _, positions, channels = x.shape
    width, _, filters = kernel.shape
    before, size = (width - 1) // 2, width * channels
    behind = -size % LANES
    rows = ops.pad(x, [[0, 0], [before, width - 1 - before], [0, 0]])
    rows = ops.pad(ops.reshape(rows, (x.shape[0], -1)), [[0, 0], [0, behind]])
    weights = ops.transpose(ops.reshape(kernel, (-1, filters)))
    weights = ops.pad(weights, [[0, 0], [0, behind]])
    one_window = lax.ScatterDimensionNumbers((1,), (), (0,))

    def by_sequence(sums: Any, one: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        # One sequence at a time, since its windows then stay in the processor's cache.
        row, starts, upstream = one
        begins = ops.reshape(starts, (-1,)) * channels
        windows = ops.vectorized_map(
            lambda begin: ops.slice(row, (begin,), (size + behind,)), begins
        )
        windows = ops.reshape(windows, (-1, filters, size + behind))
        upstream = upstream[..., None]
        scattered = lax.scatter_add(
            ops.zeros(row.shape),
            begins[:, None],
            ops.reshape(upstream * weights, (-1, size + behind)),
            one_window,
            mode="promise_in_bounds",
        )
        by_x = scattered[before * channels : (before + positions) * channels]
        return sums + windows * upstream, ops.reshape(by_x, (positions, channels))

    nothing = ops.zeros((starts.shape[1], filters, size + behind))
    sums, by_x = lax.scan(by_sequence, nothing, (rows, starts, upstream))
    by_kernel = ops.transpose(ops.sum(sums, axis=0)[:, :size])
    return by_x, ops.reshape(by_kernel, kernel.shape)


def _moments(x: Any, kernel: Any, letters: bool) -> tuple[Any, Any]:
    """Return mean and variance (filters,) of the convolution, from the covariance of windows.

    Unless x is letters, each of its channels is centred first, since a covariance loses digits if
    the mean is larger than the spread. The padding is centred too and becomes minus the mean. The
    sums of letters are whole numbers, which are exact up to 2^24 positions.
    """
    width, _, filters = kernel.shape
    before = (width - 1) // 2
    centre = ops.zeros(x.shape[2:]) if letters else ops.stop_gradient(ops.mean(x, axis=(0, 1)))
    z = ops.pad(x, [[0, 0], [before, width - 1 - before], [0, 0]]) - centre
    sums, products = window_sums(z, width)
    count = x.shape[0] * x.shape[1]
    mean = sums / count
    covariance = products / count - mean[:, None] * mean
    weights = ops.reshape(kernel, (-1, filters))
    variance = ops.maximum(ops.sum(weights * ops.matmul(covariance, weights), axis=0), 0.0)
    return ops.matmul(mean + ops.tile(centre, (width,)), weights), variance
