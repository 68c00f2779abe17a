"""Networks beyond the paper's: each topology is built, trained, resumed, read, saved and loaded."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import logit
from sklearn.metrics import roc_auc_score
from test_training import TRAIN, VALID

from mlproject.architectures import make_spec
from mlproject.filters.ablation import ablate
from mlproject.geometry import receptive_field
from mlproject.network import backend, fast_pass
from mlproject.network.activations import MODIFIED
from mlproject.network.build import activations, build, maximum_possible_activation, predict
from mlproject.network.graph import activation_chain, activation_output, cut
from mlproject.network.protocol import Epoch
from mlproject.network.saving import load_model, save_model
from mlproject.network.training import fit
from mlproject.run.model_parts import network_parts
from mlproject.sequence import one_hot, reverse_complement
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError

LENGTH = 30
BASE = {
    "filters1": 6, "kernel1": 5, "pool1": 3, "filters2": 5, "kernel2": 3, "pool2": 2, "units": 8,
    "batch_size": 64, "learning_rate": 0.01, "epochs": 3, "bn_momentum": 0.8,
}  # fmt: skip
TOPOLOGIES: dict[str, dict[str, object]] = {
    "valid padding": {"padding1": "valid", "pool_padding1": "valid", "padding2": "valid"},
    "dilation": {"dilation1": 2, "dilation2": 3},
    "dropout before the pool": {"order": "dropout_pool", "dropout1": 0.2, "dropout2": 0.3},
    "average pool": {"pooling1": "average"},
    "attention pool": {"pooling1": "attention", "pool1": 4},
    "residual": {"residual1": 3, "dilation_residual1": 2, "residual2": 1},
    "no batch norm": {"batch_norm": "off"},
    "several dense layers": {"dense": "9,7"},
    "global max": {"head": "global_max"},
    "global average": {"head": "global_average", "output_l2": 0.0},
    "self-attention": {"attention": 2, "attention_heads": 2, "attention_key": 3},
    "recurrent": {"recurrent": 4},
    "both strands": {"strands": "shared"},
    "deeper activation": {"activation1": "tanh", "activation2": "exponential"},
    "modified activation": {"activation": "shift_scale_tanh"},
}
PROTOCOLS: dict[str, dict[str, object]] = {
    "plateau": {"monitor": "val_aupr_pooled", "reduce_lr_factor": 0.5, "reduce_lr_patience": 1},
    "cosine": {"warmup": 1, "decay": "cosine", "weights": "last"},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.01, "clip_norm": 0.5},
    "sgd": {"optimizer": "sgd", "label_smoothing": 0.1, "class_weight": "balanced"},
    "auroc": {"monitor": "val_auroc"},
}
RESUMED = ("residual", "self-attention", "recurrent", "both strands", "plateau", "cosine", "sgd")


def small(**options: object) -> RunSpec:
    return make_spec(BASE | options)


def weights(model: keras.Model) -> list[np.ndarray]:
    return [backend.value(one) for one in model.weights]


@pytest.mark.parametrize("options", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_a_topology_is_saved_and_loaded_in_safe_mode_with_equal_scores(
    options: dict[str, object], tmp_path: Path
) -> None:
    model = build(small(**options), LENGTH, 2)
    save_model(model, tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(predict(model, VALID.codes), predict(again, VALID.codes))
    assert small(**options).train_sha256("x") != small().train_sha256("x")
    assert make_spec(small(**options).flat()) == small(**options)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in RESUMED else pytest.mark.slow)
        for name in (*TOPOLOGIES, *PROTOCOLS)
    ],
)
def test_a_training_resumed_after_an_epoch_has_equal_weights_and_history(
    name: str, tmp_path: Path
) -> None:
    spec = small(**(TOPOLOGIES | PROTOCOLS)[name])
    one, other = tmp_path / "one.h5", tmp_path / "other.h5"

    def keep(epoch: Epoch) -> None:
        if epoch.epoch == 1:
            shutil.copy(one, other)

    model, again = build(spec, LENGTH, 2), build(spec, LENGTH, 2)
    done = fit(model, spec, TRAIN, VALID, state_path=one, on_epoch=keep)
    resumed = fit(again, spec, TRAIN, VALID, state_path=other, resume=True)
    assert len(resumed.history) == 3
    assert [epoch.values for epoch in resumed.history] == [epoch.values for epoch in done.history]
    for mine, theirs in zip(weights(model), weights(again), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("options", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_first_layer_filters_are_read_where_the_graph_has_them(options: dict[str, object]) -> None:
    spec = small(**options)
    model = build(spec, LENGTH, 2)
    maps = np.concatenate([*activations(model, "conv1", VALID.codes)])
    field = receptive_field(model, "conv1")
    assert field.width == spec.blocks[0].convolution.span
    assert maps.shape == (len(VALID.codes), spec.blocks[0].convolution.outputs(LENGTH), 6)
    convolution = model.get_layer("conv1")
    x = keras.ops.convert_to_tensor(one_hot(VALID.codes))
    x = convolution(x)
    for layer in activation_chain(model, "conv1"):
        product = isinstance(layer, keras.layers.Multiply)
        x = layer([x] * 3) if product else layer(x, training=False)
    scale = 500.0 if spec.activation in MODIFIED else 1.0  # of a difference of large numbers
    np.testing.assert_allclose(maps, np.asarray(x)[: len(maps)], rtol=1e-5, atol=5e-7 * scale)
    span = spec.blocks[0].convolution.span
    inner = maps if spec.blocks[0].padding == "valid" else maps[:, span:-span]
    assert (inner.max(axis=(0, 1)) <= maximum_possible_activation(model) * (1 + 1e-5) + 1e-5).all()


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_ablation_is_the_loss_with_the_filter_at_its_mean(name: str) -> None:
    spec = small(**TOPOLOGIES[name])
    model = build(spec, LENGTH, 2)
    for layer in ("conv1", "conv2", *(["conv1_residual1"] if spec.blocks[0].residual else [])):
        output = activation_output(model, layer)
        tensors = cut(model, output)
        tail = keras.Model(tensors, model.output)
        head = backend.forward(keras.Model(model.inputs, tensors))
        inputs = head(one_hot(VALID.codes))
        inputs = inputs if isinstance(inputs, list) else [inputs]
        found = ablate(
            network_parts(model, layer), layer, VALID.codes, VALID.labels, ("A", "B"), 1e15
        )
        changed = [np.array(inputs[0]), *inputs[1:]]
        changed[0][..., 0] = changed[0][..., 0].mean()
        scores = [np.asarray(backend.forward(tail)(one)) for one in (inputs, changed)]
        pairs = VALID.labels.sum(axis=0) * (1 - VALID.labels.astype(int)).sum(axis=0)
        areas = [
            np.array([roc_auc_score(*one) for one in zip(VALID.labels.T, s.T, strict=True)])
            for s in scores
        ]
        np.testing.assert_allclose(found.loss[0], areas[0] - areas[1], atol=20.0 / pairs.min())


def test_scores_with_shared_strands_are_those_of_the_reverse_complement() -> None:
    model = build(small(strands="shared"), LENGTH, 2)
    plain = build(small(), LENGTH, 2)
    assert model.count_params() == plain.count_params()
    np.testing.assert_allclose(
        predict(model, VALID.codes), predict(model, reverse_complement(VALID.codes)), atol=1e-5
    )
    both = [logit(predict(plain, one)) for one in (VALID.codes, reverse_complement(VALID.codes))]
    np.testing.assert_allclose(logit(predict(model, VALID.codes)), np.mean(both, 0), atol=1e-4)


@pytest.mark.parametrize("name", MODIFIED)
def test_a_modified_activation_is_the_printed_function(name: str) -> None:
    functions = {
        "shift_scale_relu": lambda x: np.maximum((x - 0.2) ** 3, 0),
        "shift_scale_tanh": lambda x: 500 * np.tanh(x - 6) + 500,
        "shift_scale_sigmoid": lambda x: 4000 / (1 + np.exp(8 - x)),
        "exp_relu": lambda x: np.maximum(np.exp(0.1 * x) - 1, 0),
        "shift_relu": lambda x: np.maximum(x - 0.2, 0),
        "shift_tanh": lambda x: np.tanh(x - 6),
        "shift_sigmoid": lambda x: 1 / (1 + np.exp(8 - x)),
        "scale_relu": lambda x: np.maximum(x**3, 0),
        "scale_tanh": lambda x: 500 * np.tanh(x) + 500,
        "scale_sigmoid": lambda x: 4000 / (1 + np.exp(-x)),
    }
    model = build(small(activation=name), LENGTH, 2)
    normed = model.get_layer("conv1_bn").output
    x = np.linspace(-3, 9, 28 * 6).reshape(1, 28, 6).astype(np.float32)
    x = np.resize(x, (1, LENGTH, 6))
    found = keras.Model(normed, activation_output(model, "conv1"))(x)
    np.testing.assert_allclose(np.asarray(found), functions[name](x), rtol=2e-4, atol=2e-4)


def test_bfloat16_computes_in_16_bits_and_keeps_weights_in_32(tmp_path: Path) -> None:
    spec = small(precision="bfloat16", epochs=2)
    model = build(spec, LENGTH, 2)
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"
    assert not fast_pass.supports(model)
    done = fit(model, spec, TRAIN, VALID, state_path=tmp_path / "state.h5")
    assert done.history[-1].values["train_loss"] < done.history[0].values["train_loss"]
    exact, rounded = (
        predict(build(small(precision=one), LENGTH, 2), VALID.codes)
        for one in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - rounded).max() < 0.1


def test_networks_with_blocks_or_max_pools_train_fast_and_others_by_their_own_pass() -> None:
    for name, options in TOPOLOGIES.items():
        assert fast_pass.supports(build(small(**options), LENGTH, 2)), name
    pools = {"pooling1": "average", "pooling2": "average"}
    valid = {"padding1": "valid", "padding2": "valid"}
    assert not fast_pass.supports(build(small(**pools, **valid), LENGTH, 2))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"padding2": "valid", "kernel2": 11},
            "must fit into its input",
        ),
        ({"pooling1": "attention", "pool_stride1": 2}, "windows that do not overlap"),
        ({"dense": "8,0"}, "`dense`"),
        ({"padding1": "full"}, "`padding1`"),
    ],
)
def test_a_network_that_cannot_be_is_refused_in_one_line(
    options: dict[str, object], says: str
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        build(small(**options), LENGTH, 2)
    assert "\n" not in str(caught.value)


def randomise(model: keras.Model) -> None:
    """Give batch norms the statistics of a trained network."""
    rng = np.random.default_rng(1)
    for variable in model.variables:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif variable.path.endswith(("beta", "moving_mean", "relative_bias")):
            variable.assign(rng.normal(0.0, 0.5, variable.shape))
