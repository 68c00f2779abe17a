"""The scripts in `benchmarks`: they train as runs do, and refuse wrong input with one line."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import keras
import pipeline
import pytest
from epochs import steps_of

from mlproject.architectures import make_spec
from mlproject.network import fast_pass, steps
from mlproject.network.build import build
from mlproject.network.inputs import one_hot_tensor
from mlproject.network.step_parts import TrainingPass

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("augmentations", ["mutation", "noise"])
def test_an_epoch_of_a_benchmark_has_pass_and_inputs_of_training(
    monkeypatch: pytest.MonkeyPatch, augmentations: str
) -> None:
    told: list[bool] = []

    def choose(model: keras.Model, letters: bool = False) -> tuple[TrainingPass, str]:
        told.append(letters)
        return fast_pass.training_pass, "fast"

    monkeypatch.setattr(fast_pass, "choose", choose)
    monkeypatch.setattr(steps, "make_steps", lambda *parts, inputs: inputs)
    spec = make_spec({"augment": "evoaug", "augmentations": augmentations, "noise": 0.3})
    inputs = steps_of(spec, build(spec, 200, 12))
    letters = augmentations != "noise"
    assert told == [letters]
    assert (inputs is one_hot_tensor) == letters


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_chooses_no_pass_without_saying_whether_it_reads_letters(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "fast_pass.choose":
            assert len(node.args) == 2, ast.unparse(node)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_reads_its_arguments(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "__main__" not in text or re.search(r"\bparse(_args)?\(", text)


def test_the_page_names_the_scripts_that_make_bench_leaves_out() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    run = re.findall(r"^BENCHMARKS \?= (.*)$", makefile, re.MULTILINE)[0].split()
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)`", page.partition("Not run by `make bench`:")[2].split("\n\n")[0])
    parts = {"arguments", "deepsea_files", "epochs", "killing", "ledger"}
    assert sorted([*run, *named, *parts]) == [path.stem for path in SCRIPTS]


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("pipeline --epochs 0 --parts-only", "--epochs: must be 1 or more: got 0"),
        ("pipeline --arch nope", "--arch: invalid choice: 'nope'"),
        ("train --epochs 0", "--epochs: must be 1 or more: got 0"),
        ("train --arch CNN-25 nope", "--arch: invalid choice: 'nope'"),
        ("operations nope", "NETWORK: invalid choice: 'nope'"),
        ("starts --arch nope", "--arch: invalid choice: 'nope'"),
        ("tomtom --motifs nope", "--motifs: cannot read nope"),
        ("tomtom --repeats 0", "--repeats: must be 1 or more: got 0"),
        ("scale --axes classes --most 0", "--most: must be 1 or more: got 0"),
        ("scale --axes sequences --most 9", "--most: must be 2500 or more for sequences: got 9"),
        ("data_streaming nope", "part: invalid choice: 'nope'"),
        ("compare_runs nope nope", "old: must exist: got nope"),
    ],
)
def test_wrong_input_gets_one_line(command: str, says: str) -> None:
    done = started(command)
    assert done.returncode == 2
    assert done.stdout == ""
    usage, _, error = done.stderr.partition("error: argument ")
    assert usage.startswith("usage: ")
    assert error.startswith(says)
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["logos", "candidates"])
def test_help_measures_nothing(name: str) -> None:
    done = started(f"{name} --help")
    assert done.returncode == 0
    assert "CPU " in done.stdout.splitlines()[2]
    assert done.stdout.startswith(f"usage: {name}.py [-h]\n")


def started(command: str) -> subprocess.CompletedProcess[str]:
    name, *arguments = command.split()
    path = ROOT / "benchmarks" / f"{name}.py"
    return subprocess.run(
        [sys.executable, str(path), *arguments], capture_output=True, text=True, check=False
    )


def test_a_run_and_its_start_are_held_against_their_limits() -> None:
    assert pipeline.verdict(8.0, pipeline.START_LIMIT) == "within the limit of 8"
    assert pipeline.verdict(20.1, pipeline.LIMIT) == "NOT within the limit of 20"
