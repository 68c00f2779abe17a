"""DeepLIFT on any graph: against rules that are written out one by one in `slow_deeplift`."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from slow_deeplift import slow_multipliers
from test_networks import LENGTH, TOPOLOGIES, randomise, small

from mlproject.attribution import METHODS, attribute
from mlproject.attribution.completeness import completeness_error
from mlproject.attribution.deeplift import multipliers
from mlproject.attribution.logits import Output, logit_model
from mlproject.network.build import build
from mlproject.network.precision import in_float32
from mlproject.sequence import one_hot
from mlproject.system.errors import UserError


def divided(x: Any) -> Any:
    return x / (1.0 + ops.exp(-x)) - 2.0 / (3.0 + ops.square(x))


def gated(x: Any) -> Any:
    return ops.sigmoid(x) * ops.tanh(x) + ops.softplus(x) * 0.5


def normalised(x: Any) -> Any:
    return x / ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True) + 1.0)


def raised(x: Any) -> Any:
    return ops.maximum(x, 0.25) ** 2 + ops.log1p(ops.relu(x))


def compared(x: Any) -> Any:
    return ops.maximum(x, ops.silu(x)[:, ::-1])


def separable(x: Any) -> Any:
    x = layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2)(x)
    return layers.SeparableConv1D(4, 3, padding="same", activation="elu")(x)


def recurrent(x: Any) -> Any:
    return layers.GRU(3, return_sequences=True, name="gru")(x)


def bidirectional(x: Any) -> Any:
    return layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="recurrent")(x)


GRAPHS: dict[str, Callable[[Any], Any]] = {
    one.__name__: one for one in (divided, gated, normalised, raised, compared, separable)
}


def own(graph: Callable[[Any], Any]) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((LENGTH, 4))
    x = graph(layers.Conv1D(4, 5, padding="same", bias_initializer="normal")(inputs))
    x = layers.Flatten()(layers.MaxPooling1D(3)(x))
    return keras.Model(inputs, layers.Dense(2, activation="sigmoid")(x))


def topology(name: str) -> keras.Model:
    model = build(small(**TOPOLOGIES[name]), LENGTH, 2)
    randomise(model)
    return model


def pair(seed: int, rows: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [one_hot(rng.integers(0, 4, (rows, LENGTH)).astype(np.uint8)) for _ in range(2)]


@pytest.mark.parametrize("name", [*(one for one in TOPOLOGIES if one != "recurrent"), *GRAPHS])
def test_multipliers_are_those_of_the_rules_written_out(name: str) -> None:
    model = topology(name) if name in TOPOLOGIES else own(GRAPHS[name])
    x, r = pair(3)
    select = np.eye(2, dtype=np.float32)[[1]]
    score, found = multipliers(model)(x, r, select)
    wanted = slow_multipliers(logit_model(model), x[0], r[0], 1)
    assert np.abs(wanted).max() > 1e-3
    # a ratio of two small differences in float32 is good to some thousandths
    np.testing.assert_allclose(found[0], wanted, atol=5e-3 * np.abs(wanted).max())
    difference = score - multipliers(model)(r, r, select)[0]
    total = (wanted * (x[0] - r[0])).sum()
    np.testing.assert_allclose(total, difference[0], atol=5e-3 * abs(difference[0]) + 1e-5)


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("name", [name for name in TOPOLOGIES if name != "recurrent"])
def test_contributions_of_deeplift_sum_to_the_difference(name: str, output: Output) -> None:
    model = topology(name)
    rng = np.random.default_rng(3)
    x, r = (one_hot(rng.integers(0, 4, (12, LENGTH)).astype(np.uint8)) for _ in range(2))
    select = np.eye(2, dtype=np.float32)[rng.integers(0, 2, 12)]
    scores, found = multipliers(model, output)(x, r, select)
    reference, _ = multipliers(model, output)(r, r, select)
    difference = scores - reference
    total = (found * (x - r)).sum(axis=(1, 2))
    assert np.abs(difference).max() > 1e-3
    np.testing.assert_allclose(total, difference, atol=1e-3 * np.abs(difference).max())


@pytest.mark.parametrize("name", GRAPHS)
def test_contributions_sum_to_the_difference_on_graphs_of_operations(name: str) -> None:
    model = own(GRAPHS[name])
    x, r = pair(4, rows=10)
    select = np.eye(2, dtype=np.float32)[[0, 1] * 5]
    score, found = multipliers(model)(x, r, select)
    difference = score - multipliers(model)(r, r, select)[0]
    total = (found * (x - r)).sum(axis=(1, 2))
    np.testing.assert_allclose(total, difference, atol=1e-3 * np.abs(difference).max())


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (lambda x: ops.where(x > 0, x, 0.5 * x), r"no rule for the layer greater \(Greater\)"),
        (
            lambda x: ops.power(ops.abs(x) + 1.0, x),
            r"no rule for the layer power \(Power\) of 2 inputs",
        ),
        (lambda x: x - ops.max(x, keepdims=True), r"no rule for the layer max \(Max\)"),
        (recurrent, r"no rule for the layer gru"),
        (bidirectional, r"no rule for the layer recurrent"),
    ],
)
def test_an_operation_without_a_rule_is_named_with_the_methods_that_work(
    graph: Callable[[Any], Any], says: str
) -> None:
    keras.utils.clear_session(free_memory=False)
    model = own(graph)
    x, r = pair(5)
    with pytest.raises(UserError, match=f"{says}.*integrated_gradients, or ism"):
        multipliers(model)(x, r, np.eye(2, dtype=np.float32)[:1])


@pytest.mark.parametrize("name", ["residual", "self-attention", "recurrent", "both strands"])
def test_a_network_of_bfloat16_is_attributed_in_float32(name: str) -> None:
    model = build(small(**TOPOLOGIES[name], precision="bfloat16"), LENGTH, 2)
    randomise(model)
    copy = in_float32(model)
    assert {layer.compute_dtype for layer in copy.layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
    assert in_float32(copy) is copy
    for one, other in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    codes = np.random.default_rng(6).integers(0, 4, (6, LENGTH)).astype(np.uint8)
    targets = np.array([0, 1] * 3)
    methods = ["saliency", "ism"] if name == "recurrent" else ["saliency", "ism", "deeplift"]
    assert set(methods) <= set(METHODS)
    for method in methods:
        found, exact = (attribute(one, method, codes, targets) for one in (model, copy))
        np.testing.assert_array_equal(found.scores, exact.scores)
        error = completeness_error(model, found, 0)
        assert error is None or error < 1e-3
