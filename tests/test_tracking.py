"""Runs told to a local journal first: nothing is lost or told twice when the store goes away."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import pytest
from fault_server import FaultRelay
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    ENDPOINT_NOT_FOUND,
    INTERNAL_ERROR,
    PERMISSION_DENIED,
    TEMPORARILY_UNAVAILABLE,
    UNAUTHENTICATED,
)
from recorded import offer_run
from requests import HTTPError, Response
from sqlalchemy import Engine
from sqlalchemy.event import listen, remove
from sqlalchemy.exc import PendingRollbackError, ProgrammingError
from tracking_server import free_port, kill, serve

from mlproject.names import Artifact
from mlproject.store import (
    Store,
    Tracker,
    connect,
    environment_name,
    first_line,
    sync,
)
from mlproject.store.journal import Journal
from mlproject.store.liveness import end_dead, is_alive
from mlproject.sweeps.worker import _retry
from mlproject.system.errors import UserError
from mlproject.system.processes import this_process


def test_a_leftover_file_store_gets_one_line_with_the_way_out(workplace: Path) -> None:
    (workplace / "mlruns" / "0").mkdir(parents=True)
    (workplace / "mlruns" / "0" / "meta.yaml").write_text("experiment_id: 0\n")
    with pytest.raises(UserError, match=r"mlflow migrate-filestore --source .*mlruns"):
        connect()
    (workplace / "mlruns" / "0" / "meta.yaml").unlink()
    connect()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("sqlite:////proc/none/mlflow.db", "must be readable and writable"),
        ("file:///tmp/mlruns", "no longer reads file stores"),
        ("some/folder", "no longer reads file stores"),
        ("http://127.0.0.1:9", "must be readable and writable"),
        ("http://[host", "must be the address of a server or a database"),
        ("localhost:5000", "must be the address of a server or a database"),
        ("mlflow.db", "must be the address of a server or a database"),
        ("postgresql://ada:x@host:port/runs", "must be readable and writable"),
        ("sqlite://", "must outlive the process"),
        ("databricks", "credentials of Databricks"),
        ("databricks://profile", "credentials of Databricks"),
        ("uc:models", "Unity Catalog"),
        ("arn:aws:sagemaker:x", "install the package that reads such addresses"),
    ],
)
def test_a_store_that_cannot_be_used_gets_one_line(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, uri: str, message: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in [name for name in os.environ if name.startswith("DATABRICKS")]:
        monkeypatch.delenv(name)
    with pytest.raises(UserError, match=message) as caught:
        connect(uri)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["my%20runs", "runs?"])
def test_a_folder_that_mlflow_reads_as_another_gets_one_line_and_stays_empty(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = workplace / "outer" / name
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="reads as another path"):
        connect("sqlite:///" + quote(str(folder / "mlflow.db")))
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match="reads as another path"):
        connect()
    assert [*(workplace / "outer").iterdir()] == [folder]
    assert not [*folder.iterdir()]


@pytest.mark.parametrize(
    "name",
    [
        "MLFLOW_HTTP_REQUEST_TIMEOUT",
        "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL",
        "MLFLOW_TRACKING_INSECURE_TLS",
    ],
)
def test_a_variable_of_mlflow_that_it_cannot_read_gets_one_line(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "abc")
    with pytest.raises(UserError, match=f"`{name}` must have a value that MLflow can read"):
        connect()


def test_a_web_page_in_place_of_an_answer_is_called_so(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>Log in</title>")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(UserError, match="a web page answers there") as caught:
            connect(f"http://127.0.0.1:{server.server_port}/#/experiments/1")
        server.shutdown()
    assert "\n" not in str(caught.value)


def test_a_delivery_repeated_after_a_crash_changes_nothing(workplace: Path) -> None:
    store = connect()
    tracker = store.start("twice", {"mlproject.arch": "x"}, workplace / "runs")
    for step in (1, 2, 3):
        tracker.metrics({"loss": 1.0 / step}, step)
    tracker.artifact("a/note.txt", lambda path: path.write_text("hello"))
    assert tracker.flush()
    (workplace / "runs" / tracker.run_id / "delivered").write_text("0")
    tracker.journal.disown()
    assert sync(workplace / "runs", store).failed == {}
    history = store.client.get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_a_late_delivery_of_the_name_does_not_revive_a_run_that_has_ended(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    tracker = store.start("mine", {}, workplace / "runs")
    sent: list[str] = []
    real = tracker.store.client.log_batch

    def ending(run_id: str, **values: Any) -> None:
        sent.extend(tag.key for tag in values.get("tags", ()))
        store.client.set_terminated(run_id, "KILLED")  # another process ends it meanwhile
        real(run_id, **values)

    monkeypatch.setattr(tracker.store.client, "log_batch", ending)
    tracker.tags({"a": "b"})
    tracker.flush()
    run = store.run(tracker.run_id)
    assert "a" in sent
    assert "mlflow.runName" not in sent
    assert (run.info.status, run.info.run_name) == ("KILLED", "mine")


def test_values_that_are_no_numbers_are_left_out(workplace: Path) -> None:
    tracker = connect().start("nan", {}, workplace / "runs")
    tracker.metrics({"fine": 1.0, "bad": float("nan"), "worse": float("inf")})
    tracker.finish("FINISHED")
    assert connect().run(tracker.run_id).data.metrics == {"fine": 1.0}


def test_parameters_that_mlflow_run_has_logged_are_left_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    run_id = offer_run(store, monkeypatch)
    store.client.log_param(run_id, "arch", "'CNN-25'")
    tracker = store.start("adopted", {}, workplace / "runs")
    tracker.params({"arch": "CNN-25", "pool1": 25})
    tracker.finish("FINISHED")
    run = store.run(run_id)
    assert tracker.run_id == run_id
    assert run.data.params == {"arch": "'CNN-25'", "pool1": "25"}
    assert run.info.run_name == "adopted"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", "RUNNING"])
def test_a_left_over_run_id_of_somebody_else_is_never_written_to(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    status: str,
) -> None:
    store = connect()
    theirs = store.client.create_run("0", tags={"mlflow.source.type": "LOCAL"}).info.run_id
    store.client.log_metric(theirs, "test_auroc", 0.9)
    store.client.update_run(theirs, status=status)
    before = store.run(theirs).to_dictionary()
    monkeypatch.setenv("MLFLOW_RUN_ID", theirs)
    tracker = store.start("ours", {}, workplace / "runs")
    tracker.finish("FINISHED")
    assert tracker.run_id != theirs
    assert store.run(theirs).to_dictionary() == before
    assert f"note: MLFLOW_RUN_ID={theirs} is not used" in capsys.readouterr().err


def test_a_run_of_mlflow_run_is_adopted_once(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    offered = offer_run(store, monkeypatch)
    first = store.start("first", {}, workplace / "runs")
    monkeypatch.setenv("MLFLOW_RUN_ID", offered)
    second = store.start("second", {}, workplace / "runs")
    assert first.run_id == offered != second.run_id
    first.finish("FINISHED")
    second.finish("FINISHED")


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        ("mlflow.source.type", "LOCAL"),
        ("mlflow.source.name", "file:///somewhere/else"),
        ("mlproject.process", "other/1/1.00"),
    ],
)
def test_a_run_that_mlflow_run_has_not_made_for_us_is_left_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, tag: str, value: str
) -> None:
    store = connect()
    offered = offer_run(store, monkeypatch)
    store.client.set_tag(offered, tag, value)
    store.fail(offered, "some mistake")
    assert store.take_offered_run() is None
    assert store.run(offered).info.status == "RUNNING"
    assert "mlproject.failure" not in store.run(offered).data.tags


def test_an_experiment_that_mlflow_run_was_not_told_gets_one_line(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    offer_run(store, monkeypatch)
    with pytest.raises(UserError, match="--experiment-name Mine"):
        store.start("x", {}, workplace / "runs", "Mine")
    tracker = store.start("x", {}, workplace / "runs", "Default")
    assert tracker.finish("FINISHED")


@pytest.mark.parametrize("name", ["a\nb", " ", "x" * 501, "a\x1b[1m"])
def test_the_name_of_an_experiment_is_one_line(name: str, workplace: Path) -> None:
    store = connect()
    with pytest.raises(UserError, match="the name of an experiment must be one line of 1 to 500"):
        store.start("x", {}, workplace / "runs", name)
    assert [one.name for one in store.client.search_experiments()] == ["Default"]
    assert store.find_experiment("x" * 500) is None


def test_a_deleted_experiment_is_refused_at_once(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    store.client.delete_experiment("0")
    restore = "mlflow experiments restore --experiment-id 0"
    with pytest.raises(UserError, match=restore):
        store.start("x", {}, workplace / "runs")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")
    with pytest.raises(UserError, match=restore):
        store.experiment()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "77")
    with pytest.raises(UserError, match=r"`MLFLOW_EXPERIMENT_ID`.*got 77"):
        store.find_experiment()
    assert store.experiment("Another") != "0"


REFUSALS = [
    MlflowException("not yours", error_code=PERMISSION_DENIED),
    MlflowException("API request failed with error code 401 != 200", error_code=UNAUTHENTICATED),
    MlflowException("attempt to write a readonly database", error_code=TEMPORARILY_UNAVAILABLE),
    MlflowException("SSL: certificate verify failed", error_code=INTERNAL_ERROR),
    MlflowException("API request to endpoint /x failed with error code 405 != 200"),
    OSError(30, "Read-only file system"),
    ProgrammingError("INSERT", {}, Exception("permission denied for table runs")),
]


@pytest.mark.parametrize("error", REFUSALS, ids=str)
def test_what_no_retry_can_change_is_said_at_once(
    error: Exception, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        asked.append(arguments)
        raise error

    monkeypatch.setattr("mlproject.store.client.time.sleep", lambda _: None)
    monkeypatch.setattr("mlproject.sweeps.worker.time.sleep", lambda _: None)
    monkeypatch.setattr(store.client, "create_run", refuse)
    with pytest.raises(UserError, match="the tracking store must be readable and writable"):
        store.start("x", {}, workplace / "runs")
    assert len(asked) == 1
    with pytest.raises(type(error)):
        _retry(refuse, cast(Any, lambda: None))
    assert len(asked) == 2


def test_a_value_that_the_store_refuses_holds_nothing_back(workplace: Path) -> None:
    store = connect()
    tracker = store.start("refused", {}, workplace / "runs")
    name = "test_auroc/" + "x" * 250
    tracker.params({"kept": 1})
    tracker.metrics({"before": 1.0, name: 0.5, "beside": 2.0})
    tracker.params({"p" * 300: 1})
    tracker.metrics({"behind": 3.0})
    assert tracker.finish("FINISHED")
    run = store.run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"before": 1.0, "beside": 2.0, "behind": 3.0}
    assert run.data.params == {"kept": "1"}
    assert name in run.data.tags["mlproject.refused"]
    left = workplace / "runs" / tracker.run_id
    assert [path.name for path in left.iterdir()] == ["refused.jsonl"]


def test_a_file_name_that_is_no_text_holds_nothing_back(workplace: Path) -> None:
    store = connect()
    tracker = store.start("x", {"mlproject.place": "a\udce9"}, workplace / "runs")
    tracker.params({"dataset": "my\udce9.h5"})
    tracker.input("my", "0" * 64, "/home/\udce9/my.h5", "train", "{}")
    tracker.tags({"note": "a\0b"})
    tracker.journal.append("params", values={"older": "my\udce9.h5"})  # of an earlier version
    assert tracker.finish("FINISHED")
    run = store.run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"dataset": r"my\udce9.h5"}
    assert run.data.tags["mlproject.place"] == r"a\udce9"
    assert run.data.tags["note"] == r"a\x00b"
    assert "older" in run.data.tags["mlproject.refused"]


def test_a_data_set_that_another_worker_records_at_the_same_moment_is_not_lost(
    workplace: Path,
) -> None:
    """MLflow looks for the data set, finds none, and adds it after the other worker has."""
    store = connect()
    tracker = store.start("second", {}, workplace / "runs")
    statements: list[str] = []

    def other_worker(connection: Any, cursor: Any, statement: str, values: Any, *rest: Any) -> None:
        if statement.startswith("INSERT INTO datasets") and not statements:
            statements.append(statement)
            with sqlite3.connect(workplace / "mlflow.db") as other:
                other.execute(statement, ("f" * 32, *values[1:]))

    listen(Engine, "before_cursor_execute", other_worker)
    try:
        tracker.input("data", "d" * 36, "{}", "training", "{}")
        assert tracker.finish("FINISHED")
    finally:
        remove(Engine, "before_cursor_execute", other_worker)
    run = store.run(tracker.run_id)
    assert len(statements) == 1
    assert run.inputs is not None
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["data"]
    assert "mlproject.refused" not in run.data.tags


def test_a_run_deleted_in_the_store_is_named_and_the_others_are_delivered(
    workplace: Path,
) -> None:
    store = connect()
    deleted, damaged, well = (store.start(name, {}, workplace / "runs") for name in "abc")
    for tracker in (deleted, damaged, well):
        tracker.flush()
        tracker.metrics({"loss": 1.0})
        tracker.finish("KILLED")
        tracker.journal.mark_undelivered()
    store.client.delete_run(deleted.run_id)
    file = damaged.journal.folder / "journal.jsonl"
    file.write_bytes(b"\xff\x00{]\n" + file.read_bytes() + b'{"kind": "met')
    done = sync(workplace / "runs", store)
    assert list(done.failed) == [deleted.run_id]
    assert "mlflow runs restore" in done.failed[deleted.run_id]
    assert {damaged.run_id, well.run_id} <= set(done.runs)
    assert "damaged lines of its journal were skipped: 1" in done.notes[damaged.run_id]
    assert store.run(damaged.run_id).data.metrics == {"loss": 1.0}


def test_a_run_that_the_store_lacks_is_named(workplace: Path) -> None:
    journal = Journal(workplace / "runs" / ("0" * 32))
    journal.append("metrics", values={"loss": 1.0}, step=1, time=1)
    done = sync(workplace / "runs", connect())
    assert "has no such run" in done.failed["0" * 32]
    assert journal.entries()


def test_sync_ends_a_run_whose_process_is_gone(workplace: Path) -> None:
    store = connect()
    process = subprocess.run(
        [sys.executable, "-c", "from mlproject.system.processes import *; print(this_process())"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    tracker = store.start("lost", {}, workplace / "runs")
    tracker.flush()
    tracker.artifact(Artifact.STATE, lambda path: path.write_bytes(b"something to go on from"))
    tracker.journal.own(process)
    assert sync(workplace / "runs", store).runs == [tracker.run_id]
    run = store.run(tracker.run_id)
    assert run.info.status == "KILLED"
    assert run.data.tags["mlproject.failure"] == "its process was lost"
    assert tracker.journal.folder.exists()
    store.client.set_tag(tracker.run_id, "mlproject.resumed_by", "another")
    sync(workplace / "runs", store)
    assert not tracker.journal.folder.exists()


@pytest.mark.parametrize("recorded", [False, True])
def test_sync_removes_what_nothing_can_be_resumed_from(workplace: Path, recorded: bool) -> None:
    store = connect()
    killed, alive = (store.client.create_run("0").info.run_id for _ in range(2))
    for run_id in (killed, alive):
        journal = Journal(workplace / "runs" / run_id)
        journal.own(f"{this_process().host}/4194305/1.00")
        if recorded:
            journal.append("metrics", values={"loss": 0.5}, step=1, time=1)
    Journal(workplace / "runs" / alive).own(str(this_process()))
    fetched = Journal(workplace / "runs" / "reuse-0123")
    fetched.own(f"{this_process().host}/4194305/1.00")
    (fetched.folder / "runs").mkdir()
    store.client.set_terminated(killed, "KILLED")
    assert sync(workplace / "runs", store).failed == {}
    assert [path.name for path in (workplace / "runs").iterdir()] == [alive]
    assert ("loss" in store.run(killed).data.metrics) == recorded


def test_a_run_whose_end_only_the_journal_knows_is_ended_as_it_says(workplace: Path) -> None:
    store = connect()
    tracker = store.start("finished", {}, workplace / "runs")
    tracker.flush()
    tracker.journal.append("status", status="FINISHED", time=1)
    run = store.run(tracker.run_id)
    assert not is_alive(run, workplace / "runs")
    end_dead(store, run, "its process was lost", root=workplace / "runs")
    assert store.run(tracker.run_id).info.status == "FINISHED"


def test_a_run_goes_on_while_the_store_is_locked(workplace: Path) -> None:
    store = connect()
    tracker = store.start("locked", {}, workplace / "runs")
    assert tracker.flush()
    with closing(sqlite3.connect(workplace / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for step in range(1, 11):
            tracker.metrics({"loss": 1 / step}, step)
            tracker.beat()
        assert tracker.problem is None
        assert len(tracker.journal.pending()) == 10
        other.execute("ROLLBACK")
    assert tracker.finish("FINISHED")
    history = store.client.get_metric_history(tracker.run_id, "loss")
    assert [point.step for point in history] == list(range(1, 11))


def test_a_store_removed_in_the_middle_loses_nothing_that_is_here(workplace: Path) -> None:
    store = connect()
    tracker = store.start("removed", {}, workplace / "runs")
    tracker.artifact("note.txt", lambda path: path.write_text("hello"))
    assert tracker.flush()
    away = workplace / "elsewhere.db"
    (workplace / "mlflow.db").rename(away)
    tracker.metrics({"loss": 0.5}, 1)
    assert not tracker.finish("FINISHED")
    assert "was removed" in (tracker.problem or "")
    assert not (workplace / "mlflow.db").exists()
    assert (tracker.journal.artifacts / "note.txt").read_text() == "hello"
    away.rename(workplace / "mlflow.db")
    assert sync(workplace / "runs", connect()).runs == [tracker.run_id]
    assert connect().run(tracker.run_id).data.metrics == {"loss": 0.5}


def test_sync_ends_a_run_that_was_lost_before_it_recorded_anything(workplace: Path) -> None:
    store = connect()
    host = this_process().host
    lost, elsewhere, alive = (
        store.client.create_run("0", tags={"mlproject.process": process}).info.run_id
        for process in (f"{host}/4194305/1.00", "another/4194305/1.00", str(this_process()))
    )
    assert sync(Path("runs"), store).runs == [lost]
    assert store.run(lost).info.status == "KILLED"
    assert store.run(lost).data.tags["mlproject.failure"] == "its process was lost"
    assert {store.run(one).info.status for one in (elsewhere, alive)} == {"RUNNING"}


def test_a_run_is_made_anew_where_its_store_was_lost(workplace: Path, migrated_store: Path) -> None:
    tracker = connect().start("lost", {"mlproject.arch": "x"}, workplace / "runs", "Mine")
    tracker.artifact("note.txt", lambda path: path.write_text("hello"))
    tracker.metrics({"loss": 1.0}, 1)
    assert tracker.flush()
    shutil.copy(migrated_store, workplace / "new.db")
    (workplace / "new.db").replace(workplace / "mlflow.db")
    tracker.metrics({"loss": 0.5}, 2)
    assert not tracker.finish("FINISHED")
    store = connect()
    done = sync(workplace / "runs", store)
    assert done.failed == {}
    [run] = store.client.search_runs([store.experiment("Mine")])
    assert run.data.tags["mlproject.made_anew_of"] == tracker.run_id
    assert (run.info.run_name, run.data.tags["mlproject.arch"]) == ("lost", "x")
    history = store.client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == [1, 2]
    assert [item.path for item in store.client.list_artifacts(run.info.run_id)] == ["note.txt"]
    assert not list((workplace / "runs").iterdir())


def test_a_store_put_in_the_place_of_a_lost_one_is_another_even_with_the_same_inode(
    workplace: Path,
) -> None:
    tracker = connect().start("lost", {}, workplace / "runs")
    tracker.metrics({"loss": 1.0}, 1)
    tracker.finish("KILLED")
    tracker.journal.mark_undelivered()
    with closing(sqlite3.connect("mlflow.db")) as file, file:  # a new store, in the same file
        for (table,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            if "run" in table or table in ("metrics", "latest_metrics", "params", "tags"):
                file.execute(f"DELETE FROM {table}")
        file.execute("UPDATE experiments SET creation_time = creation_time + 1")
    store = connect()
    assert sync(workplace / "runs", store).failed == {}
    [run] = store.client.search_runs(["0"])
    assert run.data.tags["mlproject.made_anew_of"] == tracker.run_id


@pytest.mark.parametrize("replaced", [True, False])
def test_a_run_is_made_anew_where_a_server_got_another_store_and_not_where_it_was_deleted(
    workplace: Path, migrated_store: Path, replaced: bool
) -> None:
    server = "http://127.0.0.1:1"
    tracker = Store(server, connect().client).start("lost", {}, workplace / "runs")
    tracker.finish("KILLED")
    tracker.journal.mark_undelivered()
    shutil.copy(migrated_store, workplace / "other.db")
    with closing(sqlite3.connect("other.db")) as file, file:
        file.execute(f"UPDATE experiments SET creation_time = creation_time + {int(replaced)}")
    other = Store(server, connect(f"sqlite:///{workplace / 'other.db'}").client)
    failed = sync(workplace / "runs", other).failed
    found = other.client.search_runs(["0"])
    if replaced:
        assert failed == {}
        assert found[0].data.tags["mlproject.made_anew_of"] == tracker.run_id
    else:
        assert "it was deleted for good" in failed[tracker.run_id]
        assert not found


def test_runs_of_another_store_are_not_made_anew(workplace: Path, migrated_store: Path) -> None:
    tracker = connect().start("elsewhere", {}, workplace / "runs")
    tracker.finish("KILLED")
    tracker.journal.mark_undelivered()
    shutil.copy(migrated_store, workplace / "other.db")
    other = connect(f"sqlite:///{workplace / 'other.db'}")
    done = sync(workplace / "runs", other)
    assert "it was made in sqlite:///" in done.failed[tracker.run_id]
    assert not other.client.search_runs(["0"])


def test_artifacts_that_the_store_has_lost_are_sent_again_at_the_end(workplace: Path) -> None:
    store = connect()
    tracker = store.start("artifacts", {}, workplace / "runs")
    tracker.artifact("a/note.txt", lambda path: path.write_text("hello"))
    tracker.artifact("gone.txt", lambda path: path.write_text("gone"))
    tracker.remove("gone.txt")
    assert tracker.flush()
    shutil.rmtree(store.run(tracker.run_id).info.artifact_uri.removeprefix("file://"))
    assert tracker.finish("FINISHED")
    note = store.download(tracker.run_id, "a/note.txt", workplace / "copy")
    assert note.read_text() == "hello"
    assert not tracker.journal.folder.exists()


def test_an_artifact_that_arrived_in_part_is_sent_again_at_the_end(workplace: Path) -> None:
    store = connect()
    tracker = store.start("artifacts", {}, workplace / "runs")
    tracker.artifact("note.txt", lambda path: path.write_text("hello"))
    assert tracker.flush()
    stored = store.local_artifact(tracker.run_id, "note.txt")
    assert stored is not None
    stored.write_text("he")
    assert tracker.finish("FINISHED")
    assert stored.read_text() == "hello"


def _too_large() -> HTTPError:
    response = Response()
    response.status_code = 413
    return HTTPError("413 Client Error: Request Entity Too Large", response=response)


@pytest.mark.parametrize(
    "error",
    [
        _too_large(),
        MlflowException(f"The following failures occurred: {{'w.h5': {_too_large()!r}}}"),
        MlflowException("API request to endpoint /x failed with error code 413 != 200"),
    ],
    ids=["file", "folder", "request"],
)
def test_a_file_too_large_for_the_server_holds_nothing_back_and_is_kept_here(
    error: Exception, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = MlflowClient.log_artifact

    def limited(client: MlflowClient, run_id: str, path: str, folder: str | None = None) -> None:
        if Path(path).stat().st_size > 10:
            raise error
        real(client, run_id, path, folder)

    monkeypatch.setattr(MlflowClient, "log_artifact", limited)
    store = connect()
    tracker = store.start("large", {}, workplace / "runs")
    tracker.artifact("weights/w.h5", lambda path: path.write_text("x" * 100))
    tracker.artifact("small.txt", lambda path: path.write_text("x"))
    assert tracker.finish("FINISHED")
    sync(workplace / "runs", store)
    run = store.run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert "weights/w.h5" in run.data.tags["mlproject.refused"]
    assert [one.path for one in store.client.list_artifacts(tracker.run_id)] == ["small.txt"]
    left = [path for path in tracker.journal.folder.rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == ["refused.jsonl", "w.h5"]


@pytest.mark.parametrize("kind", ["once", "all", "always"])
def test_a_page_not_found_of_a_proxy_is_no_refusal_of_the_store(
    kind: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlproject.store.delivery.DOUBT_SECONDS", 0.0)
    away = MlflowException(
        "API request to endpoint /x failed with error code 404 != 200",
        error_code=ENDPOINT_NOT_FOUND,
    )
    asked: list[str] = []
    names = ["set_terminated", "get_run"] if kind == "all" else ["set_terminated"]
    store = connect()
    tracker = store.start("proxy", {}, workplace / "runs")
    assert tracker.flush()
    with monkeypatch.context() as patch:
        for name in names:
            real = getattr(MlflowClient, name)

            def answer(client: MlflowClient, *arguments: Any, real: Any = real) -> Any:
                asked.append(real.__name__)
                if kind != "once" or len(asked) == 1:
                    raise away
                return real(client, *arguments)

            patch.setattr(MlflowClient, name, answer)
        assert tracker.finish("FINISHED") is (kind != "all")
    run = store.run(tracker.run_id)
    assert run.info.status == ("FINISHED" if kind == "once" else "RUNNING")
    assert ("mlproject.refused" in run.data.tags) is (kind == "always")
    if kind == "all":
        assert sync(workplace / "runs", store).runs == [tracker.run_id]
        assert store.run(tracker.run_id).info.status == "FINISHED"


@pytest.mark.parametrize("run_id", ["", "..", "a/b"])
def test_an_answer_without_the_id_of_a_run_is_refused_and_leaves_the_records_of_other_runs(
    run_id: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlproject.store.client.CREATE_SECONDS", 0.0)
    monkeypatch.setattr("mlproject.store.client.time.sleep", lambda _: None)
    store = connect()
    other = store.start("other", {}, workplace / "runs")
    found = store.run(other.run_id)
    found.info._run_id = run_id
    monkeypatch.setattr(store.client, "create_run", lambda *_, **__: found)
    with pytest.raises(UserError, match="no id of a run"):
        store.start("one", {}, workplace / "runs")
    assert [one.name for one in (workplace / "runs").iterdir()] == [other.run_id]


def test_what_mlflow_says_in_its_environment_takes_effect(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TAGS", '{"team": "genomics", "mlproject.arch": "x", "n": 3}')
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_RUN_NAME", " mine\n")
    store = connect()
    tracker = store.start(environment_name() or "", {"mlproject.arch": "ours"}, workplace / "runs")
    tracker.finish("FINISHED")
    run = store.run(tracker.run_id)
    assert run.info.run_name == "mine"
    assert run.data.tags["team"] == "genomics"
    assert run.data.tags["n"] == "3"
    assert run.data.tags["mlproject.arch"] == "ours"
    assert run.data.metrics["system/cpu_utilization_percentage"] >= 0


@pytest.mark.parametrize("text", ["{", "[1]", '"a"', '{"a": null}', '{"a": {}}', "[" * 9999])
def test_tags_of_the_environment_that_are_none_get_one_line(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("MLFLOW_TAGS", text)
    with pytest.raises(UserError, match="`MLFLOW_TAGS` must be a JSON object"):
        connect().start("x", {}, workplace / "runs")
    assert not connect().client.search_runs(["0"])


@pytest.mark.parametrize("name", ["x" * 251, " \n"])
def test_a_name_that_no_store_takes_gets_one_line(workplace: Path, name: str) -> None:
    with pytest.raises(UserError, match="`name` of a run must have 1 to 250 characters"):
        connect().start(name, {}, workplace / "runs")


def test_line_breaks_of_a_name_become_spaces(workplace: Path) -> None:
    tracker = connect().start("two\nlines", {}, workplace / "runs")
    tracker.finish("FINISHED")
    assert connect().run(tracker.run_id).info.run_name == "two lines"


def test_a_store_without_its_driver_gets_one_line(workplace: Path) -> None:
    with pytest.raises(UserError, match=r"needs its driver.*No module named"):
        connect("postgresql+pg8000://ada:secret-word@127.0.0.1:1/db")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            MlflowException(
                "(sqlite3.OperationalError) database or disk is full\n[SQL: INSERT INTO x]"
            ),
            "database or disk is full",
        ),
        (
            PendingRollbackError(
                "This Session's transaction has been rolled back due to a previous exception "
                "during flush. Original exception was: (sqlite3.OperationalError) disk I/O error"
            ),
            "disk I/O error",
        ),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_an_error_of_the_store_says_its_cause(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_a_server_that_accepts_and_never_answers_keeps_no_run_waiting(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    store = connect()
    run = store.client.create_run("0")
    journal = Journal(workplace / "runs" / run.info.run_id)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tracker = Tracker(Store(uri, MlflowClient(uri)), run, journal)
        for step in range(1, 101):
            tracker.metrics({"loss": 1 / step}, step)
            tracker.beat()
        assert len(journal.pending()) == 100
        assert not tracker.finish("FINISHED")
        assert "timed out" in (tracker.problem or "") or "timeout" in (tracker.problem or "")
    assert sync(workplace / "runs", store).failed == {}
    history = store.client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in history] == list(range(1, 101))
    assert store.run(run.info.run_id).info.status == "FINISHED"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["silent", "broken"])
def test_a_server_that_does_not_answer_loses_no_metric(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    port = free_port()
    process, relay = serve(workplace, port), FaultRelay(port)
    try:
        store = connect(relay.uri)
        tracker = store.start("faults", {}, workplace / "runs")
        assert tracker.flush()
        relay.fault = fault
        for step in range(1, 101):
            tracker.metrics({"loss": 1 / step}, step)
            tracker.beat()
        tracker.artifact("note.txt", lambda path: path.write_text("hello"))
        assert not tracker.finish("FINISHED")
        assert tracker.problem
        relay.fault = None
        assert sync(workplace / "runs", store).failed == {}
        history = store.client.get_metric_history(tracker.run_id, "loss")
        assert [point.step for point in history] == list(range(1, 101))
        assert store.run(tracker.run_id).info.status == "FINISHED"
    finally:
        relay.close()
        kill(process)


@pytest.mark.slow
def test_what_is_told_while_the_server_is_away_arrives_later_once(
    workplace: Path,
) -> None:
    port = free_port()
    uri, process = f"http://127.0.0.1:{port}", serve(workplace, port)
    store = connect(uri)
    tracker = store.start("away", {}, workplace / "runs")
    tracker.metrics({"loss": 1.0}, 1)
    assert tracker.flush()
    kill(process)
    tracker.metrics({"loss": 0.5}, 2)
    tracker.artifact("note.txt", lambda path: path.write_text("hello"))
    assert not tracker.finish("FINISHED")
    assert tracker.problem
    again = serve(workplace, port)
    try:
        assert sync(workplace / "runs", connect(uri)).runs == [tracker.run_id]
        assert sync(workplace / "runs", connect(uri)).runs == []
        run = store.run(tracker.run_id)
        history = store.client.get_metric_history(tracker.run_id, "loss")
        assert run.info.status == "FINISHED"
        assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5)]
        assert [item.path for item in store.client.list_artifacts(tracker.run_id)] == ["note.txt"]
    finally:
        kill(again)
