"""The networks: their sizes, names, initial weights, and what they compute."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from mlproject.architectures import make_spec
from mlproject.network.backend import value
from mlproject.network.build import (
    activations,
    build,
    maximum_possible_activation,
    predict,
    stream_seed,
    trainable_parameters,
)
from mlproject.network.graph import activation_chain
from mlproject.sequence import one_hot
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError

BASE = dict.fromkeys(("CNN-1", "CNN-2", "CNN-4", "CNN-10", "CNN-25", "CNN-50", "CNN-100"), 160_048)
PARAMETERS_200 = BASE | {
    "CNN9-4": 158_848,
    "CNN9-25": 158_848,
    "CNN3-2": 158_128,
    "CNN3-50": 158_128,
    "CNN-50-2": 160_048,
    "CNN-50-2-released": 25_712,
    "CNN19-1-2": 144_688,
    "CNN-25x60": 181_588,
    "CNN-25x90": 203_128,
    "CNN-25x120": 224_668,
    "CNN-1-1-100": 242_224,
}
PARAMETERS_1000 = dict.fromkeys(BASE, 684_336) | {
    "CNN9-4": 683_136,
    "CNN9-25": 683_136,
    "CNN3-2": 682_416,
    "CNN3-50": 682_416,
}
SMALL = {
    "filters1": 6,
    "kernel1": 7,
    "pool1": 4,
    "pool_stride1": 2,
    "filters2": 5,
    "kernel2": 3,
    "pool2": 3,
    "units": 8,
    "bn_epsilon": 1e-3,
}


def small_spec(**options: object) -> RunSpec:
    return make_spec(SMALL | options)


def random_codes(count: int, length: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 5, (count, length)).astype(np.uint8)


def randomise(model: keras.Model, seed: int = 0) -> None:
    """Give every weight a random value: gammas of both signs, variances above 0."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        weight.assign(np.abs(values) + 0.1 if weight.name.endswith("variance") else values)


def numpy_weights(model: keras.Model) -> list[np.ndarray]:
    return [value(weight) for weight in model.weights]


def in_other_backend(code: str, *arguments: Path) -> None:
    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    subprocess.run(
        [sys.executable, "-c", f"import sys, test_model; test_model.{code}", *map(str, arguments)],
        cwd=Path(__file__).parent,
        env=os.environ | {"KERAS_BACKEND": other},
        check=True,
    )


def save_scores(weights: str, scores: str) -> None:
    model = build(small_spec(), 40, 3)
    with np.load(weights) as arrays:
        model.set_weights([*arrays.values()])
    np.save(scores, predict(model, random_codes(30)))


@pytest.mark.parametrize("name", PARAMETERS_200)
def test_every_network_of_the_paper_has_its_number_of_parameters(name: str) -> None:
    model = build(make_spec({"arch": name}), 200, 12)
    assert trainable_parameters(model) == PARAMETERS_200[name]


@pytest.mark.parametrize("name", ["CNN-1", "CNN-25", "CNN-100", "CNN9-4", "CNN3-50"])
def test_networks_have_the_papers_number_of_parameters_on_1000_nt(name: str) -> None:
    model = build(make_spec({"arch": name}), 1000, 12)
    assert trainable_parameters(model) == PARAMETERS_1000[name]


def test_overlapping_pools_keep_the_map_lengths_of_the_spec() -> None:
    spec = make_spec({"arch": "CNN-50-2"})
    for length in (200, 1000):
        model = build(spec, length, 12)
        lengths = [length, *(model.get_layer(f"conv{i}_pool").output.shape[1] for i in (1, 2))]
        assert lengths == spec.map_lengths(length)
        assert lengths[1] == length // 2


def test_layers_are_named_by_block() -> None:
    spec = make_spec({"arch": "CNN-1-1-100", "activation": "exponential"})
    names = [layer.name for layer in build(spec, 200, 12).layers]
    assert names == [
        *("sequence", "conv1", "conv1_bn", "conv1_exponential", "conv1_dropout"),
        *("conv2", "conv2_bn", "conv2_relu", "conv2_dropout"),
        *("conv3", "conv3_bn", "conv3_relu", "conv3_pool", "conv3_dropout"),
        *("flatten", "dense", "dense_bn", "dense_relu", "dense_dropout", "output"),
    ]


