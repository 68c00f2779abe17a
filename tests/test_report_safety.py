"""What a report and an export write: no code of others, no credentials, nothing half."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from recorded import reading, record, record_filters, start

from mlproject.report.content import ReportRequest
from mlproject.report.recording import make_report
from mlproject.store import connect
from mlproject.store.exchange.exporting import export
from mlproject.store.exchange.importing import import_runs
from mlproject.system.errors import UserError


def test_names_are_shown_and_never_run(workplace: Path) -> None:
    nasty = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
    tracker = start({"arch": "CNN-2"}, experiment=f"table {nasty}")
    names = ("backend", "device", "threads", "protocol")
    tracker.tags({f"mlproject.{name}": f"{nasty}|{name}" for name in names})
    tracker.metrics({"test_auroc": 0.9, "time/total": 1.0, "conv1/match_jaspar": 0.1})
    tracker.finish("FINISHED")
    connect().client.set_tag(tracker.run_id, "mlflow.runName", nasty)
    bad = record({"arch": "CNN-4"})
    connect().client.set_tag(bad, "mlproject.spec", f'{{"{nasty[2:]}": 1}}')
    wish = ReportRequest(rows=("device",), columns=("test_auroc", "backend"), figures=False)
    files = make_report(wish, Path("report"), record=False).files
    pages = [path for path in files if path.suffix in (".html", ".md")]
    assert len(pages) > 8
    assert any("alert(1)" in path.read_text() for path in pages)
    for path in pages:
        text = path.read_text()
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path


def test_a_report_that_cannot_be_written_changes_nothing(workplace: Path) -> None:
    record({"arch": "CNN-2"})
    wish = ReportRequest(figures=False)
    make_report(wish, Path("report"), record=False)
    before = {path: path.read_bytes() for path in Path("report").rglob("*") if path.is_file()}
    record({"arch": "CNN-4"})
    with (
        largest_file(20_000),
        pytest.raises(UserError, match=r"cannot write .*too large") as caught,
    ):
        make_report(wish, Path("report"))
    assert len(str(caught.value).splitlines()) == 1
    after = {path: path.read_bytes() for path in Path("report").rglob("*") if path.is_file()}
    assert after == before
    assert not connect().client.search_runs(["0"], "tags.`mlproject.report` = '1'")
    with largest_file(20_000), pytest.raises(UserError, match="cannot write"):
        make_report(wish, Path("another"), record=False)
    assert not Path("another").exists()
    Path("taken").write_text("a file")
    with pytest.raises(UserError, match="cannot write taken"):
        make_report(wish, Path("taken"))
    assert Path("taken").read_text() == "a file"


def test_an_export_that_cannot_be_written_keeps_what_was_there(workplace: Path) -> None:
    record_filters({"arch": "CNN-2"}, reading(4))
    export(connect(), Path("out"))
    before = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
    layer = reading(4)
    long = record_filters({"arch": "CNN-25"}, layer._replace(matches=layer.matches * 120))
    wide = record({"arch": "CNN-4"}, more={f"more/{number}": 0.5 for number in range(1500)})
    for leave_out, message in ((wide, "needs room .*too large"), (long, "cannot write out")):
        connect().client.delete_run(leave_out)
        with largest_file(25_000), pytest.raises(UserError, match=message) as caught:
            export(connect(), Path("out"))
        assert len(str(caught.value).splitlines()) == 1
        after = {path: path.read_bytes() for path in Path("out").rglob("*") if path.is_file()}
        assert after == before
        connect().client.restore_run(leave_out)
    assert len(export(connect(), Path("out")).added) == 2


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to write more than so many bytes of a file."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_credentials_are_in_no_report_and_no_export(workplace: Path) -> None:
    address = "http://somebody:hunter22@server.example:5000/x?token=abcdef12345"
    tracker = start({"arch": "CNN-2"})
    tracker.input("train", "0" * 64, f'{{"source": "{address}"}}', "training", "{}")
    tracker.metrics({"test_auroc": 0.9, "time/total": 1.0})
    tracker.finish("FINISHED")
    client = connect().client
    client.log_param(tracker.run_id, "dataset_at", address)
    client.set_tag(tracker.run_id, "mlproject.device", f"gpu of {address}")
    export(connect(), Path("out"))
    make_report(ReportRequest(figures=False, ui=""), Path("report"), record=False)
    for path in (*Path("out").rglob("*"), *Path("report").rglob("*")):
        if path.is_file():
            assert "hunter22" not in path.read_text(), path
            assert "abcdef12345" not in path.read_text(), path
    assert len(import_runs(connect(), Path("out"), "again").added) == 1
