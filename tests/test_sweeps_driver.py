"""A sweep from end to end with real workers: what is done, used again, failed, pruned."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import TINY
from optuna.trial import TrialState
from sweep_processes import ROOT, SWEEP, cells_of, parents_of, write_plan

from mlproject.store import connect
from mlproject.store.liveness import METRIC_VERSION, counts_as_done
from mlproject.system.processes import this_process

pytestmark = pytest.mark.slow


def sweep(folder: Path, plan: dict[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    command = [*SWEEP, str(write_plan(folder, **plan)), "--workers", "2", *options]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)


def test_cells_fail_alone_with_their_reason_and_weights_are_used_again(workplace: Path) -> None:
    base = {**TINY, "attributions": "saliency", "attributed": 6}
    plan: dict[str, Any] = {
        "base": base,
        "cells": [{"seed": 1}, {"seed": 2, "learning_rate": 1e30}],
    }
    done = sweep(workplace, plan, "--retries", "1")
    store = connect()
    assert done.returncode == 1, done.stderr
    assert "the loss must stay finite" in done.stderr
    assert "1 of 2 done, 0 running, 1 failed" in done.stdout
    by_seed = {
        seed: sorted(run.info.status for run in cells_of(store) if run.data.params["seed"] == seed)
        for seed in ("1", "2")
    }
    assert by_seed == {"1": ["FINISHED"], "2": ["FAILED", "FAILED"]}
    [parent] = parents_of(store, "plan")
    assert parent.info.status == "FAILED"
    assert parent.data.metrics["cells/failed"] == 1
    assert "the loss must stay finite" in parent.data.tags["mlflow.note.content"]
    names = {item.path for item in store.client.list_artifacts(parent.info.run_id)}
    assert names == {"plan.yaml", "cells.csv"}

    [trained] = [run for run in cells_of(store) if run.data.params["seed"] == "1"]
    store.client.set_tag(trained.info.run_id, "mlproject.metric_version", "0")
    plan = {"base": {**base, "seed": 1}, "axes": {"threshold": [0.5, 0.6]}}
    assert sweep(workplace, plan).returncode == 0
    names = {item.path for item in store.client.list_artifacts(parent.info.run_id)}
    assert names == {"plan.yaml", "cells.csv", "atlas.html", "compare.html"}
    page = store.download(parent.info.run_id, "compare.html", workplace / "got").read_text()
    assert page[page.index('<section id="attributions">') :].count("<figure>") == 2
    new = [run for run in cells_of(store, weights_of="") if run.info.status == "FINISHED"]
    assert len(new) == 2
    [again] = [run for run in new if run.data.params["threshold"] == "0.6"]
    [renewed] = [run for run in new if run.data.params["threshold"] == "0.5"]
    assert renewed.data.tags["mlproject.metric_version"] == METRIC_VERSION
    assert [run.info.run_id for run in cells_of(store) if counts_as_done(store, run)] == [
        run.info.run_id for run in new
    ]
    assert again.data.params["threshold"] == "0.6"
    assert again.data.metrics["test_auroc"] == pytest.approx(trained.data.metrics["test_auroc"])
    points = store.client.get_metric_history(again.info.run_id, "val_loss")
    assert sorted(point.step for point in points) == [1, 2]
    assert [run.info.run_id for run in parents_of(store, "plan")] == [parent.info.run_id]
    assert not list((workplace / "runs").glob("reuse-*"))


def test_seeds_trained_together_are_runs_equal_to_single_ones_on_a_processor(
    workplace: Path,
) -> None:
    plan: dict[str, Any] = {"base": TINY, "axes": {"seed": [0, 1, 2]}}
    done = sweep(workplace, plan, "--together", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "3 of 3 done" in done.stdout
    store = connect()
    runs = {run.data.params["seed"]: run for run in cells_of(store)}
    assert [run.info.status for run in runs.values()] == ["FINISHED"] * 3
    assert not [*(workplace / "runs" / "together").iterdir()]

    options = [text for name, value in TINY.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, str(ROOT / "src"), "train", *options, "--seed", "2"]
    subprocess.run([*command, "--threads", "1", "--quiet"], check=True, cwd=workplace)
    [single] = [run for run in cells_of(store) if run.info.run_id not in {
        one.info.run_id for one in runs.values()
    }]  # fmt: skip
    wanted, found = single.data.metrics, runs["2"].data.metrics
    names = {name for name in wanted if not name.startswith(("time/", "system/"))}
    assert {name: found[name] for name in names} == {name: wanted[name] for name in names}
    for name in ("train_loss", "val_loss"):
        pair = [
            [(point.step, point.value) for point in store.client.get_metric_history(run, name)]
            for run in (runs["2"].info.run_id, single.info.run_id)
        ]
        assert pair[0] == pair[1]
        assert len(pair[0]) == TINY["epochs"]


def test_a_search_has_no_seeds_to_train_together(workplace: Path) -> None:
    plan = {"base": TINY, "search": {"space": {"pool1": [1, 2]}, "trials": 2}}
    done = sweep(workplace, plan, "--together")
    assert done.returncode == 2
    assert "`--together` trains the seeds of a grid: plan plan is a search" in done.stderr


def test_a_second_driver_is_refused_at_once(workplace: Path) -> None:
    (workplace / "runs").mkdir()
    (workplace / "runs" / "plan.lock").write_text(str(this_process()))
    done = sweep(workplace, {"base": TINY})
    assert done.returncode == 2
    assert done.stderr.startswith("error: one driver a plan: process ")
    assert len(done.stderr.splitlines()) == 1


def test_a_trial_that_learns_nothing_is_pruned_in_the_store_and_in_the_study(
    workplace: Path,
) -> None:
    useless = 1e-9
    search = {
        "space": {"learning_rate": [0.01, 0.011, 0.012, 0.013, 0.014, useless]},
        "objectives": {"val_cross_entropy": "minimize"},
        "pruner": "median",
        "warmup": 1,
        "sampler": "grid",
        "trials": 6,
        "seed": 19,
        "storage": "sqlite:///study.db",
    }
    base = {**TINY, "epochs": 12, "patience": 0, "l2": 0.0, "filters1": 4}
    done = sweep(workplace, {"base": base, "search": search})
    assert done.returncode == 0, done.stderr
    store = connect()
    found = {int(run.data.tags["mlproject.trial"]): run for run in cells_of(store)}
    assert set(found) == set(range(6))
    pruned = cells_of(store, trial_state="PRUNED")
    assert useless in [float(run.data.params["learning_rate"]) for run in pruned]
    assert all(run.info.status == "KILLED" for run in pruned)
    assert sum(run.info.status == "FINISHED" for run in found.values()) == 6 - len(pruned)
    assert all("the pruner" in run.data.tags["mlproject.failure"] for run in pruned)
    study = optuna.load_study(study_name="plan", storage="sqlite:///study.db")
    states = {trial.number: trial.state for trial in study.trials}
    assert {number for number, state in states.items() if state == TrialState.PRUNED} == {
        int(run.data.tags["mlproject.trial"]) for run in pruned
    }
    assert all(state.is_finished() for state in states.values())
    for run in pruned:
        seen = study.trials[int(run.data.tags["mlproject.trial"])].intermediate_values
        assert 2 <= max(seen) < 12


def test_mlflow_run_sweeps_from_a_bare_checkout(workplace: Path) -> None:
    plan = write_plan(workplace, "bare", base=TINY, axes={"seed": [0, 1]})
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{workplace}/mlflow.db",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    subprocess.run(["git", "clone", "-q", str(ROOT), "checkout"], check=True, cwd=workplace)
    command = [sys.executable, "-m", "mlflow", "run", "checkout", "--env-manager", "local"]
    for _ in range(2):
        done = subprocess.run(
            [*command, "-e", "sweep", "-P", f"plan={plan}", "-P", "workers=2"],
            check=False,
            capture_output=True,
            text=True,
            cwd=workplace,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    store = connect()
    assert [run.info.status for run in cells_of(store)] == ["FINISHED"] * 2
    parents = parents_of(store, "bare")
    assert [run.info.status for run in parents] == ["FINISHED"] * 2
    [second] = [run for run in parents if "mlproject.went_on_with" in run.data.tags]
    [first] = [run for run in parents if run is not second]
    assert second.data.tags["mlproject.went_on_with"] == first.info.run_id
    assert {run.data.tags["mlflow.parentRunId"] for run in cells_of(store)} == {first.info.run_id}
