"""Which cells are done, interrupted or worked on, where the store has not heard of the end."""

import getpass
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PATIENCE
from sweep_processes import wait_for

from mlproject.store import Store, Tracker, connect
from mlproject.store.journal import Journal
from mlproject.store.liveness import METRIC_VERSION, find_runs, last_heartbeat
from mlproject.sweeps import run_state
from mlproject.sweeps.earlier_runs import find_rival, find_start
from mlproject.sweeps.plan import Plan
from mlproject.sweeps.rival_watch import RivalWatch
from mlproject.sweeps.run_state import finished_runs
from mlproject.sweeps.sweep_run import SweepRun
from mlproject.sweeps.task import CellTask, Outcome
from mlproject.system.errors import UserError
from mlproject.system.processes import this_process

SPEC, TOKEN = "a" * 64, "earlier"


@pytest.fixture
def store(workplace: Path) -> Store:
    return connect()


def start(store: Store, **tags: str) -> Tracker:
    """Start a run of the cell, as a worker does."""
    given = {
        "mlproject.spec_sha256": SPEC,
        "mlproject.train_sha256": "b" * 64,
        "mlproject.metric_version": METRIC_VERSION,
        "mlproject.task": TOKEN,
        "mlproject.backend": f"{os.environ['KERAS_BACKEND']} 1",
    }
    given |= {f"mlproject.{name}": value for name, value in tags.items()}
    return store.start("cell", given, Path("runs"))


def task(ended: tuple[str, ...] = (), token: str = "now") -> CellTask:
    return CellTask(
        token, "sweep", "cell", {}, SPEC, "b" * 64, "c" * 64, str(Path.cwd()), "", "0", "", {},
        None, 1, False, ended,
    )  # fmt: skip


