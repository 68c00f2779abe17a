"""From a spec to a Keras model, and from a model to scores and activations.

The names of the layers are ``conv1``, ``conv1_bn``, ``conv1_relu``, ``conv1_pool``,
``conv1_dropout``, ``conv2`` ..., ``flatten``, ``dense``, ``dense_bn``, ``dense_relu``,
``dense_dropout``, ``output``.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import keras
import numpy as np
from keras import layers

from mlproject.data import Rows
from mlproject.network.backend import forward, value
from mlproject.network.initial import initial_kernel
from mlproject.sequence import OTHER, one_hot, reverse_complement
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest
from mlproject.system.interrupts import check_interrupts


def build(spec: RunSpec, length: int, classes: int) -> keras.Model:
    """Return the network of a spec with its initial weights.

    The weights depend only on `spec.seed` and the names of the layers. They are equal on every
    backend and device.

    Args:
        spec: the spec.
        length: nt a sequence.
        classes: number of sigmoid outputs.

    Returns:
        A model from one-hot ``sequence`` (batch, length, 4) to probabilities (batch, classes).
        A block with a pool of 1 has no ``conv1_pool``.

    Raises:
        UserError: a max-pool is wider than its input.

    Source: Koo & Eddy 2019, Methods; `same` padding and L2 on all kernels as in the released code.
    """
    spec.map_lengths(length)
    x = inputs = keras.Input((length, 4), name="sequence")
    for number, block in enumerate(spec.blocks, 1):
        name = f"conv{number}"
        activation = spec.activation if number == 1 else "relu"
        convolution = layers.Conv1D(
            block.filters, block.kernel, strides=block.stride, padding="same", use_bias=False,
            name=name, **_kernel(spec),
        )  # fmt: skip
        x = _normalise(convolution(x), spec, name, activation)
        if block.pool > 1:
            pool = layers.MaxPooling1D(
                block.pool, block.pool_stride, padding="same", name=f"{name}_pool"
            )
            x = pool(x)
        x = _dropout(spec, spec.dropout_conv, name)(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(spec.units, use_bias=False, name="dense", **_kernel(spec))(x)
    x = _normalise(x, spec, "dense", "relu")
    x = _dropout(spec, spec.dropout_dense, "dense")(x)
    output = layers.Dense(classes, activation="sigmoid", name="output", **_kernel(spec))
    model = keras.Model(inputs, output(x), name="network")
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            seed = stream_seed(spec.seed, layer.name)
            layer.kernel.assign(initial_kernel(spec.init, tuple(layer.kernel.shape), seed))
    return model


def stream_seed(seed: int, *key: int | str) -> int:
    """Return a 31-bit seed for one stream of random numbers of a run.

    Args:
        seed: the run's seed.
        key: name of the stream, for example ``"conv1"`` or ``7, "conv1_dropout"``.
    """
    words = [word for part in key for word in ([part] if isinstance(part, int) else part.encode())]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0] >> 1)


def trainable_parameters(model: keras.Model) -> int:
    """Return the number of trainable parameters."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def activation_layer(model: keras.Model, layer: str) -> keras.Layer:
    """Return the layer that holds the activation of a convolution: ``conv1`` gives ``conv1_relu``.

    Raises:
        UserError: the model has no such convolution.
    """
    for candidate in model.layers:
        if isinstance(candidate, layers.Activation) and candidate.name.startswith(f"{layer}_"):
            return candidate
    names = [one.name for one in model.layers if isinstance(one, layers.Conv1D)]
    raise UserError(f"unknown layer {layer!r}: {nearest(layer, names)}")


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
    inner = keras.Model(model.inputs, activation_layer(model, layer).output)
    return _stream(forward(inner), codes, batch_size)


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
        float32 (sequences, classes), from 0 to 1.
    """
    scores = predictor(model, batch_size)
    if average == "none":
        return scores(codes)
    return (scores(codes) + scores(codes, reverse=True)) / 2


class Predictor(Protocol):
    """Scores of sequences, or of their reverse complements."""

    def __call__(self, codes: Rows, reverse: bool = False) -> np.ndarray:
        """Return float32 (sequences, classes) for codes (sequences, length)."""


def predictor(model: keras.Model, batch_size: int = 500) -> Predictor:
    """Return `predict` of one model, compiled once. It uses the model's current weights."""
    call = forward(model)
    classes = model.output_shape[-1]

    def scores(codes: Rows, reverse: bool = False) -> np.ndarray:
        batches = [*_stream(call, codes, batch_size, reverse)]
        return np.concatenate(batches) if batches else np.zeros((0, classes), np.float32)

    return scores


def maximum_possible_activation(model: keras.Model, layer: str = "conv1") -> np.ndarray:
    """Return the largest activation of each filter over all sequences of A, C, G and T.

    It is reached with the letter in each column that maximises the value after batch norm.

    Args:
        model: as `build` returns it.
        layer: the first convolution; deeper ones do not read letters.

    Returns:
        float32 (filters,).

    Raises:
        UserError: the layer does not read the sequence.
    """
    activation = activation_layer(model, layer)
    convolution, norm = model.get_layer(layer), model.get_layer(f"{layer}_bn")
    if convolution.input is not model.inputs[0]:
        raise UserError(
            f"the maximum possible activation is known for the first convolution only: "
            f"got {layer}; use the largest observed one"
        )
    kernel = value(convolution.kernel)
    sign = np.where(value(norm.gamma) < 0, -1, 1)
    best = (kernel * sign).max(axis=1).sum(axis=0) * sign
    scaled = norm(best.astype(np.float32)[None, None, :], training=False)
    return keras.ops.convert_to_numpy(activation(scaled))[0, 0]


def _kernel(spec: RunSpec) -> dict[str, object]:
    regularizer = keras.regularizers.L2(spec.l2) if spec.l2 else None
    return {"kernel_initializer": spec.init, "kernel_regularizer": regularizer}


def _normalise(x: object, spec: RunSpec, name: str, activation: str) -> object:
    norm = layers.BatchNormalization(
        momentum=spec.bn_momentum, epsilon=spec.bn_epsilon, name=f"{name}_bn"
    )
    return layers.Activation(activation, name=f"{name}_{activation}")(norm(x))


def _dropout(spec: RunSpec, rate: float, name: str) -> keras.Layer:
    name = f"{name}_dropout"
    return layers.Dropout(rate, seed=stream_seed(spec.seed, name), name=name)


def _stream(
    call: Callable[[np.ndarray], np.ndarray], codes: Rows, batch_size: int, reverse: bool = False
) -> Iterator[np.ndarray]:
    """Yield `call` of one-hot batches. The last one is padded, since each shape is compiled."""
    size = min(batch_size, len(codes))
    for start in range(0, len(codes), size or 1):
        check_interrupts()
        batch = codes[start : start + size]
        if reverse:
            batch = reverse_complement(batch)
        missing = size - len(batch)
        if missing:
            batch = np.pad(batch, ((0, missing), (0, 0)), constant_values=OTHER)
        yield call(one_hot(batch))[: size - missing]
