"""Send single entries of a run's journal to the tracking store."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, Run
from mlflow.models import Model, ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import Schema, TensorSpec

from mlproject.store.errors import first_line
from mlproject.store.journal import Journal
from mlproject.system.errors import UserError

MOST_NAME = 200


class UnreadableError(Exception):
    """The file to send is damaged on the local disk, so that no store can accept it."""


def send_artifact(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    """Send an artifact, unless a later entry removed it."""
    path = journal.artifacts / content["path"]
    folder = Path(content["path"]).parent.as_posix()
    if path.exists():
        client.log_artifact(journal.run_id, str(path), None if folder == "." else folder)


def _send_input(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    dataset = Dataset(
        name=content["name"],
        digest=content["digest"],
        source_type="local",
        source=content["source"],
        profile=content["profile"],
    )
    tag = InputTag("mlflow.data.context", content["context"])
    client.log_inputs(journal.run_id, [DatasetInput(dataset, [tag])])


def _send_removal(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    repository = get_artifact_repository(client.get_run(journal.run_id).info.artifact_uri)
    if any(
        item.path == content["path"]
        for item in repository.list_artifacts(str(Path(content["path"]).parent))
    ):
        repository.delete_artifacts(content["path"])


def _send_model(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    import mlflow.keras

    from mlproject.network.saving import load_model

    run = client.get_run(journal.run_id)
    logged = None
    for output in run.outputs.model_outputs if run.outputs else ():
        logged = client.get_logged_model(output.model_id)
        if logged.status == "READY":
            return
    path = journal.folder / content["path"]
    try:
        model = load_model(path)
    except UserError as error:
        raise UnreadableError(f"{path.name} is damaged: {first_line(error)}") from error
    shape, scores = model.input_shape, model.output_shape
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *scores[1:]))]),
    )
    if logged is None:  # a model that was cut off is completed instead
        logged = client.create_logged_model(
            run.info.experiment_id,
            _model_name(run),
            run.info.run_id,
            resolve_tags(),
            dict(run.data.params),
        )
    Model.log(
        artifact_path=None,
        model_id=logged.model_id,
        flavor=mlflow.keras,
        run_id=journal.run_id,
        model=model,
        signature=signature,
        pip_requirements=content["requirements"],
    )


def _model_name(run: Run) -> str:
    """Return the run's name in the letters that a model's name may have."""
    name = re.sub(r"[^\w() =+-]+", "-", run.info.run_name or "").strip("- ")
    return name[:MOST_NAME] or "model"


def _send_tag(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    client.set_tag(content["run_id"], content["key"], content["value"])


def _send_status(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    client.set_terminated(journal.run_id, content["status"], content["time"])


SENDERS: Mapping[str, Callable[[Journal, mlflow.MlflowClient, dict[str, Any]], None]] = {
    "input": _send_input,
    "artifact": send_artifact,
    "remove": _send_removal,
    "tag_other": _send_tag,
    "model": _send_model,
    "status": _send_status,
}