def test_one_block_is_enough() -> None:
    model = build(make_spec({"filters2": 0, "pool1": 10}), 40, 3)
    assert model.output_shape == (None, 3)
    assert not [layer for layer in model.layers if layer.name.startswith("conv2")]


def test_stride_of_a_convolution_shortens_the_map() -> None:
    spec = small_spec(stride1=2)
    model = build(spec, 40, 3)
    assert model.get_layer("conv1").output.shape[1] == 20
    assert model.get_layer("conv1_pool").output.shape[1] == spec.map_lengths(40)[1]


def test_a_pool_wider_than_its_input_is_refused() -> None:
    with pytest.raises(UserError, match="pool1=50 on a map of 40 positions"):
        build(make_spec({"pool1": 50}), 40, 3)


def test_protocol_reaches_every_layer() -> None:
    model = build(make_spec({"protocol": "paper", "l2": 0.25, "bn_momentum": 0.5}), 200, 12)
    for name in ("conv1", "conv2", "dense", "output"):
        layer = model.get_layer(name)
        assert isinstance(layer.kernel_initializer, keras.initializers.HeNormal)
        assert float(layer.kernel_regularizer.l2) == 0.25
        assert layer.use_bias == (name == "output")
    for name in ("conv1_bn", "conv2_bn", "dense_bn"):
        assert (model.get_layer(name).epsilon, model.get_layer(name).momentum) == (1e-3, 0.5)
    assert [model.get_layer(f"{name}_dropout").rate for name in ("conv1", "conv2", "dense")] == [
        *(0.1, 0.1, 0.5),
    ]


