"""Seeds of one network trained together: each as its own training would have been."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import TINY
from test_guard import FaultyDevice, overwriting
from test_run import runs_of
from test_training import (
    LENGTH,
    TRAIN,
    VALID,
    Trained,
    after_calls,
    assert_same,
    planted,
    small_spec,
    train,
)

from mlproject.architectures import make_spec
from mlproject.data import load
from mlproject.network import backend, fast_pass, seed_steps
from mlproject.network.build import build
from mlproject.network.guard import DeviceFaultError
from mlproject.network.seed_steps import make_seed_steps
from mlproject.network.steps import make_steps
from mlproject.network.together import Member, fit_together
from mlproject.network.training_tools import built_optimizer
from mlproject.run.context import Settings
from mlproject.run.run import run
from mlproject.store import connect
from mlproject.sweeps.lock import plan_lock
from mlproject.sweeps.task import CellTask
from mlproject.sweeps.together import forget, state_of, train_group, without_seed
from mlproject.system.errors import UserError

SEEDS = (0, 1, 2)
OPTIONS = {"epochs": 9, "patience": 1, "learning_rate": 0.1}  # seeds stop at different epochs


def members(folder: Path) -> list[Member]:
    return [Member(small_spec(seed=seed, **OPTIONS), folder / f"{seed}.h5") for seed in SEEDS]


def ended(folder: Path) -> list[Trained]:
    return [train(one.spec, one.state, resume=True) for one in members(folder)]


@pytest.fixture(scope="module")
def singles(tmp_path_factory: pytest.TempPathFactory) -> list[Trained]:
    folder = tmp_path_factory.mktemp("singles")
    return [train(spec, state) for spec, state in members(folder)]


def test_three_seeds_together_are_bit_for_bit_the_single_trainings_on_a_processor(
    singles: list[Trained], tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    failures = fit_together(
        members(tmp_path), TRAIN, VALID, on_epoch=lambda seed, one: told.append((seed, one.epoch))
    )
    assert failures == [None] * 3
    lengths = [len(one.fit.history) for one in singles]
    assert len(set(lengths)) > 1, "the seeds must stop at different epochs"
    assert sorted(told) == [(s, n + 1) for s in SEEDS for n in range(lengths[s])]
    for one, other in zip(ended(tmp_path), singles, strict=True):
        assert_same(one, other)


def test_interrupted_and_started_again_they_end_as_if_nothing_had_happened(
    singles: list[Trained], tmp_path: Path
) -> None:
    fit_together(members(tmp_path), TRAIN, VALID, should_stop=after_calls(18))
    assert fit_together(members(tmp_path), TRAIN, VALID) == [None] * 3
    for one, other in zip(ended(tmp_path), singles, strict=True):
        assert_same(one, other)


def disturb_the_second(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the device overwrite a weight of the second seed, in its first two attempts at most."""
    real = seed_steps.make_seed_steps

    def faulty(*arguments: Any) -> Any:
        steps: Any = real(*arguments)
        overwrite = overwriting(0, "conv1/kernel", 9.0)
        steps._steps[1] = FaultyDevice(steps._steps[1], overwrite, (2, 9)[:times])
        return steps

    monkeypatch.setattr("mlproject.network.together.make_seed_steps", faulty)


