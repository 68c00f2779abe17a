"""Find layers in the graph of a Keras model by their place, not by their name."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from mlproject.geometry import as_list
from mlproject.system.errors import UserError, nearest

ELEMENTWISE = (
    layers.BatchNormalization, layers.Activation, layers.Rescaling, layers.ReLU, layers.LeakyReLU,
    layers.PReLU, layers.ELU, layers.Identity,
)  # fmt: skip
STRANDS = "strands"  # the layer that joins a batch and its reverse complements
POOLS = (layers.MaxPooling1D, layers.AveragePooling1D)
CHANNELWISE = (
    layers.MaxPooling1D, layers.AveragePooling1D, layers.Dropout, layers.Cropping1D,
    layers.ZeroPadding1D,
)  # fmt: skip


def convolutions(model: keras.Model) -> list[str]:
    """Return the names of the one-dimensional convolutions of a model, inputs first."""
    return [one.name for one in model.layers if isinstance(one, layers.Conv1D)]


def convolution(model: keras.Model, name: str) -> keras.Layer:
    """Return a convolution of a model.

    Raises:
        UserError: the model has no such convolution.
    """
    names = convolutions(model)
    if name not in names:
        if name in {layer.name for layer in model.layers}:
            kind = type(model.get_layer(name)).__name__
            raise UserError(
                f"a layer whose filters are read must be a Conv1D: {name} is a {kind}; choose of "
                f"{', '.join(names) or 'none'}"
            )
        raise UserError(f"unknown layer {name!r}: {nearest(name, names)}")
    return model.get_layer(name)


def reads_sequence(model: keras.Model, name: str) -> bool:
    """Return whether a convolution reads the sequences, or a batch of both strands."""
    strands = [one.output for one in model.layers if _joins_strands(one)]
    return any(convolution(model, name).input is one for one in (*model.inputs, *strands))


def joins_strands(model: keras.Model) -> bool:
    """Return whether a model reads a batch and its reverse complements as one batch."""
    return any(_joins_strands(one) for one in model.layers)


def _joins_strands(layer: Any) -> bool:
    joins = isinstance(layer, layers.Concatenate) and layer.axis == 0
    return joins and layer.name == STRANDS


def require_positions(model: keras.Model, name: str) -> None:
    """Raise a `UserError` if a pool or a stride before a convolution hides exact positions."""
    waiting, layer = as_list(convolution(model, name).input), None
    seen: set[int] = set()
    while waiting:
        operation = waiting.pop()._keras_history.operation
        if isinstance(operation, layers.InputLayer) or id(operation) in seen:
            continue
        seen.add(id(operation))
        strides = getattr(operation, "strides", (1,))
        if isinstance(operation, POOLS) or tuple(strides) != (1,):
            layer = operation.name
        waiting += as_list(operation.input)
    if layer is not None:
        raise UserError(
            f"filters are read where the position of an activation is known: {name} follows "
            f"{layer}, a pool or a stride"
        )


def activation_chain(model: keras.Model, name: str) -> list[keras.Layer]:
    """Return the layers between a convolution and its last activation, the convolution excluded.

    They act on each value alone: batch norm, activations, scaling, products of a map with itself.
    The chain ends where another kind of layer, or more than one layer, reads the map.

    Raises:
        UserError: the model has no such convolution.
    """
    read_by, chain = readers(model), []
    tensor = convolution(model, name).output
    while len(found := read_by[id(tensor)]) == 1 and _is_elementwise(found[0]):
        chain.append(found[0])
        tensor = found[0].output
    return chain


def activation_output(model: keras.Model, name: str) -> Any:
    """Return the tensor (batch, positions, filters) of a convolution after its activation.

    Raises:
        UserError: the model has no such convolution.
    """
    chain = activation_chain(model, name)
    return (chain[-1] if chain else convolution(model, name)).output


def block_output(model: keras.Model, tensor: Any) -> Any:
    """Return a map after the pools, dropouts and margins that alone read it, channel by channel."""
    read_by = readers(model)
    while len(found := read_by[id(tensor)]) == 1 and isinstance(found[0], CHANNELWISE):
        tensor = found[0].output
    return tensor


def cut(model: keras.Model, tensor: Any) -> list[Any]:
    """Return the tensors from which the rest of a model follows, `tensor` first.

    The others are those that do not depend on `tensor` and are read by operations that do.
    """
    dependent, others = {id(tensor)}, dict[int, Any]()
    for operation in model.operations:
        inputs = as_list(operation.input) if operation.input is not None else []
        if any(id(one) in dependent for one in inputs):
            dependent |= {id(one) for one in as_list(operation.output)}
            others |= {id(one): one for one in inputs if id(one) not in dependent}
    return [tensor, *others.values()]


def readers(model: keras.Model) -> Mapping[int, list[Any]]:
    """Return the operations that read a tensor, by its id; None stands for the model itself."""
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for operation in model.operations:
        if isinstance(operation, layers.InputLayer):
            continue
        for tensor in {id(one): one for one in as_list(operation.input)}.values():
            found[id(tensor)].append(operation)
    for tensor in model.outputs:
        found[id(tensor)].append(None)
    return found


def is_power(layer: Any) -> bool:
    """Return whether a layer multiplies one tensor with itself."""
    return isinstance(layer, layers.Multiply) and len({*map(id, as_list(layer.input))}) == 1


def _is_elementwise(layer: Any) -> bool:
    return is_power(layer) or isinstance(layer, ELEMENTWISE)
