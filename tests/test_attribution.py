"""Attributions: exact where a person can check them, sums where theory promises them."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pandas
import pytest
from keras import layers

from mlproject.architectures import make_spec
from mlproject.attribution import METHODS, Attributions, attribute
from mlproject.attribution.completeness import completeness_error
from mlproject.attribution.deeplift import deeplift, multipliers
from mlproject.attribution.examples import example_table, in_turn, parse_examples
from mlproject.attribution.files import read_attributions, write_arrays, write_attributions
from mlproject.attribution.gradients import class_gradient, saliency, smoothgrad
from mlproject.attribution.logits import logit_model
from mlproject.attribution.methods import rng_of
from mlproject.attribution.mutagenesis import ism, ism_window
from mlproject.attribution.path_gradients import expected_gradients, integrated_gradients
from mlproject.attribution.references import shuffled
from mlproject.attribution.scores import centred, contributions, hypothetical
from mlproject.fields import ATTRIBUTIONS
from mlproject.network.build import build, predict
from mlproject.sequence import OTHER, one_hot
from mlproject.system.errors import UserError
from mlproject.system.files import SEAL_LENGTH

LENGTH, CLASSES = 60, 3
NARROW: dict[str, object] = {"filters1": 5, "filters2": 6, "units": 8, "pool2": 3}
NETWORKS: dict[str, dict[str, object]] = {
    "pool of 4": {"pool1": 4},
    "no pool": {"pool1": 1},
    "overlapping pool": {"pool1": 9, "pool_stride1": 4},
    "pool that does not divide": {"pool1": 7},
    "stride": {"pool1": 2, "stride1": 3},
    "exponential": {"pool1": 3, "activation": "exponential"},
    "three blocks": {"pool1": 1, "filters3": 4, "kernel3": 3, "pool3": 5, "pool2": 1},
}
ACGT_ACGT = np.array([[0, 1, 2, 3, 0, 1, 2, 3]], np.uint8)


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _codes(count: int = 7, length: int = LENGTH) -> np.ndarray:
    return _rng(1).integers(0, 4, (count, length)).astype(np.uint8)


def _network(name: str = "pool of 4") -> keras.Model:
    """Return a network with weights and batch norm as after a training, not as at the start."""
    model = build(make_spec(NARROW | NETWORKS[name]), LENGTH, CLASSES)
    rng = _rng(2)
    for weight in model.weights:
        scale = 0.1 if "moving_mean" in weight.path else 0.4
        value = rng.normal(0.0, scale, weight.shape)
        if "moving_variance" in weight.path or "gamma" in weight.path:
            value = 0.5 + np.abs(value)
        weight.assign(value)
    return model


def _linear() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """Return a network that is one dense layer on 8 nt, its weights (8, 4, 2) and its bias."""
    inputs = keras.Input((8, 4))
    outputs = layers.Dense(2, activation="sigmoid")(layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    weights, bias = _rng().normal(size=(32, 2)).astype(np.float32), np.array([0.3, -0.2])
    model.layers[-1].set_weights([weights, bias])
    return model, weights.reshape(8, 4, 2), bias


def _logits(model: keras.Model, codes: np.ndarray) -> np.ndarray:
    return predict(logit_model(model), codes)


def _of(outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return outputs[np.arange(len(targets)), targets]


def test_the_logit_model_is_the_network_before_its_sigmoid() -> None:
    model, codes = _network(), _codes()
    scores = 1 / (1 + np.exp(-_logits(model, codes)))
    np.testing.assert_allclose(scores, predict(model, codes), atol=1e-6)


def test_the_gradient_of_a_linear_model_is_its_weights() -> None:
    model, weights, _ = _linear()
    for target in (0, 1):
        found = saliency(model, ACGT_ACGT, np.array([target]), correct=False)
        np.testing.assert_allclose(found[0], weights[..., target], atol=1e-6)
        times_input = attribute(model, "gradient_x_input_raw", ACGT_ACGT, np.array([target]))
        wanted = weights[np.arange(8), ACGT_ACGT[0], target]
        np.testing.assert_allclose(times_input.contributions[0], wanted, atol=1e-6)


def test_the_corrected_gradient_has_mean_zero_at_each_position() -> None:
    model, weights, _ = _linear()
    found = saliency(model, ACGT_ACGT, np.array([1]))
    wanted = weights[..., 1] - weights[..., 1].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)


@pytest.mark.parametrize("method", ["integrated_gradients", "smoothgrad", "ism"])
def test_methods_of_a_linear_model_agree_with_its_centred_weights(method: str) -> None:
    model, weights, _ = _linear()
    found = attribute(model, method, ACGT_ACGT, np.array([0])).scores
    np.testing.assert_allclose(found[0], centred(weights[..., 0]), atol=2e-5)


@pytest.mark.parametrize("method", ["expected_gradients", "deeplift"])
def test_against_references_a_linear_model_gives_weights_less_those_of_the_reference(
    method: str,
) -> None:
    model, weights, _ = _linear()
    functions = {"expected_gradients": expected_gradients, "deeplift": deeplift}
    found = functions[method](model, ACGT_ACGT, np.array([0]), rng=_rng(5), references=6)
    others = one_hot(shuffled(ACGT_ACGT, 6, _rng(5)))[0]
    wanted = np.mean([hypothetical(weights[..., 0], other) for other in others], axis=0)
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)


def test_hypothetical_contributions_are_what_each_letter_would_give_against_the_reference() -> None:
    slopes = np.array([[1.0, 2.0, 3.0, 6.0]])
    against_c = hypothetical(slopes, np.array([[0.0, 1.0, 0.0, 0.0]]))
    assert against_c.tolist() == [[-1.0, 0.0, 1.0, 4.0]]
    assert hypothetical(slopes, np.full((1, 4), 0.25)).tolist() == [[-2.0, -1.0, 0.0, 3.0]]
    assert contributions(slopes[None], np.array([[3]], np.uint8)).tolist() == [[6.0]]
    assert contributions(slopes[None], np.array([[OTHER]], np.uint8)).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("name", "output"), [*((name, "logit") for name in NETWORKS), ("no pool", "probability")]
)
def test_deeplift_sums_to_the_difference_from_the_references(name: str, output: str) -> None:
    model, codes = _network(name), _codes()
    targets = np.arange(len(codes)) % CLASSES
    found = deeplift(model, codes, targets, rng=_rng(3), references=4, output=output)  # type: ignore[arg-type]
    others = shuffled(codes, 4, _rng(3))
    outputs = logit_model(model) if output == "logit" else model
    own = _of(predict(outputs, codes), targets)
    means = predict(outputs, others.reshape(-1, LENGTH)).reshape(len(codes), 4, -1).mean(axis=1)
    wanted = own - _of(means, targets)
    assert np.abs(wanted).max() > 0.02
    np.testing.assert_allclose(contributions(found, codes).sum(axis=1), wanted, atol=1e-3)


@pytest.mark.parametrize("arch", ["CNN-1", "CNN-25", "CNN-50-2", "CNN-1-1-100"])
def test_deeplift_sums_to_delta_on_the_papers_networks(arch: str) -> None:
    codes = _codes(2, 200)
    model = build(make_spec({"arch": arch}), 200, 12)
    targets = np.array([3, 7])
    found = deeplift(model, codes, targets, rng=_rng(3), references=1)
    wanted = _of(_logits(model, codes) - _logits(model, shuffled(codes, 1, _rng(3))[:, 0]), targets)
    np.testing.assert_allclose(contributions(found, codes).sum(axis=1), wanted, atol=1e-3)


def test_deeplift_gives_the_gradient_where_input_and_reference_agree() -> None:
    model = _network()
    same = np.zeros((2, LENGTH), np.uint8)
    found = deeplift(model, same, np.array([0, 1]), rng=_rng(), references=1)
    slopes = saliency(model, same, np.array([0, 1]), correct=False)
    np.testing.assert_allclose(found, hypothetical(slopes, one_hot(same)), atol=1e-4)


def test_deeplift_rescales_a_relu_and_gives_a_max_pool_to_the_larger_side() -> None:
    inputs = keras.Input((4, 4))
    x = layers.Conv1D(1, 1, use_bias=True, name="c")(inputs)
    x = layers.Activation("relu", name="c_relu")(x)
    x = layers.MaxPooling1D(2, name="c_pool")(x)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(x)))
    model.get_layer("c").set_weights([np.array([[[3.0], [1.0], [-2.0], [0.0]]]), np.array([-0.5])])
    model.layers[-1].set_weights([np.array([[1.0], [10.0]]), np.zeros(1)])
    from mlproject.attribution.deeplift import multipliers

    sequence = one_hot(np.array([[0, 2, 1, 2]], np.uint8))
    reference = one_hot(np.array([[1, 2, 2, 0]], np.uint8))
    _, found = multipliers(model)(sequence, reference, np.ones((1, 1), np.float32))
    shares = (found * (sequence - reference)).sum(axis=-1)
    # relu: 2.5 0 | 0.5 0 against 0.5 0 | 0 2.5; first pool 2.5 - 0.5 at position 0;
    # second pool 0.5 - 2.5 = -2 at position 3, where the reference has its maximum; weight 10.
    np.testing.assert_allclose(shares, [[2.0, 0.0, 0.0, -20.0]], atol=1e-5)


def test_deeplift_refuses_a_layer_without_a_rule_and_logits_need_a_sigmoid() -> None:
    inputs = keras.Input((8, 4))
    x = layers.GRU(3, name="gru")(inputs)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    with pytest.raises(UserError, match="no rule for the layer gru"):
        deeplift(model, ACGT_ACGT, np.array([0]), rng=_rng())
    model = keras.Model(inputs, layers.Dense(1, activation="relu")(layers.Flatten()(inputs)))
    with pytest.raises(UserError, match="a network that ends in sigmoid"):
        saliency(model, ACGT_ACGT, np.array([0]))


def test_integrated_gradients_sum_to_the_difference_from_the_uniform_reference() -> None:
    model, codes = _network(), _codes()
    targets = np.zeros(len(codes), int)
    inner = logit_model(model)
    uniform = np.full((1, LENGTH, 4), 0.25, np.float32)
    start = keras.ops.convert_to_numpy(inner([uniform]))[0, 0]
    wanted = _of(predict(inner, codes), targets) - start
    errors = []
    for limit in (0.2, 0.01):
        found = integrated_gradients(model, codes, targets, steps=4, error=limit)
        missed = np.abs(contributions(found, codes).sum(axis=1) - wanted)
        assert (missed <= limit * np.maximum(np.abs(wanted), 1) + 1e-5).all()
        errors.append(missed.mean())
    assert errors[1] < errors[0]


def test_integrated_gradients_are_those_of_a_fine_sum_done_slowly() -> None:
    model, codes = _network("exponential"), _codes(2)
    targets = np.array([0, 2])
    x, n = one_hot(codes), 2000
    slopes = np.zeros(x.shape)
    call = class_gradient(model)
    for number in range(n):
        place = np.float32((number + 0.5) / n)
        slopes += (
            call(
                (0.25 + place * (x - 0.25)).astype(np.float32), np.eye(3, dtype=np.float32)[targets]
            )[1]
            / n
        )
    wanted = hypothetical(slopes, np.full_like(x, 0.25))
    found = integrated_gradients(model, codes, targets, error=1e-4)
    np.testing.assert_allclose(found, wanted, atol=0.01 * np.abs(wanted).max())


@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift"])
def test_the_error_of_completeness_is_that_of_the_sums(method: str) -> None:
    model, codes = _network(), _codes()
    codes[2, 3] = OTHER
    found = attribute(model, method, codes, np.arange(len(codes)) % CLASSES, seed=3)
    error = completeness_error(model, found, seed=3)
    assert error is not None and error < (0.01 if method == "integrated_gradients" else 1e-4)
    doubled = completeness_error(model, found._replace(scores=2 * found.scores), seed=3)
    assert doubled == pytest.approx(1, abs=0.02)
    assert completeness_error(model, found._replace(method="ism"), seed=3) is None
    unknown = found._replace(codes=np.full_like(codes, OTHER))
    assert completeness_error(model, unknown, seed=3) is None


@pytest.mark.parametrize("correct", [False, True])
def test_mutagenesis_equals_brute_force(correct: bool) -> None:
    model, codes = _network(), _codes(3)
    codes[1, 5] = OTHER
    rows, targets = codes[[0, 0, 1, 2]], np.array([0, 2, 1, 1])
    wanted = np.zeros((4, LENGTH, 4))
    for row, (sequence, target) in enumerate(zip(rows, targets, strict=True)):
        mutants = np.repeat(sequence[None], 4 * LENGTH, axis=0)
        for number in range(4 * LENGTH):
            if sequence[number // 4] != OTHER:
                mutants[number, number // 4] = number % 4
        change = _logits(model, mutants)[:, target] - _logits(model, sequence[None])[0, target]
        wanted[row] = change.reshape(LENGTH, 4)
    if correct:
        wanted -= wanted.mean(axis=-1, keepdims=True)
    found = ism(model, rows, targets, correct=correct, batch_size=50)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_mutagenesis_of_a_region_is_that_of_the_whole_there_and_zero_elsewhere() -> None:
    model, codes = _network(), _codes(2)
    targets = np.array([1, 0])
    part, whole = (ism(model, codes, targets, region=region) for region in ((10, 20), None))
    np.testing.assert_allclose(part[:, 10:20], whole[:, 10:20], atol=1e-6)
    assert not part[:, :10].any()
    assert not part[:, 20:].any()


def test_mutagenesis_of_windows_is_the_mean_loss_over_the_windows_that_cover_a_position() -> None:
    model, codes = _network(), _codes(1)
    window, copies = 7, 3
    found = ism_window(
        model, codes, np.array([2]), rng=_rng(4), window=window, references=copies, batch_size=64
    )
    others = shuffled(codes, copies, _rng(4))[0]
    tried = []
    for start in range(LENGTH - window + 1):
        for copy in others:
            tried.append(codes[0].copy())
            tried[-1][start : start + window] = copy[start : start + window]
    lost = (_logits(model, codes) - _logits(model, np.array(tried)))[:, 2].reshape(-1, copies)
    losses: list[list[float]] = [[] for _ in range(LENGTH)]
    for start, loss in enumerate(lost.mean(axis=1)):
        for position in range(start, start + window):
            losses[position].append(loss)
    wanted = [np.mean(one) for one in losses]
    np.testing.assert_allclose(contributions(found, codes)[0], wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["exponential", "pool of 4"])
def test_attributions_of_the_probability_are_the_second_papers_formulas(name: str) -> None:
    model, codes = _network(name), _codes(2)
    targets, x = np.array([0, 2]), one_hot(codes)
    select = np.eye(CLASSES, dtype=np.float32)[targets]
    call = class_gradient(model, "probability")

    def importance(method: str) -> np.ndarray:
        return attribute(model, method, codes, targets, seed=3).importance

    def close(one: np.ndarray, other: np.ndarray) -> None:
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())

    close(importance("gradient_x_input_probability"), (call(x, select)[1] * x).sum(axis=-1))
    mutants = np.tile(codes[:, None, None], (1, LENGTH, 4, 1))
    for position in range(LENGTH):
        for letter in range(4):
            mutants[:, position, letter, position] = letter
    scores = predict(model, mutants.reshape(-1, LENGTH)).reshape(2, LENGTH, 4, CLASSES)
    mutated = np.stack([scores[row, ..., target] for row, target in enumerate(targets)])
    mutated = mutated - _of(predict(model, codes), targets)[:, None, None]
    close(importance("ism_probability"), np.sqrt((mutated**2).sum(axis=-1)))
    method = "integrated_gradients_probability"
    mean = np.zeros(x.shape)
    for reference in np.moveaxis(shuffled(codes, 10, rng_of(method, 3)), 1, 0):
        start = one_hot(reference)
        slopes = [call(start + np.float32(t / 20) * (x - start), select)[1] for t in range(21)]
        mean += np.trapezoid(slopes, dx=1 / 20, axis=0) / 10
    close(importance(method), (mean * x).sum(axis=-1))
    method = "deeplift_probability"
    mean, rescaled = np.zeros(x.shape), multipliers(model, "probability")
    for reference in np.moveaxis(shuffled(codes, 10, rng_of(method, 3)), 1, 0):
        start = one_hot(reference)
        mean += rescaled(x, start, select)[1] * (x - start) / 10
    close(importance(method), (mean * x).sum(axis=-1))


def test_smoothgrad_of_no_noise_is_the_gradient_and_draws_only_from_its_generator() -> None:
    model, codes, targets = _network(), _codes(3), np.array([0, 1, 2])
    still = smoothgrad(model, codes, targets, rng=_rng(), noise=0.0, samples=2)
    np.testing.assert_allclose(still, saliency(model, codes, targets), atol=1e-6)
    one, same, other = (smoothgrad(model, codes, targets, rng=_rng(n)) for n in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("method", METHODS)
def test_rows_do_not_depend_on_how_they_are_batched(method: str) -> None:
    model, codes = _network(), _codes(5)
    targets = np.array([0, 1, 2, 0, 1])
    told: list[tuple[int, int]] = []
    found = attribute(
        model, method, codes, targets, seed=3, progress=lambda *done: told.append(done)
    )
    assert found.scores.shape == (5, LENGTH, 4)
    assert found.scores.dtype == np.float32
    assert np.isfinite(found.scores).all()
    assert found.importance.shape == (5, LENGTH)
    assert told[-1] == (5, 5)
    if not METHODS[method].random:
        alone = attribute(model, method, codes[3:4], targets[3:4])
        np.testing.assert_allclose(alone.scores[0], found.scores[3], atol=1e-5)
    again = attribute(model, method, codes, targets, seed=3)
    np.testing.assert_allclose(again.scores, found.scores, atol=1e-6)


def test_an_unknown_method_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean saliency"):
        attribute(_network(), "salience", _codes(1), np.array([0]))
    assert [*METHODS] == [*ATTRIBUTIONS]


def test_files_give_back_what_was_found_to_three_digits(tmp_path: Path) -> None:
    found = attribute(_network(), "saliency", _codes(4), np.array([0, 1, 2, 0]))
    large = found._replace(scores=found.scores * np.float32(1e9))
    write_attributions(tmp_path / "a.h5", large, ["a", "b", "c"], "sha")
    again = read_attributions(tmp_path / "a.h5")
    assert again.method == "saliency"
    assert np.array_equal(again.codes, found.codes)
    assert np.array_equal(again.targets, found.targets)
    assert np.abs(again.scores - large.scores).max() <= 1e-3 * np.abs(large.scores).max()
    ohe, shap = (np.load(path)["arr_0"] for path in write_arrays(tmp_path, found))
    assert ohe.shape == shap.shape == (4, 4, LENGTH)
    assert np.array_equal(ohe.transpose(0, 2, 1), one_hot(found.codes))
    np.testing.assert_allclose(shap.transpose(0, 2, 1), found.scores, rtol=2e-3, atol=1e-4)
    with pytest.raises(UserError, match="must be a file of attributions"):
        read_attributions(tmp_path / "nothing.h5")
    content = (tmp_path / "a.h5").read_bytes()
    for place in np.random.default_rng(0).integers(0, len(content), 40):
        damaged = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        (tmp_path / "a.h5").write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.h5 .*damaged"):
            read_attributions(tmp_path / "a.h5")
    (tmp_path / "a.h5").write_bytes(content[:-SEAL_LENGTH])
    with pytest.raises(UserError, match="its SHA-256 is missing, so it was damaged"):
        read_attributions(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["version"] = 1
    assert np.array_equal(read_attributions(tmp_path / "a.h5").scores, again.scores)


OTHER_BACKEND = """
import sys
import numpy as np
import pandas
from test_attribution import _network, _codes
from mlproject.attribution import attribute
model = _network("overlapping pool")
for method in sys.argv[2:]:
    found = attribute(model, method, _codes(3), np.array([0, 1, 2]), seed=1)
    np.save(f"{sys.argv[1]}/{method}.npy", found.scores)
