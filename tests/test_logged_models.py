"""Logging the models of a run: what a kill has left is completed."""

from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities.logged_model_status import LoggedModelStatus

from mlproject.architectures import make_spec
from mlproject.network.build import build
from mlproject.network.saving import save_model
from mlproject.store import connect
from mlproject.store.models import log_models, models_of

CONTENT = {
    "requirements": ["keras"], "classes": ["one", "other"], "average": False, "backend": "jax",
    "example": "ACGTACGTAC" * 3,
}  # fmt: skip


class Killed(BaseException):
    pass


@pytest.mark.parametrize("place", ["log_outputs", "log_model_artifacts", "finalize_logged_model"])
def test_a_model_that_a_kill_left_half_logged_is_completed_once(
    place: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect()
    client = mlflow.MlflowClient()
    run = client.create_run(client.create_experiment("killed"), run_name="a run")
    small = {"filters1": 3, "kernel1": 5, "pool1": 10, "filters2": 0, "units": 4}
    path = workplace / "model.keras"
    save_model(build(make_spec(small), 30, 2), path)

    def log() -> None:
        log_models(client, client.get_run(run.info.run_id), path, CONTENT)

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    for _ in range(2):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(mlflow.MlflowClient, place, killed)
            log()
    log()
    log()
    run = client.get_run(run.info.run_id)
    models = models_of(client, run)
    assert sorted(models) == ["dna", "model"]
    assert {one.status for one in models.values()} == {LoggedModelStatus.READY}
    assert run.outputs is not None and len(run.outputs.model_outputs) == 2
    for one in models.values():
        assert mlflow.models.get_model_info(one.model_uri).run_id == run.info.run_id
