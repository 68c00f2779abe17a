"""The scan of histories finds overwritten weights, and nothing else."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas
from recorded import start

from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.report.sections.histories import TIMES, jumps, kernel_norms, scan
from mlproject.store import connect

RUNS = Path(__file__).parents[1] / "docs" / "reproduction"


def smooth(epochs: int = 40) -> np.ndarray:
    """Return norms as in a training: fast at first, then slower."""
    return 37.0 - 1.5 * np.exp(-np.arange(epochs) / 6.0)


def test_a_training_has_no_jump_and_overwritten_weights_are_one() -> None:
    norms = smooth()
    assert (jumps(norms) <= TIMES).all()
    norms[20:] = np.sqrt(norms[20:] ** 2 + 155.0)  # the sum of squares of the spoilt run of 2026
    assert np.flatnonzero(jumps(norms) > TIMES).tolist() == [19]


def test_one_overwritten_weight_is_found_where_the_norm_hardly_moves() -> None:
    norms = smooth()
    change = 0.15 - 0.003 * np.arange(40)
    history = pandas.DataFrame({"weights/squares/conv1": norms**2, "weights/change/conv1": change})
    found = scan(history, {})
    assert found is not None
    assert (found <= TIMES).all()
    history.loc[20, "weights/change/conv1"] = 2.0
    history.loc[20:, "weights/squares/conv1"] += 4.0
    found = scan(history, {})
    assert found is not None
    assert (np.flatnonzero(found > TIMES) + 1).tolist() == [21]
    assert (jumps(np.sqrt(history["weights/squares/conv1"].to_numpy())) <= TIMES).all()


def test_norms_come_from_the_weights_or_from_the_losses() -> None:
    squares = smooth() ** 2
    recorded = pandas.DataFrame(
        {"weights/squares/conv1": 0.25 * squares, "weights/squares/dense": 0.75 * squares}
    )
    losses = pandas.DataFrame({"val_cross_entropy": 0.1, "val_loss": 0.1 + 1e-6 * squares})
    for history in (recorded, losses):
        found = kernel_norms(history, {"l2": 1e-6})
        assert found is not None
        np.testing.assert_allclose(found, smooth(), rtol=1e-6)
    assert kernel_norms(losses, {"l2": 0.0}) is None
    assert kernel_norms(losses, {"l2": 1e-6, "output_l2": 0.0}) is None


def test_the_report_names_runs_and_epochs(workplace: Path) -> None:
    for seed, fault in enumerate((0.0, 155.0)):
        norms = smooth()
        norms[20:] = np.sqrt(norms[20:] ** 2 + fault)
        tracker = start({"seed": seed})
        table = pandas.DataFrame({"epoch": range(1, 41), "weights/squares/conv1": norms**2})
        tracker.artifact("history.csv", partial(table.to_csv, index=False))
        tracker.metrics({"test_auroc": 0.9})
        tracker.finish("FINISHED")
    found = build(ReportRequest(figures=False), connect()).table("histories")
    assert found is not None
    (row,) = found.rows
    assert (row["n"], row["epochs"], row["count"]) == (2, 80, 1)
    assert row["suspicious"] == "CNN-25 · seed 1: epoch 21"
    assert found.notes[0] == "Of 2 histories 1 is suspicious."


def test_no_published_history_is_suspicious() -> None:
    paths = sorted(RUNS.glob("*/runs/*/history.csv"))
    assert paths
    for path in paths:
        found = scan(pandas.read_csv(path), {"l2": 1e-6})
        assert found is not None
        assert (found <= TIMES).all(), path


def test_the_history_that_a_gpu_spoilt_is_found() -> None:
    path = RUNS / "koo_eddy_2019" / "spoilt" / "CNN-25_paper_seed0_history.csv"
    found = scan(pandas.read_csv(path), {"l2": 1e-6})
    assert found is not None
    assert (np.flatnonzero(found > TIMES) + 1).tolist() == [5, 11]
