"""The live table of a sweep, on terminals narrow and wide."""

import io

import pytest
from rich.console import Console

from mlproject.sweeps.cells import Cell, DataSets, make_cell
from mlproject.sweeps.display import LiveDisplay, TimeLeft, make_display
from mlproject.sweeps.ledger import Ledger
from mlproject.sweeps.plan import FieldValues
from mlproject.sweeps.task import Outcome


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    data = DataSets(tmp_path_factory.mktemp("data"))
    shape: FieldValues = {
        "sequences": 50,
        "length": 150,
        "arch": "CNN-25",
        "filters1": 6,
        "filters2": 8,
    }
    return [make_cell({**shape, "seed": seed, "epochs": 4000}, data) for seed in range(3)]


@pytest.mark.parametrize(("width", "whole"), [(60, False), (80, True), (100, True), (160, True)])
def test_each_cell_has_one_line_and_the_numbers_of_its_epoch_are_whole(
    cells: list[Cell], width: int, whole: bool
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    ledger = Ledger(3, [("best_val_auroc", True)])
    with LiveDisplay("plan", console) as table:
        table.epoch(cells[0], 1234, {"val_loss": 0.4351, "val_auroc": 0.5472})
        table.result(cells[1], Outcome("FAILED", None, reason="the loss must stay finite: " * 4))
        ledger.add(cells[1], Outcome("FAILED"), 1)
        table.update(ledger, [cells[0], cells[2]])
    lines = screen.getvalue().splitlines()
    assert len([line for line in lines if "CNN-25" in line]) == 3
    assert all(len(line) <= width + len("\x1b[?25h") for line in lines)
    epoch = "epoch 1234/4000  val_loss 0.4351  val_auroc 0.5472"
    assert any(epoch in line for line in lines) == whole
    assert any("starting" in line for line in lines)
    assert "0 of 3 done, 0 running, 1 failed" in screen.getvalue()


def test_the_time_left_counts_the_cells_that_run_at_once_and_fits_80_columns(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("mlproject.sweeps.display.time.monotonic", lambda: clock[0])
    six = [cell._replace(spec_sha256=str(n)) for n, cell in enumerate([*cells, *cells])]
    ledger = Ledger(6, [("best_val_auroc", True)], sum(cell.cost for cell in six))
    left = TimeLeft()
    assert left.text(ledger, six[:2]) == ""
    clock[0] = 60.0
    for cell in six[:2]:
        ledger.add(cell, Outcome("FINISHED"), 1)
    assert left.text(ledger, six[2:4]) == "about 2 min left"
    clock[0] = 90.0
    assert left.text(ledger, six[2:4]) == "about 90 s left"
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=True, color_system=None)
    with LiveDisplay("a plan with a rather long name, as people give them", console) as table:
        table._left = left
        table.update(ledger, six[2:4])
    assert "about 90 s left" in screen.getvalue()


def test_a_search_shows_its_objectives_and_the_end_names_the_best_cell(
    cells: list[Cell], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["best_val_auroc", "val_conv1/match_relevant"]
    display = make_display("plan", quiet=False, shown=names)
    ledger = Ledger(3, [(name, True) for name in names])
    for cell, value in zip(cells, (0.7, 0.9, 0.8), strict=True):
        metrics = {"best_val_auroc": value, "test_auroc": 0.1, "val_conv1/match_relevant": 0.25}
        outcome = Outcome("FINISHED", f"run-{value}", metrics)
        ledger.add(cell, outcome, 1)
        display.result(cell, outcome)
    display.summary(ledger, "parent", 0)
    printed = capsys.readouterr()
    assert "validation AUROC 0.7000  relevant match (validation) 0.2500" in printed.err
    assert "test AUROC" not in printed.err + printed.out
    last = printed.out.splitlines()[-1]
    assert last.startswith("best cell: ")
    assert "seed 1" in last
    assert last.endswith("run run-0.9")