@pytest.mark.parametrize("times", [1, 2])
def test_a_device_fault_hits_one_seed_and_not_the_others(
    singles: list[Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    disturb_the_second(monkeypatch, times)
    told: list[tuple[int, str]] = []
    failures = fit_together(
        members(tmp_path), TRAIN, VALID, on_fault=lambda *found: told.append(found)
    )
    assert [number for number, _ in told] == [1] * times
    assert all(element.endswith("conv1/kernel[0, 0, 0]") for _, element in told)
    assert [number for number, one in enumerate(failures) if one] == ([1] if times == 2 else [])
    if times == 2:
        assert "twice in epoch 1" in str(failures[1])
    for number, one in enumerate(ended(tmp_path)):
        if number != 1 or times == 1:
            assert_same(one, singles[number])


def second_of_two(home: Path) -> CellTask:
    """Return the task of the second of two seeds that are trained together."""
    first, second = (make_spec(TINY | {"seed": seed}) for seed in (0, 1))
    data = load(second, home / "data").sha256
    return CellTask(
        token="", sweep="", name="", options=second.flat(), spec_sha256="",
        train_sha256=second.train_sha256(data), dataset_sha256=data, home=str(home), uri="",
        experiment_id="", parent="", tags={}, backend=None, threads=1, from_start=False,
        together=(first.flat(), second.flat()),
    )  # fmt: skip


def test_a_group_that_another_worker_trains_is_left_to_it(workplace: Path) -> None:
    task = second_of_two(workplace)
    group = without_seed(make_spec(task.options)).train_sha256(task.dataset_sha256)
    with plan_lock(state_of(task, group).with_suffix(".lock")):
        found = train_group(task, lambda: False, lambda text: None, lambda epoch, values: None)
    assert found.status == "ELSEWHERE"


def test_a_group_stays_locked_for_other_machines_however_long_it_trains(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = second_of_two(workplace)
    ages: list[float] = []

    def train(members: list[Member], *_: Any, should_stop: Callable[[], bool], **__: Any) -> Any:
        (lock,) = (workplace / "runs" / "together").glob("*.lock")
        os.utime(lock, (1, 1))
        assert not should_stop()
        ages.append(time.time() - lock.stat().st_mtime)
        return [None for _ in members]

    monkeypatch.setattr("mlproject.network.together.fit_together", train)
    monkeypatch.setattr("mlproject.sweeps.lock.TOUCH_SECONDS", -1.0)
    train_group(task, lambda: False, lambda text: None, lambda epoch, values: None)
    assert ages[0] < 3600


def test_the_run_of_a_seed_trained_with_others_counts_its_faults_and_fails_with_the_element(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturb_the_second(monkeypatch, 2)
    task = second_of_two(workplace)
    begun = train_group(task, lambda: False, lambda text: None, lambda epoch, values: None)
    with pytest.raises(UserError, match=r"conv1/kernel\[0, 0, 0\] twice in epoch 1"):
        run(make_spec(task.options), Settings(quiet=True), begun)
    (failed,) = runs_of(connect())
    assert failed.info.status == "FAILED"
    assert "conv1/kernel[0, 0, 0]" in failed.data.tags["mlproject.failure"]
    assert failed.data.tags["mlproject.device_faults"].startswith("2: ")
    forget(task)
    assert not [*(workplace / "runs" / "together").glob(f"{task.train_sha256[:32]}*")]


def test_networks_that_differ_in_more_than_the_seed_are_refused(tmp_path: Path) -> None:
    pair = [Member(small_spec(units=size), tmp_path / f"{size}.h5") for size in (8, 9)]
    with pytest.raises(UserError, match="may differ in `seed` only"):
        fit_together(pair, TRAIN, VALID)


class AtOnce:
    """Three seeds in one program, as on an accelerator, beside their own steps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: object) -> None:
        monkeypatch.setattr(seed_steps, "on_processor", lambda: False)
        monkeypatch.setattr(seed_steps._AtOnce, "launch", 4)
        backend.prepare()
        self.specs = [small_spec(seed=seed, **options) for seed in SEEDS]
        self.networks = [self._network(spec) for spec in self.specs]
        own = fast_pass.choose(self.networks[0][0])[0]
        self.steps: Any = make_seed_steps(self.networks, own, fast_pass.seeds_pass)
        assert isinstance(self.steps, seed_steps._AtOnce)

    @staticmethod
    def _network(spec: Any) -> tuple[keras.Model, keras.optimizers.Optimizer]:
        model = build(spec, LENGTH, 2)
        return model, built_optimizer(spec, model)

    def batches(self, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
        split = planted(9 * 64, 10 + number)
        codes, labels = split.codes.reshape(9, 64, -1), split.labels.reshape(9, 64, -1)
        return [(codes[first : first + 4], labels[first : first + 4]) for first in (0, 4, 8)]

    def epoch(self, active: Sequence[bool]) -> list[Any]:
        self.steps.start(active)
        rows = [
            self.batches(number) if wanted else [None] * 3 for number, wanted in enumerate(active)
        ]
        for found in zip(*rows, strict=True):
            self.steps.run(found)
        return self.steps.finish()

    def weights(self, number: int) -> list[np.ndarray]:
        model, optimizer = self.networks[number]
        return [backend.value(one) for one in (*model.variables, *optimizer.variables)]


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone has seeds in one program")
@pytest.mark.parametrize("options", [{}, {"pool1": 6, "pool_stride1": 2, "stride1": 2}])
def test_seeds_in_one_program_equal_their_own_steps_and_those_that_stopped_stay(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    group = AtOnce(monkeypatch, **options)
    before = group.weights(1)
    losses = group.epoch([True, False, True])
    assert losses[1] is None
    assert all(map(np.array_equal, before, group.weights(1)))
    for number in (0, 2):
        model, optimizer = group._network(group.specs[number])
        own = make_steps(model, optimizer, lambda model, x: model(x, training=True))
        own.start()
        for codes, labels in group.batches(number):
            for batch in range(len(codes)):
                own.run(codes[batch : batch + 1], labels[batch : batch + 1])
        assert losses[number] == pytest.approx(own.finish(), rel=1e-4)
        wanted = [backend.value(one) for one in (*model.variables, *optimizer.variables)]
        for one, other in zip(group.weights(number), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-3)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone has seeds in one program")
def test_a_fault_in_one_program_is_found_in_its_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    group = AtOnce(monkeypatch)
    before = group.weights(2)
    group.steps.start([True] * 3)
    for launch, found in enumerate(zip(*map(group.batches, SEEDS), strict=True)):
        if launch == 1:
            groups = [[*one] for one in group.steps._state[:3]]
            groups[0][0] = groups[0][0].at[2, 0, 0, 0].set(9.0)
            group.steps._state = (*groups, *group.steps._state[3:])
        group.steps.run(found)
    losses = group.steps.finish()
    assert isinstance(losses[2], DeviceFaultError)
    assert "conv1/kernel[0, 0, 0]" in str(losses[2])
    assert [type(one) for one in losses[:2]] == [float, float]
    assert all(map(np.array_equal, before, group.weights(2)))
