"""From a spec to a Keras model, and from a model to scores and activations.

The names of the layers are ``conv1``, ``conv1_bn``, ``conv1_relu``, ``conv1_pool``,
``conv1_dropout``, ``conv2`` ..., ``flatten``, ``dense``, ``dense_bn``, ``dense_relu``,
``dense_dropout``, ``output``.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import keras
import numpy as np
from keras import layers, ops

from mlproject.data import Rows
from mlproject.fields import BLOCKS
from mlproject.network import blocks, graph
from mlproject.network.backend import Forward, forward, value
from mlproject.network.initial import initial_kernel, stream_seed
from mlproject.network.own_model import build_own
from mlproject.network.tasks import ACTIVATIONS
from mlproject.sequence import OTHER, one_hot, reverse_complement
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError
from mlproject.system.interrupts import check_interrupts


def build(spec: RunSpec, length: int, classes: int, task: str = "binary") -> keras.Model:
    """Return the network of a spec with its initial weights.

    The weights depend only on `spec.seed` and the names of the layers. They are equal on every
    backend and device, unless a function made the model (`spec.model`): see `own_model`.

    Args:
        spec: the spec.
        length: nt a sequence.
        classes: number of classes or outputs.
        task: of the data; it decides the activation of the output layer.

    Returns:
        A model from one-hot ``sequence`` (batch, length, 4) to scores (batch, classes):
        probabilities, or values of the task ``regression`` or ``counts``.
        A block with a pool of 1 has no ``conv1_pool``.

    Raises:
        UserError: a max-pool is wider than its input.

    Source: Koo & Eddy 2019, Methods; `same` padding and L2 on all kernels as in the released code.
    """
    if spec.model != BLOCKS:
        return build_own(spec, length, classes, ACTIVATIONS[task])
    spec.map_lengths(length)
    usual = keras.config.dtype_policy()
    if spec.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        inputs = keras.Input((length, 4), name="sequence")
        model = keras.Model(
            inputs, _scores(inputs, spec, classes, ACTIVATIONS[task]), name="network"
        )
    finally:
        keras.config.set_dtype_policy(usual)
    _initialise(model, spec)
    return model


def _initialise(model: keras.Model, spec: RunSpec) -> None:
    """Draw all kernels from the seed and the layer's name."""
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            seed = stream_seed(spec.seed, layer.name)
            layer.kernel.assign(initial_kernel(spec.init, tuple(layer.kernel.shape), seed))
            continue
        for number, variable in enumerate(layer.trainable_variables):
            if variable.name.endswith("kernel"):
                seed = stream_seed(spec.seed, number, layer.name)
                variable.assign(initial_kernel(spec.init, tuple(variable.shape), seed))


def _scores(x: Any, spec: RunSpec, classes: int, activation: str) -> Any:
    """Return the scores of one-hot sequences.

    With shared strands the sequences and their reverse complements pass the layers as one batch of
    twice the size, and the logits of both are averaged.
    """
    if spec.strands == "shared":
        x = layers.Concatenate(axis=0, name=graph.STRANDS)([x, ops.flip(x, axis=(1, 2))])
    for number in range(1, len(spec.blocks) + 1):
        x = blocks.convolution_block(x, spec, number)
    for number in range(1, spec.attention + 1):
        x = blocks.attention_block(x, spec, number)
    if spec.recurrent:
        x = blocks.recurrent_block(x, spec)
    x = blocks.head(x, spec)
    for number in range(1, len(spec.dense_units) + 1):
        x = blocks.dense_block(x, spec, number)
    return blocks.output_layer(x, spec, classes, activation)


