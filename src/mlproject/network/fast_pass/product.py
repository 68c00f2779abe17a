"""The product of two matrices in the form that a processor computes fastest, on JAX."""

from typing import Any

from keras import ops

from mlproject.network import backend

FEW = 64  # columns


def product(x: Any, factor: Any) -> Any:
    """Return the product of two matrices, whose gradient by `factor` is faster for few columns.

    That gradient is a matrix of few columns, too. XLA needs 0.15 ms for one of 512 x 12 numbers,
    but 0.02 ms for its transpose. Without the barriers XLA would undo the two transposes.

    Args:
        x: (rows, numbers).
        factor: (numbers, columns).

    Returns:
        (rows, columns).
    """
    if factor.shape[1] >= FEW or backend.name() != "jax":
        return ops.matmul(x, factor)

    @ops.custom_gradient
    def compute(x: Any, factor: Any) -> tuple[Any, Any]:
        from jax import lax

        def gradient(upstream: Any) -> tuple[Any, Any]:
            turned = lax.optimization_barrier(ops.transpose(upstream))
            by_factor = ops.transpose(lax.optimization_barrier(ops.matmul(turned, x)))
            return ops.matmul(upstream, ops.transpose(factor)), by_factor

        return ops.matmul(x, factor), gradient

    return compute(x, factor)
