"""What a model of a user's function must be, so that everything a run does works on it."""

from collections import Counter

import keras
from keras import layers

from mlproject.geometry import as_list
from mlproject.network.relative_attention import RelativeAttention
from mlproject.system.errors import UserError

LOGITS = (
    layers.Dense, layers.Activation, layers.Add, layers.Subtract, layers.Average, layers.Multiply,
    layers.Maximum, layers.Minimum, layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D,
    layers.Flatten, layers.Reshape, layers.Rescaling, layers.BatchNormalization, layers.Dropout,
)  # fmt: skip


def check_model(model: object, name: str, length: int, classes: int, activation: str) -> None:
    """Raise a `UserError` if a run cannot train, store or read a model.

    Args:
        model: what the function returned.
        name: of the function, for the message.
        length: nt a sequence.
        classes: number of outputs.
        activation: of the task's outputs.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise UserError(
            f"`model`: {name} must return a keras.Model with inputs and outputs (functional, or "
            f"sequential that begins with keras.Input): got {type(model).__name__}"
        )
    for kind, tensors, wanted, remedy in (
        ("input", model.inputs, (length, 4), "keras.Input((length, 4))"),
        ("output", model.outputs, (classes,), "one value for each class"),
    ):
        shapes = [tuple(one.shape[1:]) for one in tensors]
        if shapes != [wanted]:
            raise UserError(
                f"`model`: {name} must have one {kind} of shape {wanted}, {remedy}: got {shapes}"
            )
    _check_layers(model, name)
    _check_end(model, name, activation)


def _check_layers(model: keras.Model, name: str) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            raise UserError(
                f"`model`: {name} must be one graph of layers: got the model {layer.name} inside "
                "it; call its layers instead"
            )
        check_parts(layer, name)
        if "float16" in (layer.compute_dtype, layer.variable_dtype):
            raise UserError(
                f"`model`: {name} must compute in float32 or bfloat16, since gradients vanish in "
                f"float16: got {layer.name} in float16"
            )
    graph = keras.Model(model.inputs, model.outputs)
    nodes = (node for depth in graph._nodes_by_depth.values() for node in depth)
    calls = Counter(id(node.operation) for node in nodes)
    for operation in graph.operations:
        if calls[id(operation)] > 1:
            raise UserError(
                f"`model`: {name} must call each layer once: {operation.name} is called "
                f"{calls[id(operation)]} times, and its filters would have no single map; use "
                "a layer for each call"
            )


def check_parts(layer: keras.Layer, name: str) -> None:
    """Refuse a layer, activation, regulariser, constraint or initialiser that Keras does not have.

    Keras stores it by its name only: the model would not load, or would load with Keras' own
    function of this name.

    Args:
        layer: of the model; the layers inside it, such as the cell of an LSTM, are its parts.
        name: of the function, for the message.
    """
    for part in layer._flatten_layers():
        kind = type(part).__name__
        stock = type(part).__module__.startswith("keras.") and kind != "Lambda"
        if not stock and not isinstance(part, RelativeAttention):
            raise UserError(
                f"`model`: {name} must have layers of Keras only, or the stored model could not be "
                f"loaded safely: got {part.name} ({kind}); write it with layers and keras.ops"
            )
        for role, value in vars(part).items():
            if role.startswith("_") or not callable(value) or isinstance(value, keras.Layer):
                continue
            if not str(getattr(value, "__module__", "")).startswith(("keras.", "mlproject.")):
                shown = getattr(value, "__name__", type(value).__name__)
                raise UserError(
                    f"`model`: {name} must use functions of Keras only, or the stored model could "
                    f"not be loaded safely: {layer.name} has the {role} {shown}; use one of Keras, "
                    "or write it with layers and keras.ops"
                )


def _check_end(model: keras.Model, name: str, activation: str) -> None:
    last = as_list(model.outputs)[0]._keras_history.operation
    found = getattr(last, "activation", None)
    allowed = [keras.activations.get(one) for one in ("linear", "sigmoid", activation)]
    if not isinstance(last, LOGITS) or (found is not None and found not in allowed):
        shown = getattr(found, "__name__", type(last).__name__)
        raise UserError(
            f"`model`: {name} must end in a layer of logits (a dense layer without activation) or "
            f"in one with the activation {activation}: got {last.name} ({shown})"
            + ("" if isinstance(last, keras.Layer) else f'; use layers.Activation("{activation}")')
        )
