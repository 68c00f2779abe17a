"""The self-test of a device: a sound one passes, a broken one is refused and told what differed."""

import json
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from mlproject.commands.cli import cli
from mlproject.network import backend, fast_pass, selftest, vouching
from mlproject.system.errors import UserError
from mlproject.system.variables import thread_variables


@pytest.fixture(scope="module")
def network() -> selftest._Network:
    """CNN-25, compiled once for these tests."""
    backend.prepare()
    return selftest._Network("CNN-25", nullcontext())


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A processor that is taken for an accelerator; the list counts its self-tests."""
    tests: list[int] = []

    def differences() -> list[str]:
        tests.append(1)
        return []

    monkeypatch.setattr(backend, "on_processor", lambda: False)
    monkeypatch.setattr(vouching, "differences", differences)
    return tests


def wrong(real: Callable[..., Any], change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda *args, **options: change(real(*args, **options))


def test_a_processor_computes_as_numpy_does() -> None:
    assert not [*selftest._kernel_differences()]
    assert not [*selftest._random_differences()]
    assert not [*selftest._assignment_differences()]


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("ones", lambda x: x * 512, "ones(4) + 1, one operator at a time, gave 513 instead of 2"),
        ("sqrt", lambda x: x * 0, "sqrt(512), one operator at a time, gave 0 instead of 22.6274"),
        ("matmul", lambda x: x * (1 + 2**-10), "matmul, one operator at a time, gave"),
        ("sum", lambda x: x + 1, "sum, one operator at a time, gave"),
        ("take", lambda x: x[::-1], "take, one operator at a time, gave"),
        ("max_pool", lambda x: x[:, :3], "gave shape (8, 3, 30) instead of (8, 4, 30)"),
    ],
)
def test_a_wrong_operator_is_named_with_what_it_gave(
    monkeypatch: pytest.MonkeyPatch, name: str, change: Callable, says: str
) -> None:
    monkeypatch.setattr(selftest.ops, name, wrong(getattr(selftest.ops, name), change))
    assert says in "; ".join(selftest._kernel_differences())


def test_a_wrong_compiler_is_found_where_operators_alone_are_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        backend, "compiled", lambda function: wrong(function, lambda x: keras.ops.copy(x) * 1.01)
    )
    found = [*selftest._kernel_differences()]
    assert found
    assert all(", compiled, gave" in line for line in found)


def test_normal_numbers_that_are_none_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        keras.random, "normal", wrong(keras.random.normal, lambda x: x * float("nan"))
    )
    assert "mean and spread of normal gave nan instead of 0" in [*selftest._random_differences()]


def test_memory_that_is_overwritten_after_an_assignment_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = backend.value
    calls = []

    def value(variable: keras.Variable) -> np.ndarray:
        calls.append(1)
        found = real(variable)
        if len(calls) == 15:
            found[40_000] = 1.0
        return found

    monkeypatch.setattr(backend, "value", value)
    assert len([*selftest._assignment_differences()]) == 1


def test_a_step_of_training_is_what_numpy_makes_of_its_moments(
    network: selftest._Network,
) -> None:
    found = network.train(1)
    assert not [*selftest._adam_differences("CNN-25", network.spec, network.start, found)]
    path = next(one for one in found.weights if one.endswith("conv2/kernel"))
    found.weights[path][2, 3, 4] += 1e-5
    lines = [*selftest._adam_differences("CNN-25", network.spec, network.start, found)]
    assert len(lines) == 1
    assert "conv2/kernel after a step of CNN-25" in lines[0]


def test_a_step_of_training_that_differs_from_the_processors_is_found(
    network: selftest._Network,
) -> None:
    wanted = network.train(1)
    assert not [*selftest._step_differences("CNN-25", network.train(1), wanted)]
    found = network.train(1)
    path = next(one for one in found.moments if one.endswith("conv1_kernel_momentum"))
    found.moments[path] *= 1 + 2**-11
    lines = [*selftest._step_differences("CNN-25", found._replace(loss=wanted.loss + 1), wanted)]
    assert len(lines) == 2
    assert "the loss of a step" in lines[0]
    assert "5e-04 of its norm off the processor's" in lines[1]


def test_a_step_of_the_self_test_reads_letters_as_training_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[bool] = []

    def choose(model: keras.Model, letters: bool = False) -> tuple[Callable[..., Any], str]:
        told.append(letters)
        return fast_pass.training_pass, "fast"

    monkeypatch.setattr(fast_pass, "choose", choose)
    selftest._Network("CNN-2", nullcontext())
    assert told == [True]


def test_two_trainings_that_differ_are_found(
    network: selftest._Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "STEPS", 5)
    assert not [*selftest._repeat_differences("CNN-25", network)]
    outcomes = iter([network.train(5), network.train(4)])
    monkeypatch.setattr(network, "train", lambda steps: next(outcomes))
    assert len([*selftest._repeat_differences("CNN-25", network)]) == 4


def test_an_error_of_the_device_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("CUDA_ERROR_ILLEGAL_ADDRESS\nmore")

    for name in ("_kernel_differences", "_random_differences", "_training_differences"):
        monkeypatch.setattr(selftest, name, fails)
    found = [*selftest.differences()]
    assert found[0] == "operators: CUDA_ERROR_ILLEGAL_ADDRESS"
    assert len(found) == 4


@pytest.mark.parametrize(
    "says",
    [
        "RESOURCE_EXHAUSTED: : CUDA_ERROR_OUT_OF_MEMORY: out of memory",
        "INTERNAL: [0] There was an error (2): cudaErrorMemoryAllocation : out of memory",
    ],
)
def test_a_device_without_memory_is_not_called_wrong_and_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError(says)

    monkeypatch.setattr(backend, "on_processor", lambda: False)
    monkeypatch.setattr(selftest, "_kernel_differences", fails)
    with pytest.raises(UserError, match=r"^the self-test of a device needs some of its memory"):
        vouching.ensure_checked(tmp_path)
    assert not [*(tmp_path / "data").iterdir()]


def test_processes_with_other_thread_counts_share_one_self_test(
    tmp_path: Path, accelerator: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    vouching.check_device(tmp_path)
    for count in (1, 4):
        for name, value in thread_variables(count).items():
            monkeypatch.setenv(name, value)
        vouching.ensure_checked(tmp_path)
    assert len(accelerator) == 1


def test_of_several_processes_one_tests_and_the_others_wait(
    tmp_path: Path, accelerator: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differences() -> list[str]:
        accelerator.append(1)
        others[0].start()
        others[0].join(0.2)  # it waits for the lock, and ends after this test
        return ["conv gave 1 instead of 2"]

    refused: list[str] = []

    def other() -> None:
        with pytest.raises(UserError, match="conv gave 1 instead of 2") as error:
            vouching.ensure_checked(tmp_path)
        refused.append(str(error.value))

    others = [threading.Thread(target=other)]
    monkeypatch.setattr(vouching, "differences", differences)
    with pytest.raises(UserError, match="conv gave 1 instead of 2"):
        vouching.ensure_checked(tmp_path)
    others[0].join()
    assert len(accelerator) == len(refused) == 1
    assert not [*tmp_path.rglob("*.lock")]


def test_an_accelerator_is_tested_once_an_environment(
    tmp_path: Path, accelerator: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        vouching.ensure_checked(tmp_path)
    assert len(accelerator) == 1
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0")
    vouching.ensure_checked(tmp_path)
    assert len(accelerator) == 2
    next((tmp_path / "data").glob("device-*.json")).write_text("[]")
    monkeypatch.setattr(vouching, "driver_version", lambda: "999.1")
    vouching.ensure_checked(tmp_path)
    assert len(accelerator) == 3


def test_no_check_tests_nothing_and_a_processor_is_never_tested_unasked(
    tmp_path: Path, accelerator: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    vouching.ensure_checked(tmp_path, check=False)
    monkeypatch.setattr(backend, "on_processor", lambda: True)
    vouching.ensure_checked(tmp_path)
    assert not accelerator
    assert not [*tmp_path.iterdir()]


def test_a_device_that_fails_is_refused_now_and_later_with_one_line(
    tmp_path: Path, accelerator: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vouching, "differences", lambda: ["ones(4) + 1 gave 513 instead of 2", "x"])
    for _ in range(2):
        with pytest.raises(UserError, match=r"gave 513 instead of 2 and 1 more; "):
            vouching.ensure_checked(tmp_path)
        monkeypatch.setattr(vouching, "differences", lambda: [])
    assert "as it should be" in vouching.check_device(tmp_path)
    vouching.ensure_checked(tmp_path)


def test_jax_0_11_with_cuda_is_known_until_it_passes(
    tmp_path: Path,
    accelerator: list[int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    identity = {"backend": "jax", "device": "NVIDIA H100", "jax-cuda13-plugin": "0.11.2"}
    versions = {"0.10.2": False, "0.11.0": True, "0.12": True, "1.0.dev3": True}
    for version, known in versions.items():
        assert vouching.is_known_wrong(identity | {"jax": version}) == known
    assert not vouching.is_known_wrong(identity | {"jax": "0.11.2", "backend": "tensorflow"})
    monkeypatch.setattr(vouching, "device_identity", lambda: identity | {"jax": "0.11.2"})
    vouching.ensure_checked(tmp_path, check=False)
    assert "known to compute wrongly (jax-ml/jax#40633)" in capsys.readouterr().err
    monkeypatch.setattr(vouching, "differences", lambda: ["sqrt(512) gave 0 instead of 22.6"])
    with pytest.raises(UserError, match=r"known for it \(jax-ml/jax#40633\), 0\.10\.2 is not"):
        vouching.ensure_checked(tmp_path)
    monkeypatch.setattr(vouching, "differences", lambda: [])
    vouching.check_device(tmp_path)
    vouching.ensure_checked(tmp_path)


def test_the_command_says_what_it_found(
    tmp_path: Path, accelerator: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["check", "--device"])
    assert done.exit_code == 0, done.output
    assert "all of the self-test is as it should be" in done.output
    kept = json.loads(next((tmp_path / "data").glob("device-*.json")).read_text())
    assert kept["differences"] == []
    monkeypatch.setattr(vouching, "differences", lambda: ["conv gave 1 instead of 2"])
    done = CliRunner().invoke(cli, ["check", "--device"])
    assert isinstance(done.exception, UserError)
    assert "conv gave 1 instead of 2" in str(done.exception)


@pytest.mark.slow
def test_the_whole_self_test_passes_on_a_processor() -> None:
    assert not [*selftest.differences()]
