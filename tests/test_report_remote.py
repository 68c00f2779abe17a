"""A tracking server with served artifacts, asked over HTTP: the report, and how often it asks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pytest
import requests
from recorded import inside, reading, record, record_filters
from tracking_server import free_port, kill, serve

from mlproject import results
from mlproject.report.content import ReportRequest
from mlproject.report.recording import make_report
from mlproject.store import Store, connect
from mlproject.store import runs as stored_runs
from mlproject.store.exchange.exporting import export
from mlproject.store.exchange.importing import import_runs

RUNS = 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Store]:
    """A server over a store that the client cannot reach otherwise, with runs in it."""
    folder = tmp_path_factory.mktemp("server")
    with inside(folder, migrated_store):
        port = free_port()
        process = serve(folder, port)
    client = tmp_path_factory.mktemp("client")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(client)
        patch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        patch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3600")  # a call that is repeated counts twice
        record_filters({"arch": "CNN-2"}, reading(2), 0.96)
        record_filters({"arch": "CNN-25"}, reading(13), 0.97)
        for seed in range(RUNS - 2):
            record({"arch": "CNN-10", "seed": seed}, 0.96, 0.9)
        yield connect()
    kill(process)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of a server from now on, by way of the client's own HTTP session."""
    asked: list[str] = []
    send = requests.Session.send

    def counted(session: requests.Session, request: Any, **more: Any) -> Any:
        asked.append(f"{request.method} {request.path_url.partition('?')[0]}")
        return send(session, request, **more)

    monkeypatch.setattr(requests.Session, "send", counted)
    return asked


def test_runs_are_asked_for_by_the_page_and_never_one_by_one(
    server: Store, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results.runs("table1", store=server)
    assert len(whole) == RUNS
    assert [call.rpartition("/2.0/mlflow/")[2] for call in calls] == [
        "experiments/search",
        "runs/search",
    ]
    calls.clear()
    monkeypatch.setattr(stored_runs, "PAGE", 2)
    paged = results.runs("table1", store=server)
    assert [call.endswith("runs/search") for call in calls].count(True) == -(-RUNS // 2)
    assert len(calls) == -(-RUNS // 2) + 1
    pandas.testing.assert_frame_equal(whole.drop(columns="inputs"), paged.drop(columns="inputs"))


def test_a_report_is_made_and_kept_over_http(server: Store, calls: list[str]) -> None:
    run = server.run(results.runs("table1", store=server).run_id[0])
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    made = make_report(ReportRequest(experiment=("table1",)), Path("out"))
    assert {"message", "fig2", "atlas_synthetic"} <= set(made.report.pictures)
    assert made.run_id is not None
    kept = server.download(made.run_id, "report.html", Path("back")).read_bytes()
    assert kept == Path("out/report.html").read_bytes()
    assert f"{server.uri}/#/experiments/" in kept.decode()
    searches = [call for call in calls if call.endswith("runs/search")]
    assert len(searches) == 2, "one for the runs, one to find the run of the report"


def test_runs_go_from_server_to_server(server: Store, tmp_path: Path) -> None:
    done = export(server, tmp_path / "out", ["table1"])
    assert len(done.added) == RUNS
    again = import_runs(server, tmp_path / "out", "copied")
    assert len(again.added) == RUNS
    copied = results.runs("copied", store=server)
    assert copied["imported"].all()
    chosen = copied[copied["arch"] == "CNN-25"].iloc[0]
    found = results.filters(chosen, "conv1", server).matches
    pairs = [(match.query_id, match.target_id, match.orientation) for match in found]
    assert pairs == [(m.query_id, m.target_id, m.orientation) for m in reading(13).matches]
