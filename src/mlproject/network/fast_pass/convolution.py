"""Convolutions padded to ``same``, each in the form that a CPU computes fastest."""

from collections.abc import Callable
from typing import Any

from keras import ops

from mlproject.network import backend
from mlproject.network.fast_pass import winograd
from mlproject.sequence import LETTERS

NARROW = 64  # filters that fill the registers of XLA's matrix products on a CPU


def convolve(x: Any, kernel: Any, stride: int = 1) -> Any:
    """Return the convolution, padded to ``same``.

    Args:
        x: (batch, positions, channels).
        kernel: (width, channels, filters).
        stride: positions from one window to the next.

    Returns:
        (batch, ceil(positions / stride), filters).
    """
    (width, channels, filters), positions = kernel.shape, x.shape[1]
    if stride == 1 and positions < width:
        return short_convolution(x, kernel)
    narrow = channels <= len(LETTERS) and filters < NARROW and positions % 2 == 0
    if stride == 1 and narrow and backend.name() == "jax":
        return paired_convolution(x, kernel)
    if stride == 1 and winograd.is_cheaper(x, kernel):
        return winograd.convolve_winograd(x, kernel)
    return ops.conv(x, kernel, strides=stride, padding="same")


def paired_convolution(x: Any, kernel: Any) -> Any:
    """Return the convolution, computed for two positions at a time.

    Two neighbouring positions are combined into one with twice the channels, and the kernel gets
    twice the filters, one copy for each position. The matrix product has half the rows and twice
    the columns. XLA needs 0.7 ms a batch for it on a CPU instead of 1.2 ms, for 30 filters on
    letters. The gradients are those of the plain convolution, which XLA computes faster.

    Args:
        x: (batch, positions, channels), an even number of positions.
        kernel: (width, channels, filters).

    Returns:
        (batch, positions, filters).
    """
    return with_plain_gradients(_of_pairs)(x, kernel)


def with_plain_gradients(forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return a function that computes a convolution as `forward` does, on JAX.

    Its gradients are those of the plain convolution, padded to ``same``.
    """

    @ops.custom_gradient
    def compute(x: Any, kernel: Any) -> tuple[Any, Any]:
        import jax

        def gradient(upstream: Any) -> Any:
            return jax.vjp(lambda *both: ops.conv(*both, padding="same"), x, kernel)[1](upstream)

        return forward(x, kernel), gradient

    return compute


def _of_pairs(x: Any, kernel: Any) -> Any:
    _, positions, channels = x.shape
    width, _, filters = kernel.shape
    before = (width - 1) // 2
    pairs_before = -(-before // 2)
    skipped = 2 * pairs_before - before
    pairs = -(-(skipped + width + 1) // 2)
    missing = 2 * pairs - width - skipped
    copies = [ops.pad(kernel, [[skipped + n, missing - n], [0, 0], [0, 0]]) for n in (0, 1)]
    kernel = ops.reshape(ops.stack(copies, axis=2), (pairs, 2 * channels, 2 * filters))
    x = ops.reshape(x, (-1, positions // 2, 2 * channels))
    x = ops.pad(x, [[0, 0], [pairs_before, pairs - 1 - pairs_before], [0, 0]])
    return ops.reshape(ops.conv(x, kernel, padding="valid"), (-1, positions, filters))


def short_convolution(x: Any, kernel: Any) -> Any:
    """Return the convolution, padded to ``same``, of a map with fewer positions than the kernel.

    It is one matrix product. Its factor holds, for each output position, the part of the kernel
    over the map. XLA swaps map and kernel if the kernel is larger, and has no fast convolution for
    that case: it needs 2.8 ms a batch for 4 positions and 0.1 ms for 5.

    Args:
        x: (batch, positions, channels).
        kernel: (width, channels, filters).

    Returns:
        (batch, positions, filters).
    """
    _, positions, channels = x.shape
    width, _, filters = kernel.shape
    before = (width - 1) // 2
    kernel = ops.pad(kernel, [[positions, positions], [0, 0], [0, 0]])
    first = [positions + before - place for place in range(positions)]
    factor = ops.stack([kernel[one : one + positions] for one in first], axis=2)
    factor = ops.reshape(factor, (positions * channels, positions * filters))
    product = ops.matmul(ops.reshape(x, (-1, positions * channels)), factor)
    return ops.reshape(product, (-1, positions, filters))