def cut_off(tracker: Tracker, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """Let a run end while the store does not answer: its record alone knows."""

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no answer")

    tracker.flush()
    with monkeypatch.context() as patch:
        for name in ("set_terminated", "log_batch", "set_tag", "log_artifact"):
            patch.setattr(tracker.store.client, name, fail)
        tracker.metrics({"test_auroc": 0.9, "best_val_auroc": 0.8})
        assert not tracker.finish(status, None if status == "FINISHED" else "by a test")


def status_of(store: Store, tracker: Tracker) -> str:
    return str(store.run(tracker.run_id).info.status)


def test_a_cell_is_done_when_its_local_record_says_so_whatever_the_store_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = start(store)
    cut_off(tracker, monkeypatch, "FINISHED")
    for status in ("RUNNING", "KILLED"):
        if status == "KILLED":  # as an earlier version, or a driver elsewhere, would mark it
            store.client.set_terminated(tracker.run_id, "KILLED")
        assert status_of(store, tracker) == status
        outcome = find_start(store, task())
        assert isinstance(outcome, Outcome)
        assert (outcome.status, outcome.run_id) == ("FINISHED", tracker.run_id)
        assert outcome.metrics == {"test_auroc": 0.9, "best_val_auroc": 0.8}
        assert outcome.undelivered
        assert set(finished_runs(store, "0", Path("runs"))) == {SPEC}
        assert set(finished_runs(store, "0", Path("elsewhere"))) == set()
    other = start(store)
    assert find_rival(store, task(), other.run_id) == tracker.run_id


def test_a_run_of_another_version_of_the_metrics_is_not_done_by_its_record(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = start(store, metric_version="0")
    cut_off(tracker, monkeypatch, "FINISHED")
    assert finished_runs(store, "0", Path("runs")) == {}


def test_a_live_process_that_has_gone_on_to_another_cell_does_not_work_on_the_old_run(
    store: Store,
) -> None:
    never_recorded = start(store)
    for path in Path("runs").glob(f"{never_recorded.run_id}/*"):
        if path.is_file():
            path.unlink()
    (Path("runs") / never_recorded.run_id / "artifacts").rmdir()
    assert find_start(store, task()) is None, "this process does nothing for the token of that run"
    assert status_of(store, never_recorded) == "KILLED"


def test_a_run_is_worked_on_by_who_says_so_and_not_by_attempts_that_the_driver_saw_end(
    store: Store,
) -> None:
    live = start(store)
    run_state.begin(TOKEN)
    try:
        outcome = find_start(store, task())
        assert isinstance(outcome, Outcome)
        assert (outcome.status, outcome.run_id) == ("ELSEWHERE", live.run_id)
        assert status_of(store, live) == "RUNNING"
        assert find_start(store, task(ended=(TOKEN,))) is None
        assert status_of(store, live) == "KILLED"
    finally:
        run_state.end(TOKEN)


def test_another_process_of_this_machine_is_believed_while_its_record_is_live(
    store: Store,
) -> None:
    tracker = start(store)
    tracker.flush()
    other = str(this_process()._replace(pid=os.getppid(), started=parent_started()))
    store.client.set_tag(tracker.run_id, "mlproject.process", other)
    tracker.journal.own(other)
    run = store.run(tracker.run_id)
    root = Path("runs")
    assert run_state.is_worked_on(run, root)
    tracker.journal.disown()
    assert not run_state.is_worked_on(run, root)
    assert run_state.is_worked_on(run, Path("elsewhere")), "it has told something just now"
    store.client.set_tag(tracker.run_id, "mlproject.heartbeat", f"{time.time() - 3600:.0f}")
    silent = store.run(tracker.run_id)
    assert not run_state.is_worked_on(silent, Path("elsewhere"))
    store.client.set_tag(tracker.run_id, "mlproject.heartbeat", "nonsense")
    assert run_state.is_worked_on(store.run(tracker.run_id), Path("elsewhere"))


@pytest.mark.parametrize("heartbeat", ["inf", "1e999", "nan", "-5", "99999999999"])
def test_a_heartbeat_that_cannot_be_keeps_no_run_alive(heartbeat: str) -> None:
    def run(text: str) -> SimpleNamespace:
        tags = {"mlproject.heartbeat": text}
        return SimpleNamespace(
            info=SimpleNamespace(start_time=7000), data=SimpleNamespace(tags=tags)
        )

    assert last_heartbeat(run(heartbeat)) == 7.0
    assert last_heartbeat(run("1234.5")) == 1234.5


def parent_started() -> float:
    import psutil

    return psutil.Process(os.getppid()).create_time()


def test_a_worker_delivers_the_ends_of_its_earlier_runs_before_it_begins_a_cell(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, torn = start(store), start(store)
    for tracker in (ended, torn):
        run_state.note_started(tracker.run_id)
    cut_off(ended, monkeypatch, "FINISHED")
    assert torn.journal.status is None, "as when the disk was full"
    run_state.deliver_ends(store, Path("runs"))
    assert status_of(store, ended) == "FINISHED"
    assert store.run(ended.run_id).data.metrics["test_auroc"] == 0.9
    assert status_of(store, torn) == "KILLED"
    assert Journal(torn.journal.folder).status == "KILLED"


def test_a_sweep_does_not_end_its_own_cells_that_have_finished_here(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = SweepRun(store, Plan(name="plan"), Path.cwd(), None)
    done, lost = (
        start(store, parent=parent.run_id),
        start(store, parent=parent.run_id, task="another"),
    )
    for tracker in (done, lost):
        store.client.set_tag(tracker.run_id, "mlflow.parentRunId", parent.run_id)
    cut_off(done, monkeypatch, "FINISHED")
    parent.end_lost("by a test", ended={"another"})
    assert status_of(store, done) == "FINISHED"
    assert status_of(store, lost) == "KILLED"


def test_a_run_with_a_tag_that_cannot_be_read_is_named_and_passed_over(store: Store) -> None:
    broken = start(store, spec="{no json")
    broken.artifact("state/state.h5", lambda path: path.write_bytes(b"no state"))
    broken.finish("KILLED", "by a test")
    odd = start(store, spec="[1, 2]", metric_version="²", heartbeat="x")
    odd.finish("FAILED", "by a test")
    told: list[str] = []
    assert find_start(store, task(), told.append) is None
    assert len(told) == 2
    assert {broken.run_id in text or odd.run_id in text for text in told} == {True}
    assert finished_runs(store, "0", Path("runs")) == {}


def test_a_sweep_that_is_resumed_to_its_end_does_not_keep_why_an_earlier_part_ended(
    store: Store,
) -> None:
    plan = Plan(name="plan")
    SweepRun(store, plan, Path.cwd(), None).finish("KILLED", "interrupted by SIGINT")
    [parent] = find_runs(store, "0", sweep="plan")
    assert parent.data.tags["mlproject.failure"] == "interrupted by SIGINT"
    again = SweepRun(store, plan, Path.cwd(), None)
    assert again.run_id == parent.info.run_id
    assert "mlproject.failure" not in store.run(again.run_id).data.tags
    again.finish("FINISHED")
    [parent] = find_runs(store, "0", sweep="plan")
    assert parent.info.status == "FINISHED"
    assert "mlproject.failure" not in parent.data.tags


def test_who_goes_on_with_the_sweep_of_another_folder_is_told_whose_it_is(
    store: Store, tmp_path: Path
) -> None:
    plan, other = Plan(name="plan"), tmp_path / "of_another_user"
    begun = SweepRun(store, plan, other, None)
    assert begun.note == ""
    assert begun.tracker.flush()
    mine = SweepRun(store, plan, Path.cwd(), None)
    assert mine.run_id == begun.run_id
    assert f":{other} is at work on it" in mine.note
    begun.finish("KILLED")
    mine.finish("KILLED")
    assert SweepRun(store, plan, Path.cwd(), None).note == ""
    assert f":{Path.cwd()} worked on it last" in SweepRun(store, plan, other, None).note
    assert store.run(mine.run_id).data.tags["mlflow.user"] == getpass.getuser()


def test_a_training_does_not_wait_for_a_store_that_never_answers_about_rivals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    answer = threading.Event()

    def silent() -> str:
        asked.append("rival")
        answer.wait(PATIENCE)
        return "an older run"

    def broken() -> str:
        raise OSError("the store is away")

    monkeypatch.setattr("mlproject.sweeps.rival_watch.WAIT_SECONDS", 0.01)
    watch = RivalWatch(silent)
    assert [watch.look() for _ in range(100)] == [None] * 100
    assert asked == ["rival"]
    answer.set()
    assert wait_for(watch.look) == "an older run"
    assert RivalWatch(broken).look() is None


def test_an_outcome_of_a_run_that_the_store_has_whole_lacks_nothing(store: Store) -> None:
    tracker = start(store)
    tracker.metrics({"test_auroc": 0.5})
    tracker.finish("FINISHED")
    assert find_start(store, task()) == Outcome("FINISHED", tracker.run_id, {"test_auroc": 0.5})


def test_a_cell_is_not_run_on_other_data_than_it_was_planned_for(workplace: Path) -> None:
    from mlproject.architectures import make_spec
    from mlproject.run.context import Settings
    from mlproject.run.run import run

    spec = make_spec({"sequences": 50, "length": 150})
    with pytest.raises(UserError, match="`dataset` must stay as it was when the run was planned"):
        run(spec, Settings(home=workplace, dataset_sha256="c" * 64))
    assert not find_runs(connect(), "0", spec_sha256="")
    assert not list((workplace / "runs").glob("*"))
