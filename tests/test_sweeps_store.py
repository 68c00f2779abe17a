"""Many processes on one tracking store, and a store that goes away in the middle."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import PATIENCE, TINY
from fault_server import FaultRelay
from sweep_processes import SWEEP, cells_of, parents_of, wait_for, write_plan
from tracking_server import free_port, kill, serve

from mlproject.names import Artifact
from mlproject.store import Store, connect, delivery_thread, liveness, sync
from mlproject.store.journal import JOURNAL, OWNER
from mlproject.store.liveness import METRIC_VERSION, counts_as_done, end_dead, find_runs
from mlproject.sweeps.run_state import finished_runs
from mlproject.system.processes import Process, parse_process, this_process

EPOCHS, RUNS, PROCESSES = 20, 2, 8

WRITER = f"""
import sys
from pathlib import Path
from mlproject.store import connect
store = connect(sys.argv[1])
for number in range({RUNS}):
    tracker = store.start("writer", {{"mlproject.writer": sys.argv[2]}}, Path("runs"))
    tracker.params({{"number": number}})
    for epoch in range(1, {EPOCHS} + 1):
        tracker.metrics({{"loss": 1 / epoch, "auroc": 1 - 1 / epoch}}, epoch)
        tracker.flush()
    tracker.artifact("a.txt", lambda path: path.write_text("a"))
    tracker.finish("FINISHED")
