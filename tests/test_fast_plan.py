"""The fast pass on any graph: which parts it takes over, and that a step is the model's own."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from test_networks import TOPOLOGIES, small
from test_training_pass import only_on_jax

from mlproject.architectures import make_spec
from mlproject.network import backend
from mlproject.network.build import build
from mlproject.network.fast_pass import (
    choose_prediction,
    prediction_pass,
    supports,
    training_pass,
    wide_pool,
)
from mlproject.network.fast_pass.forward import dropped
from mlproject.network.fast_pass.plan import Block, is_chain_of_blocks, plan
from mlproject.network.steps import make_steps

LENGTH, CLASSES = 30, 2


def conv(x: Any, **options: Any) -> Any:
    settings = {"filters": 5, "kernel_size": 5, "padding": "same", "kernel_regularizer": "l2"}
    return layers.Conv1D(**(settings | options))(x)


def normed(x: Any, activation: str = "relu", **options: Any) -> Any:
    return layers.Activation(activation)(layers.BatchNormalization(momentum=0.5, **options)(x))


def with_bias(x: Any) -> Any:
    return layers.MaxPooling1D(5)(normed(conv(x)))


def without_norm(x: Any) -> Any:
    return layers.MaxPooling1D(3, padding="same")(conv(x, activation="elu"))


def activated_alone(x: Any) -> Any:
    return layers.MaxPooling1D(4, 2, padding="same")(layers.Activation("tanh")(conv(x, strides=2)))


def branches(x: Any) -> Any:
    parts = [layers.MaxPooling1D(5)(normed(conv(x, kernel_size=size))) for size in (3, 7)]
    x = layers.MaxPooling1D(2)(normed(conv(layers.Concatenate()(parts), use_bias=False)))
    return ops.sigmoid(x) * x + 2.0 / (1.0 + ops.exp(-x))


def before_a_recurrent_layer(x: Any) -> Any:
    return layers.Bidirectional(layers.LSTM(3, return_sequences=True))(with_bias(x))


TAKEN: dict[str, tuple[Callable[[Any], Any], int]] = {
    one.__name__: (one, blocks)
    for one, blocks in (
        (with_bias, 1), (without_norm, 1), (activated_alone, 1), (branches, 3),
        (before_a_recurrent_layer, 1),
    )
}  # fmt: skip
POOLS: dict[str, Callable[[Any], Any]] = {
    "the map is read twice": lambda x: ops.add(
        layers.UpSampling1D(2)(layers.MaxPooling1D(2)(y := normed(conv(x)))), y
    ),
    "valid padding": lambda x: layers.MaxPooling1D(2)(normed(conv(x, padding="valid"))),
    "dilation": lambda x: layers.MaxPooling1D(2)(normed(conv(x, dilation_rate=2))),
    "dropout of whole channels": lambda x: layers.MaxPooling1D(2)(
        layers.SpatialDropout1D(0.0)(normed(conv(x)))
    ),
    "groups": lambda x: layers.MaxPooling1D(2)(normed(conv(x, groups=2, filters=4))),
    "a pool that leaves positions out": lambda x: layers.MaxPooling1D(4)(normed(conv(x))),
    "a pool that overlaps": lambda x: layers.MaxPooling1D(6, 2, "same")(
        layers.LayerNormalization()(conv(x))
    ),
    "an activation with a minimum": lambda x: layers.MaxPooling1D(2)(conv(x, activation="gelu")),
    "no gamma": lambda x: layers.MaxPooling1D(2)(normed(conv(x), scale=False)),
    "a frozen norm": lambda x: layers.MaxPooling1D(2)(normed(conv(x), trainable=False)),
    "a penalty on activations": lambda x: layers.MaxPooling1D(2)(
        conv(x, activity_regularizer="l2")
    ),
}
LEFT: dict[str, Callable[[Any], Any]] = {
    "no pool": lambda x: normed(conv(x)),
    "a pool whose windows are no union of strides": lambda x: layers.MaxPooling1D(3, 2, "same")(
        conv(x, activation="gelu")
    ),
    "an overlapping pool without padding": lambda x: layers.MaxPooling1D(4, 2)(
        conv(x, activation="gelu")
    ),
}


def own(graph: Callable[[Any], Any]) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((LENGTH, 4))
    x = layers.Flatten()(graph(inputs))
    model = keras.Model(inputs, layers.Dense(CLASSES, activation="sigmoid")(x))
    return signed(model)


def signed(model: keras.Model) -> keras.Model:
    """Give batch norms gammas of either sign, and convolutions biases."""
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        if variable.path.endswith(("gamma", "beta", "bias")):
            variable.assign(rng.standard_normal(variable.shape))
    return model


def after_steps(model: keras.Model, scores: Callable[..., Any]) -> list[np.ndarray]:
    """Return the weights after two steps of plain gradient descent, and the loss."""
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(model.trainable_variables)
    steps = make_steps(model, optimizer, scores)
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 4, (1, 8, model.input_shape[1])).astype(np.uint8)
    steps.start()
    for _ in range(2):
        steps.run(codes, (rng.random((1, 8, CLASSES)) < 0.4).astype(np.uint8))
    return [np.array(steps.finish()), *(backend.value(one) for one in model.weights)]


def assert_equal_steps(make: Callable[[], keras.Model]) -> None:
    ours = after_steps(make(), training_pass)
    stock = after_steps(make(), lambda model, x: model(x, training=True))
    for one, other in zip(ours, stock, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


def assert_equal_predictions(make: Callable[[], keras.Model]) -> None:
    """Compare the scores of prediction, after steps that have moved the averages of batch norm."""
    model = make()
    after_steps(model, training_pass)
    length = model.input_shape[1]
    drawn = np.random.default_rng(3).integers(0, 5, (6, length))  # the last letter is unknown
    x = np.eye(5, dtype=np.float32)[drawn][..., :4]
    ours, own_scores = prediction_pass(model, x), model(x, training=False)
    np.testing.assert_allclose(backend.value(ours), backend.value(own_scores), rtol=1e-4, atol=1e-6)


def test_the_compiled_pass_of_prediction_follows_the_models_weights() -> None:
    model = signed(build(small(), LENGTH, CLASSES))
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(4).integers(0, 4, (3, LENGTH))]
    fast = backend.forward(model, choose_prediction(model))
    assert choose_prediction(model) is prediction_pass
    for _ in range(2):
        np.testing.assert_allclose(fast(x), backend.forward(model)(x), rtol=1e-4, atol=1e-6)
        before = fast(x)
        after_steps(model, training_pass)
        assert not np.allclose(fast(x), before, rtol=1e-3)


@pytest.mark.parametrize("name", TAKEN)
def test_a_step_of_an_own_model_with_blocks_is_the_models_own(name: str) -> None:
    graph, count = TAKEN[name]
    model = own(graph)
    assert supports(model)
    assert sum(isinstance(one, Block) for one in plan(model)) == count
    assert not is_chain_of_blocks(model)
    assert_equal_steps(lambda: own(graph))
    assert_equal_predictions(lambda: own(graph))


@pytest.mark.parametrize(
    "options",
    [
        {"residual1": 2},
        {"order": "dropout_pool"},
        {"padding2": "valid", "kernel2": 3},
        *(TOPOLOGIES[one] for one in ("no batch norm", "both strands", "self-attention")),
    ],
)
def test_a_step_of_a_topology_with_blocks_is_the_models_own(options: dict[str, object]) -> None:
    spec = small(**options, dropout_conv=0.0, dropout_dense=0.0)
    assert supports(build(spec, LENGTH, CLASSES))
    assert_equal_steps(lambda: signed(build(spec, LENGTH, CLASSES)))
    assert_equal_predictions(lambda: signed(build(spec, LENGTH, CLASSES)))


@pytest.mark.parametrize("arch", ["CNN-25", "CNN-2", "CNN19-1-2", "EXP-CNN-50"])
def test_dropout_is_off_and_averages_normalise_when_scores_are_predicted(arch: str) -> None:
    spec = make_spec({"arch": arch, "units": 16, "bn_momentum": 0.5})
    assert_equal_predictions(lambda: signed(build(spec, 200, CLASSES)))


@pytest.mark.parametrize(
    ("activation", "rate"),
    [
        *(("relu", 0.1), ("exponential", 0.1), ("elu", 0.1), ("shift_scale_sigmoid", 0.1)),
        *(("relu", 0.8), ("tanh", 0.8), ("linear", 0.8), ("shift_scale_relu", 0.8)),
    ],  # 0.8: nothing is kept of some windows
)
def test_a_block_with_dropout_before_its_pool_is_the_models_own_with_equal_bits(
    activation: str, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small(
        activation=activation, order="dropout_pool", pool1=5, pool2=2, dropout_conv=rate,
        dropout_dense=0.0,
    )  # fmt: skip
    assert sum(isinstance(one, Block) for one in plan(build(spec, LENGTH, CLASSES))) == 2
    monkeypatch.setattr(layers.Dropout, "call", lambda layer, x, training=None: dropped(layer, x))
    assert_equal_steps(lambda: signed(build(spec, LENGTH, CLASSES)))


@pytest.mark.parametrize("rate", [0.1, 0.8])
def test_dropout_before_a_wide_pool_is_the_models_own_with_equal_bits(
    rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_on_jax()
    monkeypatch.setattr(wide_pool, "MIN_WINDOW", 3)
    monkeypatch.setattr(wide_pool, "MIN_WINDOW_OF_LETTERS", 5)
    spec = small(
        order="dropout_pool", filters1=12, filters2=36, pool1=5, pool2=3, dropout_conv=rate,
        dropout_dense=0.0,
    )  # fmt: skip
    model = build(spec, LENGTH, CLASSES)
    for name, pool in (("conv1", 5), ("conv2", 3)):
        layer = model.get_layer(name)
        assert wide_pool.is_cheaper(layer.input, layer.kernel, pool)
    monkeypatch.setattr(layers.Dropout, "call", lambda layer, x, training=None: dropped(layer, x))
    assert_equal_steps(lambda: signed(build(spec, LENGTH, CLASSES)))


@pytest.mark.parametrize("name", POOLS)
def test_a_step_with_a_pool_outside_blocks_is_the_models_own(name: str) -> None:
    model = own(POOLS[name])
    assert supports(model)
    assert not any(isinstance(one, Block) for one in plan(model))
    assert_equal_steps(lambda: own(POOLS[name]))
    assert_equal_predictions(lambda: own(POOLS[name]))


@pytest.mark.parametrize("name", LEFT)
def test_what_could_differ_or_gain_nothing_is_left_to_the_model(name: str) -> None:
    assert not supports(own(LEFT[name]))
