"""Training: what an epoch computes, that it repeats bit for bit, and that it can be resumed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import keras
import numpy as np
import pytest

from mlproject.architectures import make_spec
from mlproject.data import Split
from mlproject.network import backend, checkpoint
from mlproject.network.build import build, predict
from mlproject.network.protocol import Epoch
from mlproject.network.tasks import data_loss
from mlproject.network.training import Fit, fit
from mlproject.sequence import encode, one_hot
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError
from mlproject.system.files import SEAL, SEAL_LENGTH

LENGTH = 30
BATCH = 64
BATCHES = 7
OPTIONS: dict[str, object] = {
    "filters1": 5,
    "kernel1": 6,
    "pool1": 5,
    "filters2": 0,
    "units": 8,
    "batch_size": BATCH,
    "learning_rate": 0.02,
    "epochs": 5,
    "bn_momentum": 0.8,
}


EXACT: dict[str, object] = {"dropout_conv": 0.0, "dropout_dense": 0.0, "l2": 0.1}


class Trained(NamedTuple):
    fit: Fit
    weights: list[np.ndarray]
    model: keras.Model


def small_spec(**options: object) -> RunSpec:
    return make_spec(OPTIONS | options)


def planted(count: int, seed: int) -> Split:
    """Return random sequences: TGACTCA makes the first class, half of them, GGGCGG the second."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, LENGTH)).astype(np.uint8)
    labels = (rng.random((count, 2)) < (0.5, 0.25)).astype(np.uint8)
    for column, (word, start) in enumerate([("TGACTCA", 3), ("GGGCGG", 18)]):
        rows = np.flatnonzero(labels[:, column])
        for row, shift in zip(rows, rng.integers(0, 5, len(rows)), strict=True):
            codes[row, start + shift : start + shift + len(word)] = encode([word])[0]
    return Split(codes, labels)


TRAIN, VALID = planted(BATCHES * BATCH - 20, 1), planted(150, 2)


def train(spec: RunSpec, state_path: Path, resume: bool = False, **options: Any) -> Trained:
    model = build(spec, LENGTH, 2)
    result = fit(model, spec, TRAIN, VALID, state_path=state_path, resume=resume, **options)
    return Trained(result, [backend.value(weight) for weight in model.weights], model)


def after_calls(number: int) -> Callable[[], bool]:
    """Return a `should_stop` that is true from its call `number` on, counted from 0."""
    calls = count()
    return lambda: next(calls) >= number


def without_seconds(history: list[Epoch]) -> list[Epoch]:
    return [epoch._replace(seconds=0.0) for epoch in history]


def assert_same(one: Trained, other: Trained) -> None:
    assert all(map(np.array_equal, one.weights, other.weights))
    assert without_seconds(one.fit.history) == without_seconds(other.fit.history)
    assert one.fit[1:] == other.fit[1:]


def save_training(folder: str) -> None:
    trained = train(small_spec(), Path(folder) / "state.h5")
    np.savez(Path(folder) / "weights.npz", *trained.weights)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(small_spec(), tmp_path_factory.mktemp("whole") / "state.h5")


def test_a_planted_word_is_learnt(whole: Trained) -> None:
    losses = [epoch.values["train_loss"] for epoch in whole.fit.history]
    assert losses[-1] < 0.75 * losses[0]
    assert whole.fit.history[-1].values["val_auroc"] > 0.8
    assert [epoch.epoch for epoch in whole.fit.history] == [1, 2, 3, 4, 5]
    assert whole.fit.stopped == "epochs"


def test_an_epoch_equals_that_of_keras(tmp_path: Path) -> None:
    spec = small_spec(epochs=1, **EXACT)
    ours = train(spec, tmp_path / "state.h5")
    model = build(spec, LENGTH, 2)
    adam = keras.optimizers.Adam(spec.learning_rate, beta_1=spec.beta1, epsilon=spec.adam_epsilon)
    model.compile(adam, "binary_crossentropy")
    order = np.random.default_rng([spec.seed, 1]).permutation(len(TRAIN.codes))
    x, y = one_hot(TRAIN.codes[order]), TRAIN.labels[order].astype(np.float32)
    plain = model.fit(x, y, batch_size=BATCH, shuffle=False, verbose=0)
    for one, other in zip(ours.weights, model.weights, strict=True):
        np.testing.assert_allclose(one, backend.value(other), rtol=1e-4, atol=2e-5)
    values = ours.fit.history[0].values
    assert values["train_loss"] == pytest.approx(plain.history["loss"][0], rel=1e-5)
    val_loss = model.evaluate(one_hot(VALID.codes), VALID.labels.astype(np.float32), verbose=0)
    assert values["val_loss"] == pytest.approx(val_loss, rel=1e-4)
    penalty = spec.l2 * sum(float(np.square(one).sum()) for one in ours.weights if one.ndim > 1)
    assert values["val_loss"] - values["val_cross_entropy"] == pytest.approx(penalty, rel=1e-4)


