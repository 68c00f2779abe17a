"""Searches: ask and tell, pruning, being killed, pictures. Outcomes are made up: nothing trains."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import TrialState

from mlproject.sweeps.cells import Cell, DataSets
from mlproject.sweeps.ledger import Ledger
from mlproject.sweeps.plan_file import read_plan
from mlproject.sweeps.samplers import SAMPLERS
from mlproject.sweeps.search import StudyCells, storage_path
from mlproject.sweeps.study_files import study_files
from mlproject.sweeps.task import Outcome
from mlproject.system.errors import UserError

BASE = {"sequences": 50, "length": 150, "epochs": 8}
POOLS = [1, 2, 5, 10, 20, 25, 50]
Open = Callable[..., StudyCells]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Open the search of a plan, as a driver does at its start."""

    def open_search(**search: Any) -> StudyCells:
        content = {"space": {"pool1": POOLS}, "objectives": {"val_auroc": "maximize"}, **search}
        path = tmp_path / "hunt.yaml"
        path.write_text(yaml.safe_dump({"base": BASE, "search": content}))
        return StudyCells(read_plan(path), DataSets(tmp_path / "data"), tmp_path)

    return open_search


def finish(search: StudyCells, cell: Cell, **values: float) -> Outcome:
    metrics = {f"best_{name}": value for name, value in values.items()}
    return search.tell(cell, Outcome("FINISHED", f"run of {cell.trial}", metrics))


def ask(search: StudyCells) -> Cell:
    cell = search.ask()
    assert cell is not None
    return cell


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - {"gp"}))
def test_each_sampler_gives_the_trials_of_the_budget_and_no_more(
    opened: Open, sampler: str
) -> None:
    search = opened(sampler=sampler, trials=5)
    cells = []
    while cell := search.ask():
        cells.append(cell)
        finish(search, cell, val_auroc=0.5)
    assert [cell.trial for cell in cells] == [0, 1, 2, 3, 4]
    assert {cell.spec.blocks[0].pool for cell in cells} <= set(POOLS)


def test_a_grid_proposes_each_combination_once(opened: Open) -> None:
    search = opened(sampler="grid", trials=100, space={"pool1": POOLS, "kernel1": [9, 19]})
    assert search.total == 14
    cells = [ask(search) for _ in range(14)]
    assert len({cell.spec for cell in cells}) == 14
    assert search.ask() is None
    for cell in cells:
        finish(search, cell, val_auroc=0.5)


def test_a_killed_search_takes_up_what_was_cut_off_and_counts_each_trial_once(
    opened: Open, tmp_path: Path
) -> None:
    search = opened(trials=6)
    first = [ask(search) for _ in range(4)]
    finish(search, first[0], val_auroc=0.6)
    search.tell(first[1], Outcome("FAILED", "run of 1", reason="by a test"))
    with storage_path(tmp_path, "hunt").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')  # the last line was cut off
    again = opened(trials=6)
    ended = {cell.trial: outcome.status for cell, outcome in again.ended()}
    assert ended == {0: "FINISHED", 1: "FAILED"}
    taken_up = [ask(again), ask(again)]
    assert [(cell.trial, cell.spec_sha256) for cell in taken_up] == [
        (cell.trial, cell.spec_sha256) for cell in first[2:]
    ]
    rest = []
    while cell := again.ask():
        rest.append(cell)
    assert [cell.trial for cell in rest] == [4, 5]
    for cell in [*taken_up, *rest]:
        finish(again, cell, val_auroc=0.5)
    states = [trial.state for trial in again.study.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, *[TrialState.COMPLETE] * 4]


def test_a_damaged_record_of_a_search_is_named_in_one_line(opened: Open, tmp_path: Path) -> None:
    search = opened(trials=2)
    finish(search, ask(search), val_auroc=0.5)
    path = storage_path(tmp_path, "hunt")
    whole = path.read_bytes()
    for damaged in (whole[:9] + b"\n" + whole[20:], b"\xff\xfe" + whole, b"[]\n" + whole):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"hunt.optuna.log is damaged .*; restore it, or move"):
            opened(trials=2)


