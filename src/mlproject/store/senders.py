"""Send single entries of a run's journal to the tracking store."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from mlproject.store.errors import first_line
from mlproject.store.journal import Journal
from mlproject.system.errors import UserError


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
    from mlproject.store.models import log_models

    path = journal.folder / content["path"]
    try:
        log_models(client, client.get_run(journal.run_id), path, content)
    except UserError as error:
        raise UnreadableError(f"{path.name} is damaged: {first_line(error)}") from error


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