def test_two_processes_train_the_same_weights(whole: Trained, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", f"import test_training as t; t.save_training({str(tmp_path)!r})"],
        cwd=Path(__file__).parent,
        env={key: value for key, value in os.environ.items() if key != "JAX_COMPILATION_CACHE_DIR"},
        check=True,
    )
    with np.load(tmp_path / "weights.npz") as arrays:
        assert all(map(np.array_equal, whole.weights, arrays.values()))


def test_another_seed_trains_other_weights(whole: Trained, tmp_path: Path) -> None:
    other = train(small_spec(seed=1, epochs=1), tmp_path / "state.h5")
    assert not np.array_equal(other.weights[0], whole.weights[0])


@pytest.mark.parametrize("calls", [3, 2 * BATCHES + 4])
def test_a_training_stopped_within_an_epoch_resumes_to_the_same_weights(
    whole: Trained, tmp_path: Path, calls: int
) -> None:
    path = tmp_path / "state.h5"
    first = train(small_spec(), path, should_stop=after_calls(calls))
    assert first.fit.stopped == "interrupted"
    assert len(first.fit.history) == first.fit.best_epoch == calls // BATCHES
    new: list[Epoch] = []
    assert_same(train(small_spec(), path, resume=True, on_epoch=new.append), whole)
    assert [epoch.epoch for epoch in new] == [*range(calls // BATCHES + 1, 6)]


def test_more_epochs_continue_a_finished_training(whole: Trained, tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    train(small_spec(epochs=2), path)
    assert_same(train(small_spec(), path, resume=True), whole)
    again = train(small_spec(), path, resume=True)
    assert_same(again, whole)
    with pytest.raises(UserError, match="must be at least the 5 epochs already trained: got 4"):
        train(small_spec(epochs=4), path, resume=True)


def test_patience_counts_across_an_interruption_and_the_best_weights_stay(tmp_path: Path) -> None:
    spec = small_spec(patience=2, epochs=40, learning_rate=0.3)
    full = train(spec, tmp_path / "full.h5")
    epochs = len(full.fit.history)
    assert full.fit.stopped == "patience"
    assert epochs == full.fit.best_epoch + 2
    assert [epoch.improved for epoch in full.fit.history[-3:]] == [True, False, False]
    train(spec, tmp_path / "parts.h5", should_stop=after_calls(BATCHES * (epochs - 1) + 1))
    assert_same(train(spec, tmp_path / "parts.h5", resume=True), full)
    best = full.fit.history[full.fit.best_epoch - 1]
    scores = predict(full.model, VALID.codes)
    loss = data_loss(VALID.labels, scores)
    assert loss == pytest.approx(best.values["val_cross_entropy"], rel=1e-5)


def test_the_monitored_value_decides_which_epoch_is_best(tmp_path: Path) -> None:
    """Labels turned round: the cross-entropy rises, the L2 term falls faster."""
    turned = VALID._replace(labels=1 - VALID.labels)
    for monitor, wanted in (("val_loss", 3), ("val_cross_entropy", 1)):
        spec = small_spec(epochs=3, patience=0, monitor=monitor, learning_rate=0.01, **EXACT)
        model = build(spec, LENGTH, 2)
        result = fit(model, spec, TRAIN, turned, state_path=tmp_path / "state.h5")
        values = [epoch.values[monitor] for epoch in result.history]
        assert result.best_value == min(values)
        assert result.best_epoch == 1 + int(np.argmin(values)) == wanted
        assert result.stopped == "epochs"


def test_a_loss_that_is_not_finite_ends_the_training_and_keeps_the_state(tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    with pytest.raises(UserError, match=r"after epoch 1 with learning_rate=1e\+38"):
        train(small_spec(learning_rate=1e38), path)
    assert checkpoint.read_history(path) == []
    with h5py.File(path) as file:
        assert np.isfinite(file["weights/conv1/kernel"][()]).all()


def test_the_state_is_saved_before_an_epoch_is_told(tmp_path: Path) -> None:
    def crash(epoch: Epoch) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        train(small_spec(), tmp_path / "state.h5", on_epoch=crash)
    assert len(checkpoint.read_history(tmp_path / "state.h5")) == 1


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("state") / "state.h5"
    train(small_spec(), path, should_stop=lambda: True)
    return path.read_bytes()


def seal_anew(path: Path) -> None:
    """Give a state that was changed on purpose the SHA-256 that it then has."""
    content = path.read_bytes()
    before = content.rfind(SEAL, len(content) - SEAL_LENGTH)
    content = content if before < 0 else content[:before]
    path.write_bytes(content + SEAL + hashlib.sha256(content).hexdigest().encode())


def test_the_state_of_another_training_is_refused(state: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    path.write_bytes(state)
    for options, difference in (
        ({"filters1": 6}, "has filters1=5, this one filters1=6"),
        ({"seed": 1}, "has seed=0, this one seed=1"),
        ({"filters2": 4, "pool2": 1}, "has filters2=0, this one filters2=4"),
    ):
        with pytest.raises(UserError, match=difference):
            train(small_spec(**options), path, resume=True)
    with h5py.File(path, "a") as file:
        owner = json.loads(file.attrs["owner"])
        file.attrs["owner"] = json.dumps(owner | {"backend": "abacus"})
    seal_anew(path)
    with pytest.raises(UserError, match="has backend=abacus, this one backend="):
        train(small_spec(), path, resume=True)


def test_what_the_state_interprets_does_not_bind_it(state: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    path.write_bytes(state)
    spec = small_spec(alignment="paper", evalue=0.5)
    assert train(spec, path, resume=True, should_stop=lambda: True).fit.history == []


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.99])
def test_a_truncated_state_is_refused(state: bytes, tmp_path: Path, kept: float) -> None:
    path = tmp_path / "state.h5"
    path.write_bytes(state[: int(kept if kept >= 1 else kept * len(state))])
    with pytest.raises(UserError, match="is damaged"):
        train(small_spec(), path, resume=True)


def test_no_flipped_bit_of_a_state_is_accepted(state: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    rng = np.random.default_rng(0)
    for bit in rng.integers(0, 8 * len(state), 400).tolist():
        flipped = bytearray(state)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(UserError, match="is damaged"):
            checkpoint.read_history(path)


def test_a_damaged_state_falls_back_to_the_one_before(whole: Trained, tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    train(small_spec(epochs=3), path)
    assert checkpoint.usable(path) == path
    path.write_bytes(path.read_bytes()[:-1])
    before = checkpoint.usable(path)
    assert len(checkpoint.read_history(before)) == 2
    before.replace(path)
    assert_same(train(small_spec(), path, resume=True), whole)


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_without_any_whole_state_nothing_is_usable(
    state: bytes, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "state.h5"
    if damage == "damaged":
        path.write_bytes(state[1:])
        checkpoint.earlier(path).write_bytes(state[:-1])
    with pytest.raises(UserError, match="must have an intact saved state") as error:
        checkpoint.usable(path)
    assert "\n" not in str(error.value)


def test_a_missing_state_and_an_unwritable_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        train(small_spec(), tmp_path / "state.h5", resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        train(small_spec(), tmp_path / "file" / "state.h5")


def test_a_state_that_lacks_a_variable_is_refused(state: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    path.write_bytes(state)
    with h5py.File(path, "a") as file:
        del file["weights/conv1/kernel"]
    seal_anew(path)
    with pytest.raises(UserError, match="lacks conv1/kernel"):
        train(small_spec(), path, resume=True)


def test_a_state_holds_a_long_history(tmp_path: Path) -> None:
    history = [
        Epoch(number, {"val_loss": 1 / number}, 0.1, True)._asdict() for number in range(1, 3000)
    ]
    arrays = {"conv1/kernel": np.arange(3.0)}
    written = checkpoint.TrainingState(arrays, arrays, arrays, history)
    checkpoint.write(tmp_path / "state.h5", written, {"seed": 0})
    read = checkpoint.read(tmp_path / "state.h5", {"seed": 0})
    assert read.history == checkpoint.read_history(tmp_path / "state.h5") == history
    np.testing.assert_array_equal(read.best["conv1/kernel"], arrays["conv1/kernel"])


def test_auroc_is_left_out_where_no_class_has_both_labels(tmp_path: Path) -> None:
    spec = small_spec(epochs=1)
    valid = VALID._replace(labels=np.ones_like(VALID.labels))
    model = build(spec, LENGTH, 2)
    result = fit(model, spec, TRAIN, valid, state_path=tmp_path / "state.h5")
    assert set(result.history[0].values) == {"train_loss", "val_loss", "val_cross_entropy"}


def test_cross_entropy_of_hand_computed_scores() -> None:
    labels, scores = np.array([[1, 0], [0, 1]]), np.array([[0.5, 0.5], [0.75, 1.0]])
    wanted = (2 * np.log(2) + np.log(4)) / 4
    assert data_loss(labels, scores) == pytest.approx(wanted, abs=1e-6)
    assert data_loss(1 - labels, np.ones((2, 2))) == pytest.approx(8.06, abs=0.1)
