"""Tasks: losses and scores against slow versions, and trainings of each on both backends."""

import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

from mlproject.architectures import make_spec
from mlproject.attribution.logits import logit_model
from mlproject.data import Dataset, Split, make_dataset
from mlproject.filters.ablation import MEASURES
from mlproject.network.build import build, predict
from mlproject.network.evaluation import metrics
from mlproject.network.loss import make_loss
from mlproject.network.tasks import (
    ACTIVATIONS,
    MONITORED,
    check_task,
    data_loss,
    validation_scores,
)
from mlproject.network.tasks import (
    test_rows as rows_of,
)
from mlproject.network.training import fit
from mlproject.network.value_scores import densities, value_scores
from mlproject.run.checks import check_run
from mlproject.run.context import Settings
from mlproject.system.errors import UserError

RNG = np.random.default_rng(0)
SMALL: dict[str, Any] = {
    "filters1": 6, "kernel1": 7, "pool1": 10, "filters2": 8, "pool2": 2, "units": 8,
    "batch_size": 20, "learning_rate": 0.01, "bn_momentum": 0.9, "patience": 0,
    "dropout_dense": 0.0,
}  # fmt: skip
LENGTH = 40


def labels_of(task: str, count: int = 30, outputs: int = 3) -> np.ndarray:
    if task == "binary":
        return RNG.integers(0, 2, (count, outputs)).astype(np.uint8)
    if task == "multiclass":
        return np.eye(outputs, dtype=np.uint8)[RNG.integers(0, outputs, count)]
    if task == "counts":
        return RNG.poisson(3.0, (count, outputs)).astype(np.float32)
    return RNG.normal(size=(count, outputs)).astype(np.float32)


def scores_of(task: str, count: int = 30, outputs: int = 3) -> np.ndarray:
    raw = RNG.normal(size=(count, outputs)).astype(np.float32)
    activation = keras.activations.get(ACTIVATIONS[task])
    return np.asarray(keras.ops.convert_to_numpy(activation(keras.ops.convert_to_tensor(raw))))


