"""The forward pass for several seeds in one program, on an accelerator.

Equal to ``model(x, training=True)`` up to rounding, and made of what stays fast and deterministic
when `jax.vmap` batches the weights too: a convolution becomes a product of windows, as a batch of
convolutions with a kernel each is a slow grouped one; a max-pool has a gradient without a scatter.
"""

from typing import Any

import keras
from keras import layers, ops

from mlproject.geometry import Window
from mlproject.network.fast_pass.plan import is_chain_of_blocks
from mlproject.network.fast_pass.pool import window_max
from mlproject.network.step_parts import TrainingPass


def choose_together(model: keras.Model) -> TrainingPass:
    """Return the pass for several seeds in one program: `seeds_pass`, or the model's own."""
    return seeds_pass if is_chain_of_blocks(model) else lambda model, x: model(x, training=True)


def seeds_pass(model: keras.Model, sequences: Any) -> Any:
    """Return the scores of one-hot sequences in training, and update the moving averages.

    Args:
        model: as `mlproject.network.build.build` returns it: a chain of layers.
        sequences: float32 (batch, length, 4), a tensor.

    Returns:
        float32 (batch, classes).
    """
    x = sequences
    for layer in model.layers[1:]:
        if isinstance(layer, layers.Conv1D):
            x = product_of_windows(x, ops.convert_to_tensor(layer.kernel), layer.strides[0])
        elif isinstance(layer, layers.MaxPooling1D):
            x = window_max(x, layer.pool_size[0], layer.strides[0])
        else:
            x = layer(x, training=True)
    return x


def product_of_windows(x: Any, kernel: Any, stride: int = 1) -> Any:
    """Return the convolution, padded to ``same``, as one product of its windows with the kernel.

    Args:
        x: (batch, positions, channels).
        kernel: (width, channels, filters).
        stride: positions from one window to the next.

    Returns:
        (batch, ceil(positions / stride), filters).
    """
    (width, channels, filters), positions = kernel.shape, x.shape[1]
    window = Window(width, stride)
    last = (window.outputs(positions) - 1) * stride
    x = ops.pad(x, [[0, 0], [*window.pad(positions)], [0, 0]])
    windows = [x[:, first : first + last + 1 : stride] for first in range(width)]
    factor = ops.reshape(kernel, (width * channels, filters))
    return _product(ops.concatenate(windows, axis=2), factor)


def _product(windows: Any, factor: Any) -> Any:
    """Return the product; its gradient by the factor is summed over the batch in a second step.

    In one step it is a product of few rows and columns with a sum of thousands of terms for each,
    which keeps a handful of a GPU's multiprocessors busy.
    """

    @ops.custom_gradient
    def compute(windows: Any, factor: Any) -> tuple[Any, Any]:
        from jax import lax

        def gradient(upstream: Any) -> tuple[Any, Any]:
            by_sequence = ops.matmul(ops.transpose(windows, (0, 2, 1)), upstream)
            by_factor = ops.sum(lax.optimization_barrier(by_sequence), axis=0)
            return ops.matmul(upstream, ops.transpose(factor)), by_factor

        return ops.matmul(windows, factor), gradient

    return compute(windows, factor)