"""


@pytest.fixture
def port() -> int:
    return free_port()


def write_from_many(folder: Path, uri: str) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, uri, str(number)], cwd=folder)
        for number in range(PROCESSES)
    ]
    assert [writer.wait(timeout=PATIENCE) for writer in writers] == [0] * PROCESSES
    sync(folder / "runs", connect(uri))
    assert_complete(connect(uri))


def assert_complete(store: Store) -> None:
    for number in range(PROCESSES):
        found = find_runs(store, "0", writer=str(number))
        assert sorted(run.data.params["number"] for run in found) == ["0", "1"]
        for run in found:
            assert run.info.status == "FINISHED"
            for name in ("loss", "auroc"):
                points = store.client.get_metric_history(run.info.run_id, name)
                assert sorted(point.step for point in points) == list(range(1, EPOCHS + 1))


@pytest.mark.slow
def test_eight_writers_on_one_sqlite_store_lose_nothing(workplace: Path) -> None:
    write_from_many(workplace, f"sqlite:///{workplace}/mlflow.db")


@pytest.mark.slow
def test_eight_writers_on_a_tracking_server_lose_nothing(workplace: Path, port: int) -> None:
    server = serve(workplace, port)
    try:
        write_from_many(workplace, f"http://127.0.0.1:{port}")
    finally:
        kill(server)


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_a_sweep_costs_nothing(workplace: Path, port: int) -> None:
    server = serve(workplace, port)
    uri = f"http://127.0.0.1:{port}"
    epochs = 150
    base = {**TINY, "epochs": epochs, "patience": 0}
    plan = write_plan(workplace, "away", base=base, axes={"seed": [0, 1]})
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    command = [*SWEEP, str(plan), "--workers", "2"]
    driver = subprocess.Popen(command, env=environment, cwd=workplace)
    try:
        store = connect(uri)
        until = time.monotonic() + PATIENCE
        while not any("val_loss" in run.data.metrics for run in cells_of(store)):
            assert time.monotonic() < until
            time.sleep(1)
        kill(server)
        time.sleep(5)
        server = serve(workplace, port)
        assert driver.wait(timeout=PATIENCE) == 0
        found = cells_of(store)
        assert [run.info.status for run in found] == ["FINISHED"] * 2
        for run in found:
            points = store.client.get_metric_history(run.info.run_id, "val_loss")
            assert sorted(point.step for point in points) == list(range(1, epochs + 1))
        assert [run.info.status for run in parents_of(store, "away")] == ["FINISHED"]
    finally:
        driver.kill()
        kill(server)


@pytest.mark.slow
def test_a_sweep_ends_though_the_store_refuses_while_a_cell_begins_and_again_while_it_ends(
    workplace: Path, port: int
) -> None:
    server = serve(workplace, port)
    relay = FaultRelay(port)
    base = {**TINY, "epochs": 3, "patience": 0}
    plan = write_plan(workplace, "refused", base=base, axes={"seed": [0, 1]})
    environment = {**os.environ, "MLFLOW_TRACKING_URI": relay.uri}
    command = [*SWEEP, str(plan), "--workers", "1"]
    driver = subprocess.Popen(command, env=environment, cwd=workplace)
    direct = connect(f"http://127.0.0.1:{port}")

    def refuse_after(happened: Callable[[], bool], seconds: float) -> None:
        while not happened():
            assert driver.poll() is None
            time.sleep(0.05)
        relay.fault = "broken"
        time.sleep(seconds)
        relay.fault = None

    try:
        refuse_after(lambda: bool(cells_of(direct)), 45)
        refuse_after(lambda: len(cells_of(direct)) == 2, 45)
        assert driver.wait() == 0
        found = cells_of(direct)
        assert sorted(run.info.status for run in found if run.info.status != "KILLED") == [
            "FINISHED",
            "FINISHED",
        ]
        assert len({run.data.tags["mlproject.spec_sha256"] for run in found}) == 2
    finally:
        driver.kill()
        relay.close()
        kill(server)


def test_a_process_is_known_from_a_later_one_of_its_id() -> None:
    mine = this_process()
    assert parse_process(str(mine)) == Process(mine.host, mine.pid, round(mine.started, 2))
    assert not mine.gone
    assert Process(mine.host, mine.pid, mine.started - 100).gone
    assert not Process("elsewhere", 1, 0.0).gone
    assert parse_process("nonsense") is None


@pytest.mark.skipif(sys.platform != "linux", reason="times since the start of the machine")
def test_a_clock_that_is_set_makes_no_process_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = this_process()
    earlier = mine._replace(started=psutil.Process().create_time())  # as older versions wrote it
    assert not earlier.gone
    boot = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 3600.0)
    assert this_process() == mine
    assert not mine.gone


def test_a_run_with_long_epochs_lives_for_other_machines_that_see_its_folder(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_thread, "HEARTBEAT_SECONDS", 0.5)
    tracker = connect().start("one", {}, workplace / "runs")
    tracker.flush()
    tracker.journal.own("elsewhere/1/1.0")
    old = time.time() - 3600
    for name in (JOURNAL, OWNER):
        os.utime(tracker.journal.folder / name, (old, old))
    wait_for(tracker.journal.is_live, 600.0)
    tracker.finish("KILLED")
    assert not tracker.journal.is_live()


def test_a_running_run_is_dead_when_its_process_is_gone_or_silent_elsewhere(
    workplace: Path,
) -> None:
    store = connect()
    tracker = store.start("one", {"mlproject.kind": "x"}, workplace / "runs")

    tracker.flush()

    def found() -> Any:
        return store.run(tracker.run_id)

    def is_alive(run: Any) -> bool:
        return liveness.is_alive(run, workplace / "elsewhere")  # without its local record

    assert is_alive(found())
    client = store.client
    client.set_tag(tracker.run_id, "mlproject.process", "elsewhere/1/0.0")
    assert is_alive(found())
    client.set_tag(tracker.run_id, "mlproject.heartbeat", f"{time.time() - 3600:.0f}")
    assert not is_alive(found())
    mine = this_process()
    client.set_tag(tracker.run_id, "mlproject.process", str(mine._replace(started=1.0)))
    assert not is_alive(found())
    end_dead(store, found(), "its process was lost")
    assert found().info.status == "KILLED"
    assert found().data.tags["mlproject.failure"] == "its process was lost"


def test_sync_leaves_a_live_run_alone_and_removes_what_is_needed_no_more(workplace: Path) -> None:
    store = connect()
    root = workplace / "runs"
    live = store.start("live", {}, root)
    live.metrics({"loss": 1.0}, 1)
    killed = store.start("killed", {}, root)
    killed.metrics({"loss": 1.0}, 1)
    killed.artifact(Artifact.STATE, lambda path: path.write_bytes(b"something to resume from"))
    killed.finish("KILLED", "by a test")
    assert sync(root, store).runs == []
    assert store.run(live.run_id).info.status == "RUNNING"
    assert killed.journal.folder.exists()
    store.client.set_tag(killed.run_id, "mlproject.resumed_by", live.run_id)
    sync(root, store)
    assert not killed.journal.folder.exists()
    assert live.journal.folder.exists()


def test_a_run_is_created_once_though_the_answer_was_lost(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    store = connect()
    create, answers = store.client.create_run, iter([False, True])

    def losing(*arguments: Any, **options: Any) -> Any:
        made = create(*arguments, **options)
        if not next(answers):
            raise MlflowException("the connection broke")
        return made

    monkeypatch.setattr(store.client, "create_run", losing)
    tracker = store.start("once", {"mlproject.kind": "once"}, workplace / "runs")
    assert [run.info.run_id for run in find_runs(store, "0", kind="once")] == [tracker.run_id]


def test_a_run_is_the_result_of_its_spec_with_metrics_of_this_version_or_if_it_cannot_have_them(
    workplace: Path,
) -> None:
    store = connect()
    current, older = METRIC_VERSION, str(int(METRIC_VERSION) - 1)
    given: dict[str, tuple[str | None, str, bool, bool]] = {
        "of this version": (current, "FINISHED", False, False),
        "of a later one": (str(int(current) + 1), "FINISHED", False, False),
        "killed": (current, "KILLED", False, False),
        "older": (older, "FINISHED", False, False),
        "of none": (None, "FINISHED", False, False),
        "older, imported with weights": (older, "FINISHED", True, True),
        "older, imported without": (older, "FINISHED", True, False),
    }
    for name, (version, status, imported, weights) in given.items():
        tags = {"mlproject.spec_sha256": name}
        tags |= {} if version is None else {"mlproject.metric_version": version}
        tags |= {"mlproject.imported": "its id elsewhere"} if imported else {}
        tracker = store.start(name, tags, workplace / "runs")
        if weights:
            tracker.artifact("weights/best.weights.h5", lambda path: path.write_bytes(b"w"))
        tracker.finish(status, "by a test" if status == "KILLED" else None)
    done = {
        run.info.run_name
        for run in find_runs(store, "0", spec_sha256="")
        if counts_as_done(store, run)
    }
    assert done == {"of this version", "of a later one", "older, imported without"}
    assert set(finished_runs(store, "0", workplace / "runs")) == done