def trainable_parameters(model: keras.Model) -> int:
    """Return the number of trainable parameters."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def activations(
    model: keras.Model, layer: str, codes: Rows, batch_size: int = 500
) -> Iterator[np.ndarray]:
    """Yield the activations of a convolution, after batch norm and activation, batch by batch.

    Args:
        model: as `build` returns it.
        layer: a convolution, for example ``conv1``.
        codes: uint8 (sequences, length), in memory or in a file.
        batch_size: sequences a batch.

    Yields:
        float32 (batch, positions, filters), in the order of the sequences.

    Raises:
        UserError: the model has no such convolution.
    """
    inner = keras.Model(model.inputs, graph.activation_output(model, layer))
    return stream(forward(inner), codes, batch_size)


def predict(
    model: keras.Model, codes: Rows, batch_size: int = 500, average: str = "none"
) -> np.ndarray:
    """Return the scores of sequences.

    Args:
        model: as `build` returns it.
        codes: uint8 (sequences, length), in memory or in a file.
        batch_size: sequences a batch.
        average: ``reverse_complement`` returns the mean of the scores of both strands; or ``none``.

    Returns:
        float32 (sequences, classes): probabilities, or values.
    """
    scores = predictor(model, batch_size)
    if average == "none":
        return scores(codes)
    return (scores(codes) + scores(codes, reverse=True)) / 2


class Predictor(Protocol):
    """Scores of sequences, or of their reverse complements."""

    def __call__(self, codes: Rows, reverse: bool = False) -> np.ndarray:
        """Return float32 (sequences, classes) for codes (sequences, length)."""


def predictor(model: keras.Model, batch_size: int = 500, call: Forward | None = None) -> Predictor:
    """Return `predict` of one model, compiled once. It uses the model's current weights.

    Args:
        model: as `build` returns it.
        batch_size: sequences a batch.
        call: the model's forward pass if it is compiled already.
    """
    call = call or forward(model)
    classes = model.output_shape[-1]

    def scores(codes: Rows, reverse: bool = False) -> np.ndarray:
        batches = [*stream(call, codes, batch_size, reverse)]
        return np.concatenate(batches) if batches else np.zeros((0, classes), np.float32)

    return scores


def maximum_possible_activation(model: keras.Model, layer: str = "conv1") -> np.ndarray:
    """Return the largest activation of each filter over all sequences of A, C, G and T.

    It is reached with the letter of the largest, or smallest, weight in each column; which of both
    counts is seen after batch norm. This holds for monotonic activations.

    Args:
        model: as `build` returns it.
        layer: the first convolution; deeper ones do not read letters.

    Returns:
        float32 (filters,).

    Raises:
        UserError: the layer does not read the sequence.
    """
    convolution = graph.convolution(model, layer)
    if not graph.reads_sequence(model, layer):
        raise UserError(
            f"the maximum possible activation is known for the first convolution only: "
            f"got {layer}; use the largest observed one"
        )
    kernel = value(convolution.kernel)
    bias = value(convolution.bias) if convolution.use_bias else np.float32(0.0)
    ends = np.stack([kernel.max(axis=1).sum(axis=0), kernel.min(axis=1).sum(axis=0)]) + bias
    x = keras.ops.convert_to_tensor(ends[None].astype(np.float32))
    for step in graph.activation_chain(model, layer):
        product = isinstance(step, layers.Multiply)
        x = step([x] * len(step.input)) if product else step(x, training=False)
    return keras.ops.convert_to_numpy(x)[0].max(axis=0)


def stream(
    call: Callable[[np.ndarray], Any], codes: Rows, batch_size: int = 500, reverse: bool = False
) -> Iterator[Any]:
    """Yield the arrays, or lists of arrays, that a compiled function returns for each batch.

    Args:
        call: a function of one-hot sequences (batch, length, 4). It always sees full batches, since
            each shape is compiled.
        codes: uint8 (sequences, length), in memory or in a file.
        batch_size: sequences a batch.
        reverse: take the reverse complements.
    """
    size = min(batch_size, len(codes))
    for start in range(0, len(codes), size or 1):
        check_interrupts()
        batch = codes[start : start + size]
        if reverse:
            batch = reverse_complement(batch)
        missing = size - len(batch)
        if missing:
            batch = np.pad(batch, ((0, missing), (0, 0)), constant_values=OTHER)
        kept = size - missing
        yield keras.tree.map_structure(lambda one, kept=kept: one[:kept], call(one_hot(batch)))