def test_the_median_pruner_stops_a_trial_that_is_worse_than_those_before(opened: Open) -> None:
    search = opened(trials=6, pruner="median", warmup=2)
    for number in range(4):
        cell = ask(search)
        assert not any(
            search.report(cell, epoch, {"val_auroc": 0.6 + epoch / 100 + number / 1000})
            for epoch in range(1, 9)
        )
        finish(search, cell, val_auroc=0.68)
    bad, good = ask(search), ask(search)
    asked = [search.report(bad, epoch, {"val_auroc": 0.5}) for epoch in range(1, 5)]
    assert asked == [False, False, True, True]
    assert not any(search.report(good, epoch, {"val_auroc": 0.9}) for epoch in range(1, 9))
    search.tell(bad, Outcome("PRUNED", "run of bad", reason="interrupted by the pruner"))
    assert search.study.trials[4].state == TrialState.PRUNED
    assert {outcome.status for _, outcome in search.ended()} == {"FINISHED", "PRUNED"}


def test_an_epoch_that_is_told_again_after_a_restart_changes_nothing(opened: Open) -> None:
    search = opened(trials=2, pruner="hyperband")
    cell = ask(search)
    search.report(cell, 1, {"val_auroc": 0.5})
    again = opened(trials=2, pruner="hyperband")
    again.report(ask(again), 1, {"val_auroc": 0.5})
    assert again.study.trials[0].intermediate_values == {1: 0.5}


def test_a_run_without_the_objective_is_a_failed_trial_with_its_reason(opened: Open) -> None:
    search = opened(trials=1)
    outcome = search.tell(ask(search), Outcome("FINISHED", "x", {"best_val_loss": 1.0}))
    assert (outcome.status, outcome.reason) == ("FAILED", "the run has no best_val_auroc")
    assert search.study.trials[0].user_attrs["reason"] == outcome.reason


def test_another_search_under_the_same_name_is_refused_and_more_trials_are_not(
    opened: Open,
) -> None:
    opened(trials=2)
    assert opened(trials=3).total == 3
    with pytest.raises(UserError, match="begun with another space; give the plan another name"):
        opened(trials=2, space={"pool1": [1, 2]})
    with pytest.raises(UserError, match="another objectives"):
        opened(trials=2, objectives={"val_loss": "minimize"})


def test_two_objectives_have_a_front_and_every_picture(opened: Open, tmp_path: Path) -> None:
    objectives = {"val_auroc": "maximize", "val_conv1/match_relevant": "maximize"}
    search = opened(trials=6, objectives=objectives, space={"pool1": POOLS, "kernel1": [9, 15, 19]})
    for number in range(6):
        cell = ask(search)
        metrics = {
            "best_val_auroc": 0.9 - number / 100,
            "val_conv1/match_relevant": number / 10 if number < 4 else 0.0,
        }
        search.tell(cell, Outcome("FINISHED", f"r{number}", metrics))
    written = {}
    for name, write in study_files(search.study):
        written[name] = tmp_path / name.replace("/", "_")
        write(written[name])
    table = written.pop("search/trials.csv")
    assert set(written) == {
        "search/front.png",
        "search/history_val_auroc.png",
        "search/history_val_conv1_match_relevant.png",
        "search/importances_val_auroc.png",
        "search/importances_val_conv1_match_relevant.png",
    }
    assert min(path.stat().st_size for path in written.values()) > 5000
    lines = table.read_text().splitlines()
    assert lines[0].startswith("trial,state,val_auroc,val_conv1/match_relevant,")
    assert [line.endswith("True") for line in lines[1:]] == [True] * 4 + [False] * 2


def test_the_ledger_shows_counts_and_the_best_first(opened: Open) -> None:
    search = opened(trials=3)
    ledger = Ledger(search.total, search.best_by)
    for value in (0.6, 0.8):
        cell = ask(search)
        ledger.add(cell, finish(search, cell, val_auroc=value), 1)
    cell = ask(search)
    ledger.add(cell, Outcome("FAILED", None, reason="no memory"), 2)
    assert ledger.line() == "2 of 3 done, 0 running, 1 failed"
    assert not ledger.complete
    assert [row.cell.trial for row in ledger.best()] == [1, 0]
    note = ledger.note("7")
    assert "(#/experiments/7/runs/run of 1)" in note
    assert "no memory" in note
    assert ledger.table().splitlines()[-1].endswith("FAILED,,2,no memory")
