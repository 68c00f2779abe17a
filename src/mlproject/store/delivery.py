"""From a run's journal to the tracking store: each entry once, whatever happens in between."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import Schema, TensorSpec

from mlproject.names import Tag
from mlproject.store.basis import STORE_ERRORS, first_line, is_absent, is_permanent
from mlproject.store.journal import Entry, Journal
from mlproject.system.errors import UserError

BATCH = 800
SMALL = 100
IN_BATCHES = ("params", "tags", "metrics")


class RunDeletedError(MlflowException):
    """The store has the run as deleted: it takes nothing of it."""


class _Item(NamedTuple):
    kind: str
    key: str
    content: dict[str, Any]
    sent: Any


class Delivery:
    """Brings a journal's entries to the store, as often as it is asked.

    What the store will never take (a name that is too long, say) is set aside: the run's tag
    ``mlproject.refused`` says so, and what stands behind it arrives. While an artifact cannot be
    sent, the numbers behind it can.
    """

    def __init__(
        self,
        journal: Journal,
        client: mlflow.MlflowClient,
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._client = client
        self._progress = progress
        self._ahead = 0

    def deliver(self) -> None:
        """Send the pending entries in their order and note each that arrived.

        Raises:
            MlflowException, SQLAlchemyError, OSError: the store is away, or lacks the run; what
                is left is sent by the next call.
        """
        pending = self._journal.pending()
        group: list[Entry] = []
        for number, entry in enumerate(pending):
            if entry.kind in IN_BATCHES:
                if sum(len(one.content["values"]) for one in [*group, entry]) > BATCH:
                    self._batch(group)
                    group = []
                group.append(entry)
                continue
            self._batch(group)
            group = []
            try:
                self._one(entry)
            except STORE_ERRORS as error:
                if isinstance(error, RunDeletedError) or is_absent(error):
                    raise
                self._send_ahead(pending[number + 1 :])
                raise
        self._batch(group)

    def restore_artifacts(self) -> None:
        """Send artifacts again that the store has lost: this is the last moment at which we can."""
        listed: dict[str, set[str]] = {}
        removed: dict[str, Entry] = {}
        for entry in self._journal.entries():
            if entry.kind in ("artifact", "remove"):
                removed[entry.content["path"]] = entry
        for path, entry in removed.items():
            if entry.kind == "remove" or not (self._journal.artifacts / path).exists():
                continue
            folder = Path(path).parent.as_posix()
            if folder not in listed:
                where = None if folder == "." else folder
                found = self._client.list_artifacts(self._journal.run_id, where)
                listed[folder] = {item.path for item in found}
            if path not in listed[folder]:
                _send_artifact(self._journal, self._client, entry.content)

    def _one(self, entry: Entry) -> None:
        try:
            _SENDERS[entry.kind](self._journal, self._client, entry.content)
        except Exception as error:
            if not is_permanent(error) and not isinstance(error, _UnreadableError):
                if isinstance(error, STORE_ERRORS):
                    raise
                # Libraries of cloud stores have errors of their own.
                raise OSError(f"{type(error).__name__}: {first_line(error)}") from error
            name = entry.content.get("path") or entry.content.get("name") or entry.kind
            self._set_aside([_Item(entry.kind, str(name), entry.content, None)], error)
        self._journal.mark_delivered(entry)
        self._progress()

    def _batch(self, group: Sequence[Entry]) -> None:
        if group:
            self._send(_items(group))
            self._journal.mark_delivered(group[-1])
            self._ahead = 0
            self._progress()

    def _send_ahead(self, entries: Sequence[Entry]) -> None:
        """Send numbers that stand behind something that the store cannot take now."""
        group = [entry for entry in entries if entry.kind in IN_BATCHES]
        new = group[self._ahead :]
        for start in range(0, len(new), SMALL):
            self._send(_items(new[start : start + SMALL]))
        self._ahead = len(group)

    def _send(self, items: Sequence[_Item]) -> None:
        for kind, size in (("params", SMALL), ("tags", SMALL), ("metrics", BATCH)):
            chosen = [item for item in items if item.kind == kind]
            for start in range(0, len(chosen), size):
                self._send_or_split(kind, chosen[start : start + size])

    def _send_or_split(self, kind: str, items: Sequence[_Item]) -> None:
        """Send values; of those that are refused together, find the ones that are to blame."""
        values: dict[str, Any] = {kind: [item.sent for item in items]}
        try:
            self._client.log_batch(self._journal.run_id, **values)
        except STORE_ERRORS as error:
            if not is_permanent(error):
                raise
            if len(items) == 1:
                self._set_aside(items, error)
                return
            middle = len(items) // 2
            self._send_or_split(kind, items[:middle])
            self._send_or_split(kind, items[middle:])

    def _set_aside(self, items: Sequence[_Item], error: Exception) -> None:
        """Keep what was refused in a file, and say so on the run, if the run itself is well."""
        run_id = self._journal.run_id
        run = self._client.get_run(run_id)
        if run.info.lifecycle_stage == "deleted":
            raise RunDeletedError(
                f"run {run_id} is deleted in the store: `mlflow runs restore --run-id {run_id}`"
            ) from error
        reason = first_line(error)
        for item in items:
            self._journal.refuse(Entry(item.kind, item.content), reason)
        told = run.data.tags.get(Tag.REFUSED, "")
        names = ", ".join(f"{item.kind} {item.key}" for item in items)
        if names not in told:
            self._client.set_tag(run_id, Tag.REFUSED, f"{told}{names}: {reason}\n"[:4000])


class _UnreadableError(Exception):
    """What is to be sent is damaged here: no store can mend that."""


def deliver(journal: Journal, client: mlflow.MlflowClient) -> None:
    """Send a journal's pending entries, see `Delivery.deliver`."""
    Delivery(journal, client).deliver()


def _items(group: Sequence[Entry]) -> list[_Item]:
    found = []
    for kind, content, _ in group:
        for key, value in content["values"].items():
            one: Any
            if kind == "params":
                one = Param(key, value)
            elif kind == "tags":
                one = RunTag(key, value)
            else:
                one = Metric(key, value, content["time"], content["step"])
            found.append(_Item(kind, key, {**content, "values": {key: value}}, one))
    return found


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
        raise _UnreadableError(f"{path.name} is damaged: {first_line(error)}") from error
    shape, scores = model.input_shape, model.output_shape
    signature = ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *shape[1:]))]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, *scores[1:]))]),
    )
    if logged is None:  # else one that was cut off is completed
        logged = client.create_logged_model(
            run.info.experiment_id, "model", run.info.run_id, resolve_tags(), dict(run.data.params)
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
