"""Credentials never reach a message, a tag, a journal or a report."""

import logging
from pathlib import Path

import pytest

from mlproject.store import connect
from mlproject.store.errors import first_line
from mlproject.sweeps.plan import Plan
from mlproject.sweeps.sweep_run import SweepRun
from mlproject.system.errors import UserError
from mlproject.system.masking import mask, mask_addresses, without_credentials

ADDRESSES = [
    ("postgresql://ada:hunter2hunter2@db.example/runs", "hunter2"),
    ("postgresql+psycopg2://ada:hunter2/x@y@db.example/runs", "hunter2"),
    ("https://ghp_abcdefghijkl@example.org/mlflow", "ghp_"),
    ("https://ghp_abcdefghijkl:x-oauth-basic@example.org/", "ghp_"),
    ("mysql://host/db?user=ada&password=hunter2", "hunter2"),
    ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2", "hunter2"),
    ("https://example.org/?access_token=hunter2&page=3", "hunter2"),
    ("https://s3.example/x?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2", "hunter2"),
    ("host=db password=hunter2 user=ada", "hunter2"),
    ("Authorization: Bearer hunter2hunter2", "hunter2"),
]


@pytest.mark.parametrize(("text", "secret"), ADDRESSES)
def test_no_message_shows_a_secret(text: str, secret: str) -> None:
    assert secret not in mask(f"the store {text} answers '{text}'")


def test_addresses_without_secrets_stay_as_they_are() -> None:
    for text in (
        "http://127.0.0.1:5000/#/experiments/1/runs/2 by a@b.org",
        "sqlite:////data/ada/my runs/mlflow.db",
        "https://example.org/?page=3&order=name",
        "test_auroc/A@B and time/total",
    ):
        assert mask(text) == mask_addresses(text) == text


def test_the_password_of_the_store_is_hidden_wherever_a_library_puts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:s3cr%40t-word@db/x?token=abcdefgh")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another-one")
    for secret in ("s3cr%40t-word", "s3cr@t-word", "abcdefgh", "another-one"):
        assert secret not in mask(f"authentication of ada with {secret} has failed")
        assert secret not in first_line(RuntimeError(f"tried {secret}\nand so on"))


def test_a_link_has_no_credentials() -> None:
    assert without_credentials("https://ada:pw@example.org/mlflow") == "https://example.org/mlflow"


@pytest.mark.parametrize("uri", ["http://ada:hunter2@127.0.0.1:9", "nonsense://ada:hunter2@host/x"])
def test_a_store_that_cannot_be_opened_is_named_without_its_password(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError) as caught:
        connect()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_run_tells_has_no_credentials(workplace: Path) -> None:
    uri = "https://ada:hunter2@example.org/data.h5?password=hunter2"
    tracker = connect().start("secret", {"mlproject.source": uri}, workplace / "runs")
    tracker.tags({"mlproject.note": uri})
    tracker.params({"dataset": uri})
    tracker.input("data", "0" * 64, uri, "training", "{}")
    tracker.note(f"see {uri}")
    assert "hunter2" not in (workplace / "runs" / tracker.run_id / "journal.jsonl").read_text()
    tracker.finish("FAILED", f"the store {uri} is away")
    assert b"hunter2" not in (workplace / "mlflow.db").read_bytes()


def test_the_plan_that_a_sweep_records_has_no_credentials(workplace: Path) -> None:
    text = "search:\n  storage: postgresql://ada:hunter2@db.example.org/optuna\n"
    parent = SweepRun(connect(), Plan(name="hunt", text=text), workplace, None)
    recorded = (parent.tracker.journal.artifacts / "plan.yaml").read_text()
    assert recorded == text.replace("ada:hunter2", "***")
    parent.finish("KILLED")


def test_log_messages_of_libraries_have_no_credentials(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connect()
    logging.getLogger("mlflow.store").warning("cannot open %s", "postgresql://a:hunter2@db/x")
    assert "hunter2" not in capsys.readouterr().err