def slow_loss(task: str, loss: str, labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the loss one number at a time."""
    total = 0.0
    for row, found in zip(labels.astype(float), scores.astype(float), strict=True):
        if task == "multiclass":
            total -= sum(y * math.log(p) for y, p in zip(row, found, strict=True))
            continue
        if loss == "poisson_multinomial":
            rate, wanted = found.sum(), row.sum()
            total += (rate - wanted * math.log(rate)) / len(row)
            total -= sum(y * math.log(p / rate) for y, p in zip(row, found, strict=True)) / len(row)
            continue
        each = {
            "binary": lambda y, p: -math.log(p if y else 1 - p),
            "regression": lambda y, p: (y - p) ** 2,
            "counts": lambda y, p: p - y * math.log(p),
        }[task]
        total += sum(each(y, p) for y, p in zip(row, found, strict=True)) / len(row)
    return total / len(labels)


@pytest.mark.parametrize(
    ("task", "loss"),
    [*((one, "auto") for one in ACTIVATIONS), ("counts", "poisson_multinomial")],
)
def test_the_losses_of_a_task_are_one_and_the_same(task: str, loss: str) -> None:
    labels, scores = labels_of(task), scores_of(task)
    wanted = slow_loss(task, loss, labels, scores)
    trained = make_loss(make_spec({"loss": loss}), labels, task)
    assert float(trained(labels, keras.ops.convert_to_tensor(scores))) == pytest.approx(
        wanted, 1e-5
    )
    assert data_loss(labels, scores, task, loss) == pytest.approx(wanted, 1e-5)


def test_smoothed_labels_of_exclusive_classes_share_the_rest_evenly() -> None:
    labels, scores = labels_of("multiclass"), scores_of("multiclass")
    smoothed = labels * 0.7 + 0.1
    wanted = -(smoothed * np.log(scores)).sum(axis=1).mean()
    loss = make_loss(make_spec({"label_smoothing": 0.3}), labels, "multiclass")
    assert float(loss(labels, keras.ops.convert_to_tensor(scores))) == pytest.approx(wanted, 1e-5)


def test_scores_of_values_are_those_of_scipy_and_scikit_learn() -> None:
    from sklearn import metrics as reference

    truth, found = labels_of("counts", 50, 2), scores_of("counts", 50, 2)
    rows = value_scores(truth, found, ["dev", "hk"], counts=True)
    for number, row in enumerate(rows):
        pair = truth[:, number], found[:, number]
        assert row.pearson == pytest.approx(stats.pearsonr(*pair)[0])
        assert row.spearman == pytest.approx(stats.spearmanr(*pair)[0])
        assert row.r2 == pytest.approx(reference.r2_score(*pair))
        assert row.mse == pytest.approx(reference.mean_squared_error(*pair))
        assert row.deviance == pytest.approx(reference.mean_poisson_deviance(*pair), rel=1e-5)
    values = metrics(rows)
    assert values["test_r2"] == pytest.approx(np.mean([row.r2 for row in rows]))
    assert values["test_pearson/hk"] == rows[1].pearson


def test_constant_values_have_no_correlation_and_constant_predictions_have_0() -> None:
    truth = np.array([[1, 2], [1, 4], [1, 6]], np.float32)
    constant, flat = value_scores(truth, np.full((3, 2), 0.3), ["one", "two"])
    assert (constant.pearson, constant.spearman, constant.r2) == (None, None, None)
    assert not constant.defined
    assert (flat.pearson, flat.spearman) == (0.0, 0.0)
    assert flat.deviance is None
    assert "test_pearson/one" not in metrics([constant, flat])


@pytest.mark.parametrize("task", ACTIVATIONS)
def test_every_monitored_score_is_recorded_each_epoch_or_when_asked_for(task: str) -> None:
    labels, scores = labels_of(task), scores_of(task)
    for name in MONITORED[task]:
        if name != "cross_entropy":
            values = validation_scores(labels, scores, task, f"val_{name}")
            assert math.isfinite(values[f"val_{name}"])
    rows = rows_of(labels, scores, ["a", "b", "c"], task)
    shared = {f"val_{name}" for name in MONITORED[task]} & set(values)
    test = metrics(rows, "val_")
    assert all(values[name] == pytest.approx(test[name]) for name in shared & set(test))


@pytest.mark.parametrize(
    ("options", "task", "outputs", "words"),
    [
        ({"monitor": "val_auroc"}, "regression", 1, "`monitor` must be val_loss, val_pearson"),
        ({"monitor": "val_pearson"}, "binary", 1, "`monitor` must be val_loss, val_cross_entropy"),
        ({"protocol": "paper"}, "counts", 1, "got val_cross_entropy"),
        ({"label_smoothing": 0.1}, "regression", 1, "`label_smoothing` is for classes"),
        ({"class_weight": "balanced"}, "counts", 1, "`class_weight` is for classes"),
        ({"class_weight": "balanced"}, "multiclass", 3, "do not exclude each other"),
        ({"loss": "poisson_multinomial"}, "regression", 2, "is for counts"),
        ({"loss": "poisson_multinomial"}, "counts", 1, "with two outputs at least"),
    ],
)
def test_parameters_that_do_not_fit_a_task_are_refused(
    options: dict[str, Any], task: str, outputs: int, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        check_task(make_spec(options), task, outputs)


def test_values_and_monitors_that_cannot_train_are_refused_before_a_run() -> None:
    def data(task: str, valid: float, train: float = 1.0) -> Dataset:
        codes = np.random.default_rng(0).integers(0, 4, (4, 30))
        labels = {
            "train": [0, train, 0, train],
            "valid": [0, valid, 0, valid],
            "test": [0, 1, 0, 1],
        }
        kind = np.float32 if task == "regression" else np.uint8
        splits = {
            name: Split((codes + n) % 4, np.array(values, kind)[:, None])
            for n, (name, values) in enumerate(labels.items())
        }
        return make_dataset(splits, ["one"], {}, task=task)

    options = {"pool1": 1, "pool2": 1, "dataset": "my.h5"}
    for task, valid, train, monitor, message in (
        ("regression", 1.0, 1e21, "val_loss", "must be at most 1e"),
        ("regression", 0.0, 1.0, "val_pearson", "needs an output that varies"),
        ("binary", 0.0, 1.0, "val_auroc", "needs a class with both labels"),
    ):
        spec = make_spec(options | {"monitor": monitor})
        with pytest.raises(UserError, match=message):
            check_run(spec, data(task, valid, train), Settings(quiet=True), None)


def planted(task: str, count: int, seed: int) -> Split:
    """Return sequences in which the number of TGACTCA, 0 to 2, decides the label."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, LENGTH)).astype(np.uint8)
    number = rng.integers(0, 3, count)
    word = np.array([3, 2, 0, 1, 3, 1, 0], np.uint8)
    for row, sites in enumerate(number):
        for site in range(sites):
            codes[row, 5 + 15 * site : 12 + 15 * site] = word
    if task == "multiclass":
        return Split(codes, np.eye(3, dtype=np.uint8)[number])
    if task == "counts":
        rate = 2.0 * 3.0**number
        return Split(codes, rng.poisson(np.stack([rate, rate / 2], 1)).astype(np.float32))
    noise = rng.normal(0, 0.1, (count, 2))
    return Split(codes, (np.stack([number, 3 - number], 1) + noise).astype(np.float32))


@pytest.mark.parametrize(
    ("task", "score", "least", "options"),
    [
        ("multiclass", "val_accuracy", 0.8, {"monitor": "val_accuracy"}),
        ("regression", "val_r2", 0.7, {"monitor": "val_r2"}),
        ("counts", "val_pearson", 0.8, {"monitor": "val_deviance"}),
        ("counts", "val_pearson", 0.8, {"loss": "poisson_multinomial"}),
    ],
)
def test_a_network_learns_each_task_and_resumes_bit_for_bit(
    task: str, score: str, least: float, options: dict[str, Any], tmp_path: Path
) -> None:
    train, valid = planted(task, 300, 1), planted(task, 100, 2)
    spec = make_spec({**SMALL, **options, "epochs": 10})
    classes = train.labels.shape[1]
    whole = build(spec, LENGTH, classes, task)
    result = fit(whole, spec, train, valid, state_path=tmp_path / "a.h5", task=task)
    assert max(one.values[score] for one in result.history) > least
    part = build(spec, LENGTH, classes, task)
    calls = iter(range(10**6))
    state = tmp_path / "b.h5"
    stopped = fit(
        part, spec, train, valid, state_path=state, task=task, should_stop=lambda: next(calls) > 60
    )
    assert stopped.stopped == "interrupted"
    again = build(spec, LENGTH, classes, task)
    resumed = fit(again, spec, train, valid, state_path=state, task=task, resume=True)
    assert [one.values for one in resumed.history] == [one.values for one in result.history]
    for one, other in zip(whole.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("task", ACTIVATIONS)
def test_attributions_are_of_the_values_before_the_last_activation(task: str) -> None:
    model = build(make_spec(SMALL), LENGTH, 3, task)
    codes = RNG.integers(0, 4, (5, LENGTH)).astype(np.uint8)
    raw, scores = predict(logit_model(model), codes), predict(model, codes)
    activation = keras.activations.get(ACTIVATIONS[task])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(activation(keras.ops.convert_to_tensor(raw))), scores, rtol=1e-5
    )


@pytest.mark.parametrize("task", ACTIVATIONS)
def test_a_model_of_the_zoo_ends_in_the_activation_of_the_task(task: str) -> None:
    model = build(make_spec({"model": "inception"}), LENGTH, 3, task)
    last = model.outputs[0]._keras_history.operation
    assert last.activation is keras.activations.get(ACTIVATIONS[task])


def test_an_ablation_of_values_loses_correlation() -> None:
    truth = labels_of("regression", 40, 2)
    found = MEASURES["pearson"](truth, np.stack([truth[:, 0] * 2 + 1, -truth[:, 1]], 1))
    np.testing.assert_allclose(found, [1.0, -1.0])
    assert np.isnan(MEASURES["pearson"](np.ones((3, 1)), np.zeros((3, 1)))).all()


def test_densities_count_every_sequence_once_on_common_axes() -> None:
    truth = labels_of("regression", 500, 2)
    for one in densities(truth, truth, ["a", "b"]):
        assert one.counts.sum() == 500
        assert np.count_nonzero(one.counts - np.diag(np.diag(one.counts))) == 0
        assert one.low < one.high
