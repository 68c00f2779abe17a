"""The scripts in `benchmarks`: they train as runs do, and refuse wrong input with one line."""

import ast
from pathlib import Path

import keras
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
