"""From a run's journal to the tracking store: each entry once, whatever happens in between."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.models import Model, ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types import Schema, TensorSpec

from mlproject.journal import Entry, Journal

BATCH = 800


def deliver(journal: Journal, client: mlflow.MlflowClient) -> None:
    """Send a journal's pending entries in their order and note each that arrived."""
    group: list[Entry] = []
    for entry in journal.pending():
        if entry.kind in ("params", "tags", "metrics"):
            size = sum(len(other.content["values"]) for other in [*group, entry])
            if size > BATCH:
                _send_batch(journal, client, group)
                group = []
            group.append(entry)
            continue
        _send_batch(journal, client, group)
        group = []
        _SENDERS[entry.kind](journal, client, entry.content)
        journal.mark_delivered(1)
    _send_batch(journal, client, group)


def _send_batch(journal: Journal, client: mlflow.MlflowClient, group: Sequence[Entry]) -> None:
    if not group:
        return
    params, tags, metrics = [], [], []
    for kind, content in group:
        for key, value in content["values"].items():
            if kind == "params":
                params.append(Param(key, value))
            elif kind == "tags":
                tags.append(RunTag(key, value))
            else:
                metrics.append(Metric(key, value, content["time"], content["step"]))
    for chunk in _chunks(params):
        client.log_batch(journal.run_id, params=chunk)
    for chunk in _chunks(tags):
        client.log_batch(journal.run_id, tags=chunk)
    if metrics:
        client.log_batch(journal.run_id, metrics=metrics)
    journal.mark_delivered(len(group))


def _chunks(items: list[Any], size: int = 100) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


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


def _send_artifact(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    folder = str(Path(content["path"]).parent.as_posix())
    if not (journal.artifacts / content["path"]).exists():
        return  # removed since
    client.log_artifact(
        journal.run_id, str(journal.artifacts / content["path"]), None if folder == "." else folder
    )


def _send_removal(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    repository = get_artifact_repository(client.get_run(journal.run_id).info.artifact_uri)
    if any(
        item.path == content["path"]
        for item in repository.list_artifacts(str(Path(content["path"]).parent))
    ):
        repository.delete_artifacts(content["path"])


def _send_model(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    import keras
    import mlflow.keras

    outputs = client.get_run(journal.run_id).outputs
    if outputs and outputs.model_outputs:
        return
    model = keras.saving.load_model(journal.folder / content["path"], compile=False)
    shape, scores = model.input_shape, model.output_shape
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *scores[1:]))]),
    )
    Model.log(
        artifact_path=None,
        name="model",
        flavor=mlflow.keras,
        run_id=journal.run_id,
        model=model,
        signature=signature,
        pip_requirements=content["requirements"],
    )


def _send_tag(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    client.set_tag(content["run_id"], content["key"], content["value"])


def _send_status(journal: Journal, client: mlflow.MlflowClient, content: dict[str, Any]) -> None:
    client.set_terminated(journal.run_id, content["status"], content["time"])


_SENDERS: Mapping[str, Callable[[Journal, mlflow.MlflowClient, dict[str, Any]], None]] = {
    "input": _send_input,
    "artifact": _send_artifact,
    "remove": _send_removal,
    "tag_other": _send_tag,
    "model": _send_model,
    "status": _send_status,
}
