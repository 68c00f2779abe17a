"""Plans: read, refused, expanded and ordered. No keras anywhere."""

import gzip
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlproject.commands.cli import main
from mlproject.sweeps.cells import DataSets, Seconds, plan_cells, seconds_of
from mlproject.sweeps.lock import plan_lock
from mlproject.sweeps.plan import count_cells, expand
from mlproject.sweeps.plan_file import PLANS, find_plan, read_plan
from mlproject.sweeps.ranges import Range
from mlproject.sweeps.space import make_space
from mlproject.system.errors import UserError
from mlproject.system.processes import this_process

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"sequences": 50, "length": 150}


def check_refusal(path: Path, says: str) -> None:
    """Check that a plan is refused by one line that begins with its path."""
    with pytest.raises(UserError) as caught:
        read_plan(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "\n" not in message
    assert len(message) < 1000


def write(folder: Path, text: str | dict[str, Any], name: str = "plan.yaml") -> Path:
    path = folder / name
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("axis: {pool1: [1]}", "unknown key `axis`: did you mean axes"),
        ("axes: {pol1: [1]}", "unknown field `pol1` in axes: did you mean pool1"),
        ("axes: {pool1: [x]}", "`pool1` must be an integer: got 'x'"),
        ("axes: {pool1: [7]}", "cell pool1=7: `pool2` defaults to 100"),
        ("axes: {arch: [CNN-26]}", "unknown arch 'CNN-26': did you mean CNN-2"),
        ("axes: {pool1: []}", "`axes.pool1` must have at least one value"),
        ("axes: {pool1: {from: 5, to: 1}}", "`axes.pool1` must go up"),
        ("axes: {pool1: {from: 1, stop: 5}}", "unknown key `axes.pool1.stop`"),
        ("axes: {activation: [relu, elu, relu]}",
         "`axes.activation` must have different values: got 'relu' 2 times"),
        ("axes: {pool1: 5}", "`axes.pool1` must be a valid list: got 5"),
        ("axes: {arch: {from: 1, to: 5}}", "`axes.arch` must be a list of names"),
        ("axes: {l2: {from: 0.1, to: 0.5}}", "`axes.l2` must have a step"),
        ("base: {seed: 1, seed: 2}", "`seed` is given twice"),
        ("base: [1]", "`base` must be a valid dictionary"),
        ("exclude: [{seed: 5}]", "is none of them"),
        ("exclude: [{seed: 0}]", "at least one cell: all are excluded"),
        ("[1, 2]", "the plan must be a mapping"),
        ("a: [", "the plan must be YAML"),
        ("name: a/b", "`name`"),
        ("search: {space: {pool1: [1]}, objectives: {test_auroc: maximize}, trials: 1}",
         "the test split is never an objective: got test_auroc"),
        ("search: {space: {pool1: [1]}, objectives: {conv1/match_relevant: maximize}, trials: 1}",
         "use val_conv1/match_relevant"),
        ("search: {space: {pool1: [1]}, objectives: {val_auroc_: maximize}, trials: 1}",
         "unknown objective `val_auroc_`: did you mean val_auroc"),
        ("search: {space: {pool1: [1]}, objectives: {val_auroc: up}, trials: 1}",
         "`search.objectives.val_auroc` must be maximize or minimize: got 'up'"),
        ("search: {space: {pool1: [1]}, objectives: {val_auroc: maximize}, trial: 1}",
         "unknown key `search.trial`: did you mean trials"),
        ("search: {space: {pool1: [1]}, objectives: {val_auroc: maximize}}",
         "`search.trials` is missing"),
        ("search: {space: {pool1: [1]}, trials: 1, pruner: median, "
         "objectives: {val_auroc: maximize, val_loss: minimize}}", "`pruner` needs one objective"),
        ("search: {space: {pool1: [1]}, trials: 1, pruner: median, "
         "objectives: {val_conv1/dead: minimize}}", "known after each epoch"),
        ("search: {space: {pool1: [1]}, trials: 1, sampler: tep, "
         "objectives: {val_auroc: maximize}}", "`search.sampler` must be one of tpe, random, grid"),
        ("search: {space: {l2: {from: 0.1, to: 1}}, trials: 1, sampler: grid, "
         "objectives: {val_auroc: maximize}}", "must have a step for sampler: grid"),
        ("axes: {seed: [1]}\nsearch: {space: {pool1: [1]}, trials: 1, "
         "objectives: {val_auroc: maximize}}", "leave axes, cells and exclude out"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_plan_is_one_line_that_names_the_file(
    tmp_path: Path, text: str, says: str
) -> None:
    check_refusal(write(tmp_path, text), says)


BILLIONS = "{from: 0, to: 20000000000}"
TRIALS = "objectives: {val_auroc: maximize}, trials: 1"
LETTERS = "abcdefgh"


def repeated_by_aliases() -> str:
    """Return YAML of 8 lines that are 9 ** 8 values once its aliases are written out."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in pairwise(LETTERS):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"axes: {{seed: {BILLIONS}}}",
         "at most 100,000 cells: got 20,000,000,001 (seed 20,000,000,001); use fewer values"),
        ("axes: {seed: {from: 0, to: 99999}, arch: [CNN-1, CNN-2]}",
         "got 200,000 (seed 100,000 x arch 2)"),
        ("axes: {seed: {from: 1, to: 2000}}\nbase: {folds: 100}", "got 200,000 (seed 2,000)"),
        ("axes: {seed: {from: 1, to: 2000}, folds: [3, '100']}", "got 206,000 (seed 2,000 x fo"),
        ("base: {folds: 9000000000}", "`folds` must be less than or equal to 100"),
        ("cells: [{folds: 9000000000}]", "`folds` must be less than or equal to 100"),
        ("axes: {l2: {from: 0, to: 1, step: 1.0e-9}}", "got 1,000,000,001"),
        ("axes: {l2: {from: 0, to: 1.0e+300, step: 1.0e-300}}", "at most 100,000 cells"),
        ("axes: {seed: {from: 0, to: .inf}}", "`axes.seed.to` must be a finite number: got inf"),
        ("axes: {l2: {from: 0, to: 1, step: .nan}}",
         "`axes.l2.step` must be a finite number: got nan"),
        ("axes: {l2: {from: 0, to: 1, step: 0.0}}", "must go up: got from 0 to 1, step 0"),
        ("axes: {l2: {from: 0, to: 1, step: -1}}", "`axes.l2` must go up"),
        ("axes: {seed: {from: 0, to: 1, step: 0.5}}", "must have a whole step: got 0.5"),
        ("axes: {seed: {from: true, to: 4}}", "`axes.seed.from` must be a number: got True"),
        ("axes: {seed: [true]}", "must be a number or a text: got True"),
        ("base: {learning_rate: .nan}", "`base.learning_rate` must be a finite number: got nan"),
        (f"base: {{seed: {'9' * 1000}}}", "an integer must be at most 9,223,372,036,854,775,807"),
        (f"base: {{seed: {'9' * 5000}}}", "a value must have at most 4,096 characters"),
        (f"base: {{seed: 0x{'f' * 4000}}}", "an integer must be at most"),
        (f"axes: {{seed: {{from: 0, to: '{'9' * 30}'}}}}", "`axes.seed.to` must be at most"),
        ("base: " + "[" * 3000 + "]" * 3000, "must nest at most 10 deep"),
        ("base: " + "{a: " * 3000, "must nest at most 10 deep"),
        (repeated_by_aliases(), "at most 1,000,000 values, aliases written out"),
        ("base: &a {seed: *a}", "the alias `*a` must name a value that ends before it"),
        ("base: {<<: {seed: 1}}", "`<<` is not known"),
        ("base: {? [1] : 1}", "a key must be a name"),
        ("base: {dataset: 2020-13-45, seed: x}", "`seed` must be an integer: got 'x'"),
        ("base: {seed: !!int ''}", "a value cannot be read"),
        ("base: {seed: 010}", "an integer must have decimal digits, without leading zeros: got 01"),
        ("base: {seed: 1:30}", "an integer must have decimal digits"),
        ("base: {seed: 0x1F}", "an integer must have decimal digits"),
        ("base: {learning_rate: 1:30.5}", "a number must be decimal, or a text in quotes: got 1:"),
        ("? \"a\\nb\"\n: 1", "unknown key `a\\nb`"),
        ("base: {\"a\\nb\": 1}", "unknown field `a\\nb` in base"),
        ("name: \"a\\nb\"", "`name` must be of letters, digits"),
        (f"name: {'x' * 300}", "`name` must have at most 200 bytes"),
        (f"search: {{space: {{pool1: {BILLIONS}}}, {TRIALS}000000}}",
         "`search.trials` must be less than or equal to 100000"),
        (f"search: {{space: {{pool1: [1]}}, {TRIALS}, seed: 5000000000}}",
         "`search.seed` must be less than 2147483648"),
        (f"search: {{space: {{pool1: [1]}}, {TRIALS.replace('auroc', 'conv²/dead')}}}",
         "unknown objective `val_conv²/dead`"),
        ("search: {space: {seed: {from: 0, to: 9999999999, step: 1}}, sampler: grid, "
         f"{TRIALS}}}", "sampler: grid must have at most 100,000 cells: got 10,000,000,000"),
        (f"search: {{space: {{seed: {{from: 0, to: 5, step: 0.5}}}}, {TRIALS}}}",
         "`search.space.seed` must have a whole step"),
    ],
)  # fmt: skip
def test_a_plan_that_costs_without_bound_is_refused_by_one_line_before_anything_is_built(
    tmp_path: Path, text: str, says: str
) -> None:
    check_refusal(write(tmp_path, text), says)


@pytest.mark.parametrize("folds", [3, "3"])
def test_a_plan_counts_and_makes_a_cell_for_each_fold(tmp_path: Path, folds: int | str) -> None:
    for base, rest, count in (
        ({"folds": folds}, {}, 3),
        ({"folds": folds, "fold": 2}, {}, 1),
        ({"folds": 0}, {}, 1),
        ({"folds": folds}, {"axes": {"seed": [0, 1]}}, 6),
        ({}, {"axes": {"folds": [folds, 4, 0], "seed": [0, 1]}}, 16),
        ({"folds": folds}, {"axes": {"fold": [1, 3]}}, 2),
        ({"folds": folds}, {"axes": {"seed": [0]}, "cells": [{"seed": 1}, {"folds": 5}]}, 11),
    ):
        plan = read_plan(write(tmp_path, {"base": {**SMALL, **base}, **rest}))
        specs = [spec for _, spec in expand(plan)]
        assert len(set(specs)) == count_cells(plan) == count


def test_a_huge_file_is_refused_unread_and_aliases_and_marks_within_bounds_are_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=r"at most 1,048,576 bytes"):
        read_plan(write(tmp_path, "#" * 2**20 + "\n"))
    shared = "base: &small {sequences: 50, length: 150}\ncells: [*small, {seed: 1}]\n"
    assert len(list(expand(read_plan(write(tmp_path, "\ufeff" + shared))))) == 2
    dated = read_plan(write(tmp_path, "name: 2026-11-25"))
    assert dated.name == "2026-11-25"


def test_a_range_is_counted_as_it_is_written_and_a_search_takes_a_long_one(tmp_path: Path) -> None:
    axis = Range.model_validate({"from": 0.1, "to": 0.7, "step": 0.1})
    assert (axis.count, axis.last) == (7, 0.7)
    long = Range.model_validate({"from": 0, "to": 1, "step": 3e-9})
    assert long.count == 333_333_334
    with pytest.raises(UserError, match="at most 100,000 values"):
        long.values()
    search = {"objectives": {"val_auroc": "maximize"}, "trials": 3}
    space = {"seed": {"from": 0, "to": 2 * 10**10}, "l2": {"from": 0.0, "to": 1.0, "step": 3e-9}}
    plan = read_plan(write(tmp_path, {"base": SMALL, "search": {**search, "space": space}}))
    assert plan.search
    found = make_space(plan, plan.search, DataSets(tmp_path)).distributions
    assert found["seed"].high == 2 * 10**10  # type: ignore[attr-defined]
    assert found["l2"].high == pytest.approx(1.0, abs=3e-9)  # type: ignore[attr-defined]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_plan_may_have_any_mark_and_line_ends(encoding: str, end: str, tmp_path: Path) -> None:
    text = "name: é\nbase:\n  seed: 3\n\n".replace("\n", end)
    (tmp_path / "plan.yaml").write_bytes(text.encode(encoding))
    plan = read_plan(tmp_path / "plan.yaml")
    assert (plan.name, plan.base, plan.text) == ("é", {"seed": 3}, text)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (gzip.compress(b"a: 1", mtime=0), "is compressed: decompress it"),
        (b"PK\3\4", "is a ZIP archive"),
        (b"a: \xff", "can't decode"),
    ],
)
def test_a_plan_that_is_no_text_is_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"must be a readable file: .*{says}"):
        read_plan(path)


def test_a_missing_plan_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must be a readable file"):
        read_plan(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ({"from": 0, "to": 4}, [0, 1, 2, 3, 4]),
        ({"from": 1, "to": 10, "step": 3}, [1, 4, 7, 10]),
        ({"from": 0.1, "to": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
    ],
)
def test_a_range_includes_both_ends(axis: dict[str, float], values: list[float]) -> None:
    assert Range.model_validate(axis).values() == values


def test_cells_are_axes_then_rows_without_exclusions_each_once(tmp_path: Path) -> None:
    plan = read_plan(
        write(
            tmp_path,
            {
                "base": {"epochs": 3},
                "axes": {"pool1": [1, 25], "seed": [0, 1]},
                "cells": [{"arch": "CNN-25"}, {"arch": "CNN9-4", "seed": 7}],
                "exclude": [{"arch": "CNN-1", "seed": [1]}],
            },
        )
    )
    found = [(spec.blocks[0].pool, spec.blocks[0].kernel, spec.seed) for _, spec in expand(plan)]
    assert found == [(1, 19, 0), (25, 19, 0), (25, 19, 1), (4, 9, 7)]
    assert all(spec.epochs == 3 for _, spec in expand(plan))


def test_one_seed_of_every_network_comes_before_the_second_and_long_cells_first(
    tmp_path: Path,
) -> None:
    plan = read_plan(
        write(tmp_path, {"base": SMALL, "axes": {"seed": [3, 1], "arch": ["CNN-50", "CNN-1"]}})
    )
    cells = plan_cells(plan, DataSets(tmp_path))
    assert [cell.name for cell in cells] == [
        "CNN-1 · seed 3",
        "CNN-50 · seed 3",
        "CNN-1 · seed 1",
        "CNN-50 · seed 1",
    ]
    assert cells[0].cost > cells[1].cost
    assert len({cell.spec_sha256 for cell in cells}) == 4


def test_the_cost_counts_the_multiplications_of_a_network_written_out(tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path, {"base": {**SMALL, "arch": "CNN-25"}}))
    data = DataSets(tmp_path)
    [cell] = plan_cells(plan, data)
    first = sum(19 * 4 * 30 for _ in range(150))
    second = sum(5 * 30 * 128 for _ in range(6))
    dense = 2 * 128 * 512 + 512 * 12
    sequences = data.facts(cell.spec).sequences
    assert cell.cost == (first + second + dense) * sequences * cell.spec.epochs * 3


def test_a_cell_that_does_not_fit_its_data_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    plan = read_plan(
        write(tmp_path, {"base": {**SMALL, "length": 90}, "axes": {"arch": ["CNN-25", "CNN-100"]}})
    )
    with pytest.raises(UserError, match=r"cell arch=CNN-100: `pool1` must not be wider"):
        plan_cells(plan, DataSets(tmp_path))


def test_times_are_estimated_from_the_same_network_else_from_the_cost(tmp_path: Path) -> None:
    plan = read_plan(
        write(tmp_path, {"base": SMALL, "axes": {"seed": [0, 1], "arch": ["CNN-1", "CNN-50"]}})
    )
    cells = plan_cells(plan, DataSets(tmp_path))
    first = cells[0]
    estimate = seconds_of(cells, {first.spec_sha256: Seconds(60.0, 14.0)})
    assert estimate[cells[2].spec_sha256] == 74.0
    assert estimate[cells[1].spec_sha256] == pytest.approx(60.0 * cells[1].cost / first.cost + 14)
    assert seconds_of(cells, {}) == {}


@pytest.mark.parametrize("path", sorted((ROOT / "sweeps").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_plans_of_the_project_are_valid(path: Path) -> None:
    plan = read_plan(path)
    if path.stem == "table1":
        cells = list(expand(plan))
        assert len(cells) == 18 * 5


def test_what_does_not_fit_is_not_in_the_search_space(tmp_path: Path) -> None:
    search = {"objectives": {"val_auroc": "maximize"}, "trials": 3}
    data = DataSets(tmp_path)
    alone = {"pool1": [1, 7, 10, 25, 400], "kernel1": [9, 19]}
    plan = read_plan(
        write(tmp_path, {"base": SMALL, "search": {**search, "space": alone}}, "alone.yaml")
    )
    assert plan.search
    space = make_space(plan, plan.search, data)
    assert space.distributions["pool1"].choices == (1, 10, 25)  # type: ignore[attr-defined]
    assert [line.split()[0] for line in space.left_out] == ["pool1=7", "pool1=400"]
    together = {"pool1": [1, 10, 100], "pool2": [1, 10, 100]}
    plan = read_plan(
        write(tmp_path, {"base": SMALL, "search": {**search, "space": together}}, "both.yaml")
    )
    assert plan.search
    space = make_space(plan, plan.search, data)
    fitting = {(one["pool1"], one["pool2"]) for one in space.choices["pool1, pool2"].values()}
    slow = {(p, q) for p in (1, 10, 100) for q in (1, 10, 100) if q <= -(-150 // p)}
    assert fitting == slow
    assert space.options({"pool1, pool2": "10, 1"}) == {"pool1": 10, "pool2": 1}


def test_a_damaged_lock_is_taken_over_when_it_is_old(tmp_path: Path) -> None:
    path = tmp_path / "plan.lock"
    path.write_bytes(b"\xff\x00 damaged")
    with pytest.raises(UserError, match="one driver a plan"), plan_lock(path):
        pass
    os.utime(path, (1, 1))
    with plan_lock(path):
        assert b"damaged" not in path.read_bytes()
    assert not path.exists()


def assert_locked_once(path: Path) -> None:
    with (
        plan_lock(path),
        pytest.raises(UserError, match=r"one driver a plan: process \d+"),
        plan_lock(path),
    ):
        pass


def test_a_lock_refuses_a_second_driver_and_not_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "plan.lock"
    assert_locked_once(path)
    assert not path.exists()
    code = (
        "import os; from pathlib import Path; from mlproject.sweeps.lock import plan_lock\n"
        f"held = plan_lock(Path({str(path)!r})); held.__enter__(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert path.exists()
    with plan_lock(path):
        assert path.read_text()


def test_a_lock_holds_on_a_file_system_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("mlproject.sweeps.lock.os.link", no_links)
    assert_locked_once(tmp_path / "plan.lock")
    assert not [*tmp_path.iterdir()]


def test_a_lock_that_is_just_being_written_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.lock"
    path.touch()
    mine = str(this_process())
    monkeypatch.setattr("mlproject.sweeps.lock.time.sleep", lambda _: path.write_text(mine))
    with pytest.raises(UserError, match=r"one driver a plan: process \d+"), plan_lock(path):
        pass
    assert path.read_text() == mine


def test_a_dry_run_shows_the_cells_and_never_loads_keras(workplace: Path) -> None:
    plan = write(workplace, {"base": SMALL, "axes": {"arch": ["CNN-25", "CNN-4"]}})
    code = (
        "import sys; from mlproject.commands.cli import main; code = 0\n"
        f"try: main(['sweep', {str(plan)!r}, '--dry-run'])\n"
        "except SystemExit as end: code = end.code\n"
        "import mlproject.sweeps.search, mlproject.sweeps.worker\n"
        "loaded = {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n"
        "sys.exit(code or (f'loaded {loaded}' if loaded else 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=workplace
    )
    assert done.returncode == 0, done.stderr
    assert "CNN-4 · seed 0" in done.stdout
    assert "2 cells, 0 done, 2 to do" in done.stdout
    assert not (workplace / "runs").exists()


def test_a_plan_of_the_project_is_found_by_name_and_a_dry_run_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        find_plan(Path("table1")) == find_plan(Path("sweeps/table1.yaml")) == PLANS / "table1.yaml"
    )
    assert find_plan(Path("missing.yaml")) == Path("missing.yaml")
    assert find_plan(Path("elsewhere/table1.yaml")) == Path("elsewhere/table1.yaml")
    write(tmp_path, {"base": SMALL, "axes": {"arch": ["CNN-25"]}}).rename("smoke.yaml")
    assert find_plan(Path("smoke.yaml")) == Path("smoke.yaml")
    main(["sweep", "smoke.yaml", "--dry-run"])
    assert "1 cell, 0 done, 1 to do" in capsys.readouterr().out
    assert not Path("mlflow.db").exists()