"""


def test_both_backends_give_the_same_attributions(tmp_path: Path) -> None:
    methods = ["saliency", "deeplift", "ism"]
    backend = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    paths = [str(Path(__file__).parent), *sys.path]
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", OTHER_BACKEND, str(tmp_path), *methods]
    subprocess.run(command, check=True, env=environment)
    for method in methods:
        own = attribute(
            _network("overlapping pool"), method, _codes(3), np.array([0, 1, 2]), seed=1
        )
        other = np.load(tmp_path / f"{method}.npy")
        assert np.abs(own.scores).max() > 0.01
        np.testing.assert_allclose(other, own.scores, atol=1e-4)


def test_examples_are_the_same_rows_in_each_run_and_come_back_from_text(tmp_path: Path) -> None:
    rng = _rng(5)
    targets = np.array([1, 1, 0, 1, 0, 1, 1, 0, 1])
    codes = rng.integers(0, 5, (9, 30)).astype(np.uint8)
    scores = rng.normal(size=(9, 30, 4)).astype(np.float32)
    found = Attributions("saliency", np.arange(9) * 2, targets, codes, scores)
    assert in_turn(targets)[:6].tolist() == [2, 0, 4, 1, 7, 3]
    path = tmp_path / "examples.csv"
    example_table(found, ["a", "b"]).to_csv(path, index=False)
    examples = list(parse_examples(pandas.read_csv(path)))
    assert [one.sequence for one in examples] == [4, 0, 8, 2, 14, 6]
    assert [one.target for one in examples] == ["a", "b"] * 3
    for one in examples:
        row = one.sequence // 2
        assert np.array_equal(one.codes, codes[row])
        wanted = found.importance[row]
        np.testing.assert_allclose(one.contributions, wanted, rtol=5e-3, atol=1e-12)
    short = pandas.read_csv(path).assign(contributions="1 2")
    with pytest.raises(ValueError, match="30 letters"):
        list(parse_examples(short))
