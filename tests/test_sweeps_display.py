"""The live table of a sweep, on terminals narrow and wide."""

import io

import pytest
from rich.console import Console

from mlproject.sweeps.cells import Cell, DataSets, make_cell
from mlproject.sweeps.display import LiveDisplay
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