def test_l2_covers_all_kernels_and_nothing_else() -> None:
    model = build(small_spec(l2=0.5), 40, 3)
    randomise(model)
    kernels = [
        value(model.get_layer(name).kernel) for name in ("conv1", "conv2", "dense", "output")
    ]
    squares = sum(float(np.square(kernel).sum()) for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(0.5 * squares, rel=1e-5)
    assert build(small_spec(l2=0), 40, 3).losses == []


def test_seed_alone_gives_the_initial_weights() -> None:
    first, again, other = (numpy_weights(build(small_spec(seed=s), 40, 3)) for s in (3, 3, 4))
    keras.utils.set_random_seed(1)
    global_seed = numpy_weights(build(small_spec(seed=3), 40, 3))
    assert all(map(np.array_equal, first, again))
    assert all(map(np.array_equal, first, global_seed))
    assert not np.array_equal(first[0], other[0])


def test_stream_seeds_differ_by_seed_and_key() -> None:
    keys = [("conv1",), ("conv2",), ("conv1_dropout",), (1, "conv1"), (2, "conv1"), (1, "conv2")]
    seeds = {stream_seed(seed, *key) for seed in (0, 1, 2**40) for key in keys}
    assert len(seeds) == 3 * len(keys)
    assert all(0 <= seed < 2**31 for seed in seeds)


def naive_forward(model: keras.Model, spec: RunSpec, x: np.ndarray) -> np.ndarray:
    """Compute one sequence, one-hot (length, 4), by loops in float64."""

    def values(layer: str, *names: str) -> list[np.ndarray]:
        found = model.get_layer(layer)
        return [value(getattr(found, name)).astype(np.float64) for name in names]

    def normal(x: np.ndarray, name: str) -> np.ndarray:
        gamma, beta, mean, variance = values(
            f"{name}_bn", "gamma", "beta", "moving_mean", "moving_variance"
        )
        return gamma * (x - mean) / np.sqrt(variance + spec.bn_epsilon) + beta

    for number, block in enumerate(spec.blocks, 1):
        (kernel,) = values(f"conv{number}", "kernel")
        left = (block.kernel - 1) // 2
        padded = np.pad(x, ((left, block.kernel - 1 - left), (0, 0)))
        windows = [padded[start : start + block.kernel] for start in range(len(x))]
        x = np.array(
            [[(window * filt).sum() for filt in kernel.transpose(2, 0, 1)] for window in windows]
        )
        x = np.maximum(normal(x, f"conv{number}"), 0)
        count = -(-len(x) // block.pool_stride)
        excess = max((count - 1) * block.pool_stride + block.pool - len(x), 0)
        starts = [i * block.pool_stride - excess // 2 for i in range(count)]
        x = np.array([x[max(start, 0) : start + block.pool].max(axis=0) for start in starts])
    (kernel,) = values("dense", "kernel")
    x = np.maximum(normal(x.ravel() @ kernel, "dense"), 0)
    kernel, bias = values("output", "kernel", "bias")
    return 1 / (1 + np.exp(-(x @ kernel + bias)))


def test_forward_pass_equals_loops() -> None:
    spec = small_spec()
    model = build(spec, 40, 3)
    randomise(model)
    model.get_layer("output").kernel.assign(model.get_layer("output").kernel * 0.01)
    codes = random_codes(5)
    slow = np.array([naive_forward(model, spec, x) for x in one_hot(codes).astype(np.float64)])
    np.testing.assert_allclose(predict(model, codes), slow, atol=1e-5)


def test_scores_do_not_depend_on_the_batch() -> None:
    model = build(small_spec(), 40, 3)
    codes = random_codes(23)
    whole = predict(model, codes)
    assert whole.shape == (23, 3)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(predict(model, codes, batch_size=10), whole, atol=1e-6)
    assert predict(model, codes[:0]).shape == (0, 3)


def test_scores_follow_new_weights() -> None:
    model = build(small_spec(), 40, 3)
    codes = random_codes(4)
    before = predict(model, codes)
    randomise(model)
    assert not np.allclose(before, predict(model, codes))


def test_equal_weights_give_equal_scores_in_both_backends(tmp_path: Path) -> None:
    model = build(small_spec(), 40, 3)
    randomise(model)
    model.get_layer("output").kernel.assign(model.get_layer("output").kernel * 0.01)
    np.savez(tmp_path / "weights.npz", *numpy_weights(model))
    in_other_backend("save_scores(*sys.argv[1:])", tmp_path / "weights.npz", tmp_path / "s.npy")
    here, there = predict(model, random_codes(30)), np.load(tmp_path / "s.npy")
    assert np.ptp(here) > 0.01
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_activations_are_those_after_batch_norm_and_activation() -> None:
    model = build(small_spec(), 40, 3)
    randomise(model)
    codes = random_codes(7)
    got = [*activations(model, "conv1", codes, batch_size=3)]
    assert [len(batch) for batch in got] == [3, 3, 1]
    convolution, norm = model.get_layer("conv1"), model.get_layer("conv1_bn")
    wanted = np.maximum(np.asarray(norm(convolution(one_hot(codes)))), 0)
    np.testing.assert_allclose(np.concatenate(got), wanted, atol=1e-5)
    (deeper,) = activations(model, "conv2", codes)
    assert deeper.shape == (7, 20, 5)


def test_an_unknown_layer_is_refused_with_the_known_ones() -> None:
    model = build(small_spec(), 40, 3)
    assert activation_chain(model, "conv2")[-1].name == "conv2_relu"
    with pytest.raises(UserError, match="unknown layer 'conv9': did you mean conv2, conv1"):
        activations(model, "conv9", random_codes(2))
    with pytest.raises(UserError, match="must be a Conv1D: conv1_pool is a MaxPooling1D; choose"):
        activations(model, "conv1_pool", random_codes(2))


@pytest.mark.parametrize("activation", ["relu", "exponential", "tanh"])
def test_maximum_possible_activation_is_reached_by_the_best_of_all_words(activation: str) -> None:
    model = build(small_spec(kernel1=4, activation=activation), 40, 3)
    randomise(model)
    words = np.stack(np.meshgrid(*[np.arange(4)] * 4), axis=-1).reshape(-1, 4).astype(np.uint8)
    codes = np.zeros((len(words), 40), np.uint8)
    codes[:, 10:14] = words
    middle = np.concatenate([*activations(model, "conv1", codes)])[:, 11]
    assert (value(model.get_layer("conv1_bn").gamma) < 0).any()
    np.testing.assert_allclose(
        maximum_possible_activation(model), middle.max(axis=0), rtol=1e-5, atol=1e-6
    )


def test_maximum_possible_activation_needs_the_layer_that_reads_letters() -> None:
    with pytest.raises(UserError, match="first convolution only: got conv2"):
        maximum_possible_activation(build(small_spec(), 40, 3), "conv2")
