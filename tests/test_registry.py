"""The model registry: versions of runs, and the alias of the best cell of a sweep."""

from pathlib import Path

import mlflow
import pytest

from mlproject.commands.cli import main
from mlproject.run.context import RunResult
from mlproject.store import check_registered_name, connect, register
from mlproject.system.errors import UserError


def test_a_run_is_registered_once_and_the_alias_moves(finished: tuple[Path, RunResult]) -> None:
    folder, result = finished
    store = connect(f"sqlite:///{folder}/mlflow.db")
    name = "it's a network"
    assert register(store, result.run_id, name) == "1"
    assert register(store, result.run_id[:9], name, "best") == "1"
    version = store.client.get_model_version_by_alias(name, "best")
    assert version.run_id == result.run_id
    assert version.source == store.logged_models(result.run_id)["dna"].artifact_location
    for wrong in ("a/b", "a:b", "", " a", "x" * 300):
        with pytest.raises(UserError, match="`--register` must be a name"):
            check_registered_name(wrong)


def test_a_registry_that_is_away_is_told_before_the_training(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    (workplace / "p.yaml").write_text("axes: {seed: [0, 1]}\n")
    for command in (["train"], ["sweep", "p.yaml"]):
        with pytest.raises(SystemExit, match="2"):
            main([*command, "--register", "mine"])
        assert "`--register` needs a registry of models" in capsys.readouterr().err
    assert not [path for path in workplace.iterdir() if path.name in ("data", "runs")]
    assert not connect().client.search_runs(["0"])


@pytest.mark.slow
def test_a_sweep_registers_its_best_cell_and_the_served_model_loads(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "p.yaml").write_text(
        "base: {sequences: 300, length: 100, filters1: 4, filters2: 4, units: 8, "
        "epochs: 1}\naxes: {seed: [0, 1]}\n"
    )
    main(["sweep", "p.yaml", "--workers", "1", "--register", "mine", "--quiet"])
    store = connect()
    version = store.client.get_model_version_by_alias("mine", "best")
    runs = [*store.search([one.experiment_id for one in store.client.search_experiments()])]
    scores = {run.info.run_id: run.data.metrics.get("best_val_auroc", -1.0) for run in runs}
    assert version.run_id == max(scores, key=lambda run_id: scores[run_id])
    assert f"models:/mine@best is version {version.version}" in capsys.readouterr().out
    mlflow.set_tracking_uri(store.uri)
    table = mlflow.pyfunc.load_model("models:/mine@best").predict(["ACGTA" * 20])
    assert table.shape == (1, 12)
