"""The guard on the state of a training: what a step can do passes, what it cannot is caught."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY
from test_run import runs_of
from test_training import BATCHES, LENGTH, TRAIN, VALID, Trained, assert_same, small_spec, train

from mlproject.architectures import make_spec
from mlproject.network import backend, jax_steps, steps, training_tools
from mlproject.network.build import build
from mlproject.network.steps import Steps, make_steps
from mlproject.network.training import fit
from mlproject.network.training_state import kernels_of
from mlproject.run.context import Settings
from mlproject.run.run import run
from mlproject.store import connect
from mlproject.system.errors import UserError

Change = Callable[[Any, Any], None]


class FaultyDevice:
    """The steps of the real device; once the state is at rest, one value in it is overwritten.

    Args:
        inner: the real steps.
        change: what to overwrite, given the model and the optimizer.
        runs: the calls of `run`, counted over all epochs, before which it happens.
    """

    def __init__(self, inner: Steps, overwrite: Callable, runs: tuple[int, ...]) -> None:
        self.inner, self.overwrite, self.runs = inner, overwrite, runs
        self.launch, self.count = inner.launch, 0

    def start(self) -> None:
        self.inner.start()

    def run(self, codes: np.ndarray, labels: np.ndarray) -> None:
        if self.count in self.runs:
            self.overwrite(self.inner)
        self.count += 1
        self.inner.run(codes, labels)

    def finish(self) -> float:
        return self.inner.finish()


def overwriting(group: int, path: str, value: float) -> Callable[[Any], None]:
    """Return a function that sets the first element of a variable of real steps, on the device."""

    def overwrite(steps: Any) -> None:
        paths = [one.path for one in steps.groups[group]]
        number = next(number for number, name in enumerate(paths) if name.endswith(path))
        if backend.name() == "tensorflow":
            variable = steps.groups[group][number].value
            changed = variable.numpy()
            changed.flat[0] = value
            variable.assign(changed)
            return
        import jax.numpy as jnp

        old = steps._state[group][number]
        new = jnp.asarray(old).reshape(-1).at[0].set(value).reshape(old.shape)
        groups = [[*one] for one in steps._state[:3]]
        groups[group][number] = new
        steps._state = (*groups, *steps._state[3:])

    return overwrite


def faulty(
    monkeypatch: pytest.MonkeyPatch, overwrite: Callable[[Any], None], runs: tuple[int, ...]
) -> None:
    real = make_steps
    monkeypatch.setattr(
        training_tools, "make_steps", lambda *args: FaultyDevice(real(*args), overwrite, runs)
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(small_spec(epochs=3), tmp_path_factory.mktemp("undisturbed") / "state.h5")


FAULTS = {
    "a weight": (0, "conv1/kernel", 0.9),
    "a weight that is not a number": (0, "conv1/kernel", np.nan),
    "a first moment": (2, "conv1_kernel_momentum", 50.0),
    "a second moment that is too large": (2, "dense_kernel_velocity", 1e4),
    "a second moment that is negative": (2, "dense_kernel_velocity", -1e-3),
    "a moving mean": (1, "conv1_bn/moving_mean", 40.0),
    "a moving variance": (1, "conv1_bn/moving_variance", 60.0),
    "a moving variance that is negative": (1, "dense_bn/moving_variance", -0.5),
}


@pytest.mark.parametrize(
    ("fault", "run"), [*((fault, BATCHES + 3) for fault in FAULTS), ("a weight", 2 * BATCHES - 1)]
)
def test_an_overwritten_value_is_caught_in_its_launch_and_the_run_ends_as_if_undisturbed(
    undisturbed: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, run: int
) -> None:
    group, path, value = FAULTS[fault]
    faulty(monkeypatch, overwriting(group, path, value), (run,))
    told: list[str] = []
    found = train(small_spec(epochs=3), tmp_path / "state.h5", on_fault=told.append)
    assert len(told) == 1
    if np.isfinite(value) and value > 0:  # not-a-number spreads within the launch
        assert path.split("/")[0].split("_")[0] in told[0]
    assert_same(found, undisturbed)


def test_a_fault_that_comes_again_ends_the_training_and_names_the_element(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty(monkeypatch, overwriting(0, "conv1/kernel", 9.0), (2, BATCHES + 2, BATCHES + 3))
    with pytest.raises(UserError, match=r"it corrupted conv1/kernel\[0, 0, 0\] twice in epoch 1"):
        train(small_spec(epochs=3), tmp_path / "state.h5")


def test_a_run_whose_device_fails_twice_is_failed_with_the_element_and_counts_the_faults(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty(monkeypatch, overwriting(0, "conv1/kernel", 9.0), (2, 7))  # of 5 batches an epoch
    with pytest.raises(UserError, match="twice in epoch 1"):
        run(make_spec(TINY), Settings(quiet=True))
    (failed,) = runs_of(connect())
    assert failed.info.status == "FAILED"
    assert "conv1/kernel[0, 0, 0]" in failed.data.tags["mlproject.failure"]
    wanted = "2: conv1/kernel[0, 0, 0], conv1/kernel[0, 0, 0]"
    assert failed.data.tags["mlproject.device_faults"] == wanted


@pytest.mark.parametrize("options", [{"learning_rate": 1.0}, {"beta1": 0.0}, {"beta1": 0.99}])
def test_no_training_however_wild_breaks_a_bound(tmp_path: Path, options: dict) -> None:
    told: list[str] = []
    train(small_spec(epochs=3, **options), tmp_path / "state.h5", on_fault=told.append)
    assert told == []


def test_scores_that_are_not_those_of_the_processor_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_tools.backend, "on_processor", lambda: False)
    told: list[str] = []
    spec = small_spec(epochs=1)
    train(spec, tmp_path / "state.h5", on_fault=told.append)
    assert told == []
    real = backend.host_forward
    monkeypatch.setattr(
        training_tools.backend,
        "host_forward",
        lambda model: lambda inputs: 0.5 * real(model)(inputs),
    )
    with pytest.raises(UserError, match="the loss of a fixed batch"):
        train(spec, tmp_path / "other.h5", on_fault=told.append)
    assert len(told) == 2


def test_the_history_has_the_kernels_of_all_layers_also_of_recurrent_ones_and_attention() -> None:
    model = build(small_spec(recurrent=3, attention=1), LENGTH, 2)
    found = kernels_of(model)
    wanted = sum(
        int(np.prod(one.shape)) for one in model.trainable_variables if one.name.endswith("kernel")
    )
    assert sum(one.size for one in found.values()) == wanted
    assert {"conv1", "attention1", "recurrent", "dense", "output"} <= set(found)
    assert found["conv1"].size == 6 * 4 * 5


ARMS = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "gpu_faults.py"))


@pytest.mark.skipif(backend.name() != "jax", reason="the arms are JAX's")
@pytest.mark.parametrize("change", ["donation", "launch", "copies"])
def test_arms_of_the_count_of_faults_that_change_no_arithmetic_give_the_same_weights(
    undisturbed: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    import jax

    for owner, name in ((jax, "jit"), (jax_steps, "LAUNCH"), (steps, "JaxSteps")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # to be put back afterwards
    ARMS["CHANGES"][change]()
    assert_same(train(small_spec(epochs=3), tmp_path / "state.h5"), undisturbed)


def test_each_epoch_keeps_the_squares_of_the_weights_and_their_largest_change(
    tmp_path: Path,
) -> None:
    spec = small_spec(epochs=2, l2=0.1)
    model = build(spec, LENGTH, 2)
    start = backend.value(model.get_layer("conv1").kernel)
    fitted = fit(model, spec, TRAIN, VALID, state_path=tmp_path / "state.h5")
    first = fitted.history[0]
    squares = [value for name, value in first.weights.items() if name.startswith("squares/")]
    penalty = first.values["val_loss"] - first.values["val_cross_entropy"]
    assert spec.l2 * sum(squares) == pytest.approx(penalty, rel=1e-4)
    assert set(first.weights) == {
        f"{kind}/{layer}"
        for kind in ("squares", "change")
        for layer in ("conv1", "dense", "output")
    }
    again = build(spec, LENGTH, 2)
    once = fit(again, small_spec(epochs=1, l2=0.1), TRAIN, VALID, state_path=tmp_path / "once.h5")
    moved = np.abs(backend.value(again.get_layer("conv1").kernel) - start).max()
    assert once.history[0].weights["change/conv1"] == pytest.approx(moved, rel=1e-6)
