"""Runs told to a local journal first: nothing is lost or told twice when the store goes away."""

from pathlib import Path

import pytest
from tracking_server import free_port, kill, serve

from mlproject.errors import UserError
from mlproject.journal import Entry, Journal
from mlproject.tracking import connect, sync


def test_a_journal_gives_back_what_was_written_and_forgets_what_was_delivered(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "run")
    journal.append("params", values={"a": "1"})
    journal.append("metrics", values={"b": 0.5}, step=1, time=7)
    assert journal.pending() == [
        Entry("params", {"values": {"a": "1"}}),
        Entry("metrics", {"values": {"b": 0.5}, "step": 1, "time": 7}),
    ]
    journal.mark_delivered(1)
    assert [entry.kind for entry in Journal(tmp_path / "run").pending()] == ["metrics"]


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "run")
    journal.append("params", values={"a": "1"})
    with (tmp_path / "run" / "journal.jsonl").open("a") as file:
        file.write('{"kind": "met')
    assert len(journal.entries()) == 1


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
    ],
)
def test_a_store_that_cannot_be_used_gets_one_line(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, uri: str, message: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=message) as caught:
        connect(uri)
    assert "\n" not in str(caught.value)


def test_a_delivery_repeated_after_a_crash_changes_nothing(workplace: Path) -> None:
    store = connect()
    tracker = store.start("twice", {"mlproject.arch": "x"}, workplace / "runs")
    for step in (1, 2, 3):
        tracker.metrics({"loss": 1.0 / step}, step)
    tracker.artifact("a/note.txt", lambda path: path.write_text("hello"))
    assert tracker.flush()
    (workplace / "runs" / tracker.run_id / "delivered").write_text("0")
    assert sync(workplace / "runs", store).failed == {}
    history = store.client.get_metric_history(tracker.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_values_that_are_no_numbers_are_left_out(workplace: Path) -> None:
    tracker = connect().start("nan", {}, workplace / "runs")
    tracker.metrics({"fine": 1.0, "bad": float("nan"), "worse": float("inf")})
    tracker.finish("FINISHED")
    assert connect().run(tracker.run_id).data.metrics == {"fine": 1.0}


def test_parameters_that_mlflow_run_has_logged_are_left_alone(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = connect()
    run_id = store.client.create_run("0").info.run_id
    store.client.log_param(run_id, "arch", "'CNN-25'")
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    tracker = store.start("adopted", {}, workplace / "runs")
    tracker.params({"arch": "CNN-25", "pool1": 25})
    tracker.finish("FINISHED")
    run = store.run(run_id)
    assert tracker.run_id == run_id
    assert run.data.params == {"arch": "'CNN-25'", "pool1": "25"}
    assert run.info.run_name == "adopted"


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
