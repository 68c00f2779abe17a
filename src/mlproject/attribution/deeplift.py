"""DeepLIFT with the rescale rule, as the gradient of one function of keras.ops.

The network is computed for a sequence and for its reference side by side. At each nonlinearity,
the sequence's value is replaced by an expression of equal value whose gradient is DeepLIFT's
multiplier: the difference of the outputs over the difference of the inputs, held constant. Linear
layers need no rule, and the backend's chain rule gives the multipliers of the input. A max-pool
assigns the difference of its output to one position: the sequence's arg-max if the sequence has the
larger maximum, otherwise the reference's arg-max.

Source: Shrikumar, Greenside & Kundaje, ICML 2017; hypothetical contributions as in TF-MoDISco.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from mlproject.attribution.logits import (
    BATCH,
    Output,
    Progress,
    batches,
    chain,
    chosen,
    logit_model,
    selector,
    silent,
)
from mlproject.attribution.references import shuffled
from mlproject.attribution.scores import hypothetical
from mlproject.geometry import window_of
from mlproject.network.backend import Gradient, gradient
from mlproject.sequence import one_hot
from mlproject.system.errors import UserError
from mlproject.system.interrupts import check_interrupts

SMALL = 1e-6
REFERENCES = 10
LINEAR = (layers.BatchNormalization, layers.Dropout, layers.Flatten)


def deeplift(
    model: keras.Model,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    rng: np.random.Generator,
    references: int = REFERENCES,
    output: Output = "logit",
    batch_size: int = BATCH,
    progress: Progress = silent,
) -> np.ndarray:
    """Return DeepLIFT's hypothetical contributions, mean over shuffled references.

    Args:
        model: the network: convolutions, batch norm, activations, max-pools, dense layers in a row.
        codes: (N, L) uint8.
        targets: (N,) class of each row.
        rng: random numbers.
        references: copies of each row with its dinucleotides shuffled.
        output: ``logit`` or ``probability``; for the latter the sigmoid is rescaled too.
        batch_size: rows a batch.
        progress: called with the number of rows done and their total.

    Returns:
        float32 (N, L, 4). The contributions of a row sum to its output less the references' mean.

    Raises:
        UserError: a layer without a rule.
    """
    others = shuffled(codes, references, rng)
    call = multipliers(model, output)
    select = selector(targets, model.output_shape[-1])
    found = np.zeros((*codes.shape, 4), np.float32)
    for rows, (batch, copies, classes) in batches([codes, others, select], batch_size):
        x, count = one_hot(batch), rows.stop - rows.start
        for number in range(references):
            check_interrupts()
            reference = one_hot(copies[:, number])
            shares = hypothetical(call(x, reference, classes)[1], reference)
            found[rows] += shares[:count] / np.float32(references)
        progress(rows.stop, len(codes))
    return found


def multipliers(model: keras.Model, output: Output = "logit") -> Gradient:
    """Return the compiled function that computes DeepLIFT's multipliers.

    Returns:
        A function from one-hot sequences and references (batch, L, 4) and a selector of classes
        (batch, classes) to the outputs (batch,) and the multipliers (batch, L, 4).

    Raises:
        UserError: a layer without a rule.
    """
    rows = chain(logit_model(model) if output == "logit" else model)
    for layer in rows:
        if not isinstance(layer, (*LINEAR, layers.Conv1D, layers.Dense, layers.Activation)) and (
            not isinstance(layer, layers.MaxPooling1D)
        ):
            raise UserError(
                f"`deeplift` has no rule for the layer {layer.name} ({type(layer).__name__}): "
                "use integrated_gradients, or ism"
            )

    def rescaled(inputs: Any, reference: Any, select: Any) -> Any:
        x, r = inputs, reference
        for layer in rows:
            x, r = _pass(layer, x, r)
        return chosen(x, select)

    return gradient(rescaled)


def _pass(layer: keras.Layer, x: Any, r: Any) -> tuple[Any, Any]:
    """Return a layer's outputs for sequence and reference, the former with rescaled gradient."""
    if isinstance(layer, LINEAR):
        return layer(x, training=False), layer(r, training=False)
    if isinstance(layer, layers.Activation):
        return _rescale(layer.activation, x, r)
    if isinstance(layer, layers.MaxPooling1D):
        return _pool(layer, x, r)
    return _rescale(layer.activation, _affine(layer, x), _affine(layer, r))


def _affine(layer: keras.Layer, x: Any) -> Any:
    """Return a convolution or dense layer without its activation."""
    if isinstance(layer, layers.Dense):
        y = ops.matmul(x, layer.kernel)
    else:
        y = ops.conv(
            x, layer.kernel, layer.strides, layer.padding, "channels_last", layer.dilation_rate
        )
    return y + layer.bias if layer.use_bias else y


def _rescale(activation: Any, x: Any, r: Any) -> tuple[Any, Any]:
    if activation is keras.activations.linear:
        return x, r
    y, z = activation(x), activation(r)
    step = ops.stop_gradient(x - r)
    far = ops.abs(step) > SMALL
    slope = ops.stop_gradient(y - z) / ops.where(far, step, 1.0)
    line = ops.stop_gradient(y) + slope * (x - ops.stop_gradient(x))
    return ops.where(far, line, y), z


def _pool(layer: keras.Layer, x: Any, r: Any) -> tuple[Any, Any]:
    window = _windows(layer, x.shape[1])
    views = [ops.take(one, window, axis=1) for one in (x, r)]
    y, z = (ops.max(view, axis=2) for view in views)
    best = [ops.argmax(view, axis=2) for view in views]
    place = ops.expand_dims(ops.where(y >= z, *best), 2)
    taken = ops.cast(place == np.arange(layer.pool_size[0])[:, None], x.dtype)
    here, there = (ops.sum(view * taken, axis=2) for view in views)
    step = ops.stop_gradient(here - there)
    far = ops.abs(step) > SMALL
    slope = ops.where(far, ops.stop_gradient(y - z) / ops.where(far, step, 1.0), 1.0)
    return ops.stop_gradient(y) + slope * (here - ops.stop_gradient(here)), z


def _windows(layer: keras.Layer, length: int) -> np.ndarray:
    """Return the positions that each output of a max-pool reads, (outputs, pool).

    Positions outside the map are replaced by the nearest one inside. The maximum stays the same.
    """
    window = window_of(layer)
    starts = window.start(np.arange(window.outputs(length)), length)
    return np.clip(starts[:, None] + np.arange(window.size), 0, length - 1).astype(np.int32)
