"""Lengths, receptive fields and multiply-adds against what Keras' layers compute."""

import keras
import numpy as np
import pytest
from keras import layers

from mlproject.architectures import ARCHITECTURES, make_spec
from mlproject.geometry import (
    ReceptiveField,
    Window,
    multiply_adds,
    receptive_field,
    receptive_fields,
    window_of,
)
from mlproject.network.build import build, trainable_parameters
from mlproject.system.errors import UserError

LENGTH = 40


def positions_seen(model: keras.Model) -> list[set[int]]:
    """Return for each position of a linear model's map the nt that change it, one at a time."""
    letters = np.zeros((LENGTH + 1, LENGTH, 4), np.float32)
    letters[np.arange(LENGTH), np.arange(LENGTH), 0] = 1.0
    maps = np.asarray(model(letters, training=False))
    changed = np.abs(maps[:-1] - maps[-1]).max(axis=2) > 0
    return [{int(nt) for nt in np.flatnonzero(column)} for column in changed.T]


def positive(kind: type, *arguments: object, **options: object) -> keras.Layer:
    return kind(*arguments, **options, kernel_initializer="ones", use_bias=False)


def residual(x: object) -> object:
    x = positive(layers.Conv1D, 3, 4, padding="same")(x)
    y = positive(layers.Conv1D, 3, 3, padding="same", dilation_rate=4)(x)
    y = layers.Add()([x, layers.BatchNormalization()(y)])
    y = layers.AveragePooling1D(3, 2, padding="same")(keras.ops.log1p(y))
    return positive(layers.Conv1D, 2, 3, padding="same", name="last")(y)


def branches(x: object) -> object:
    short = positive(layers.Conv1D, 2, 2, padding="same")(x)
    long = positive(layers.Conv1D, 2, 7, padding="causal", dilation_rate=2)(x)
    x = layers.Concatenate()([short, layers.Activation("linear")(long)])
    return positive(layers.Dense, 3, name="last")(x)


def valid(x: object) -> object:
    x = positive(layers.Conv1D, 2, 6, strides=3, padding="valid")(x)
    x = layers.ZeroPadding1D((2, 1))(x)
    x = positive(layers.Conv1D, 2, 3, padding="valid")(x)
    return layers.Cropping1D((1, 0), name="last")(x)


def separable(x: object) -> object:
    x = layers.DepthwiseConv1D(
        3, depthwise_initializer="ones", strides=2, padding="same", use_bias=False
    )(x)
    return layers.AveragePooling1D(4, 1, padding="valid", name="last")(x)


@pytest.mark.parametrize("topology", [residual, branches, valid, separable])
def test_a_field_spans_the_positions_that_change_the_output(topology: object) -> None:
    inputs = keras.Input((LENGTH, 4))
    model = keras.Model(inputs, topology(inputs))  # type: ignore[operator]
    field = receptive_field(model, "last")
    for position, seen in enumerate(positions_seen(model)):
        start = position * field.step - field.left
        inside = set(range(max(start, 0), min(start + field.width, LENGTH)))
        assert seen <= inside
        if seen and start >= 0 and start + field.width <= LENGTH:
            assert (min(seen), max(seen)) == (start, start + field.width - 1)


def test_a_layer_that_mixes_positions_has_no_field_and_the_reason_is_given() -> None:
    inputs = keras.Input((LENGTH, 4))
    x = layers.Conv1D(4, 3, padding="same", name="conv")(inputs)
    attention = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    pooled = layers.MaxPooling1D(2, name="pool")(x)
    doubled = layers.UpSampling1D(2, name="up")(pooled)
    dense = layers.Dense(2, name="dense")(layers.Flatten(name="flatten")(attention))
    recurrent = layers.Bidirectional(layers.LSTM(2), name="lstm")(x)
    across = layers.Softmax(axis=1, name="across")(x)
    outputs = [dense, recurrent, across, doubled]
    fields = receptive_fields(keras.Model(inputs, outputs))
    assert fields["conv"] == ReceptiveField(3, 1)
    assert fields["pool"] == ReceptiveField(4, 1, 2)
    reasons = {name: fields[name] for name in ("attention", "lstm", "across", "up")}
    assert all(name in str(reason) for name, reason in reasons.items()), reasons
    assert str(fields["dense"]).startswith("attention (MultiHeadAttention) does not read")
    with pytest.raises(UserError, match="dense has none, since attention"):
        receptive_field(keras.Model(inputs, outputs), "dense")
    with pytest.raises(UserError, match="unknown layer 'cnv': did you mean conv"):
        receptive_field(keras.Model(inputs, outputs), "cnv")


def test_maps_of_different_strides_have_no_common_field() -> None:
    inputs = keras.Input((LENGTH, 4))
    slow = layers.Conv1D(4, 3, strides=2, padding="same")(inputs)
    fast = layers.Conv1D(4, 21, padding="valid")(inputs)
    both = layers.Add(name="both")([slow, fast])
    assert receptive_fields(keras.Model(inputs, both))["both"] == (
        "both joins maps of different strides"
    )


@pytest.mark.parametrize("length", [7, 40, 41])
@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 5])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_outputs_of_a_window_are_those_of_keras(
    length: int, size: int, stride: int, padding: str
) -> None:
    pool = layers.MaxPooling1D(size, stride, padding=padding)
    assert window_of(pool) == Window(size, stride, padding)
    assert pool.compute_output_shape((None, length, 1))[1] == window_of(pool).outputs(length)


@pytest.mark.parametrize(
    ("options", "number", "length", "field"),
    [
        ({"arch": "CNN-25"}, 1, 200, ReceptiveField(19, 9)),
        ({"arch": "CNN9-4"}, 1, 200, ReceptiveField(9, 4)),
        ({"arch": "CNN3-2"}, 1, 200, ReceptiveField(3, 1)),
        ({"kernel1": 20}, 1, 200, ReceptiveField(20, 9)),
        ({"arch": "CNN-1"}, 2, 200, ReceptiveField(23, 11)),
        ({"arch": "CNN-1-1-100"}, 3, 200, ReceptiveField(27, 13)),
        ({"arch": "CNN-4"}, 2, 200, ReceptiveField(38, 17, 4)),
        ({"kernel1": 19, "stride1": 2}, 1, 200, ReceptiveField(19, 8, 2)),
        ({"kernel1": 19, "stride1": 2}, 1, 201, ReceptiveField(19, 9, 2)),
    ],
)
def test_receptive_fields_of_the_papers_networks(
    options: dict[str, object], number: int, length: int, field: ReceptiveField
) -> None:
    model = build(make_spec(options), length, 2)
    assert receptive_field(model, f"conv{number}") == field


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_spec_and_its_model_agree_on_lengths_parameters_and_multiply_adds(arch: str) -> None:
    spec, classes = make_spec({"arch": arch}), 12
    model, kernels = build(spec, 1000, classes), spec.kernels(1000, classes)
    assert multiply_adds(model) == sum(kernel.multiply_adds for kernel in kernels)
    normalised = sum(2 * kernel.filters for kernel in kernels[:-1])
    weights = sum(kernel.weights for kernel in kernels)
    assert trainable_parameters(model) == weights + normalised + classes
    lengths = [model.get_layer(f"conv{n + 1}").input.shape[1] for n in range(len(spec.blocks))]
    assert spec.map_lengths(1000)[:-1] == lengths
