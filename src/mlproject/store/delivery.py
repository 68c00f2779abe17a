"""Deliver a run's journal to the tracking store: each entry once, after failures too."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NAME

from mlproject.names import Tag
from mlproject.store.errors import (
    STORE_ERRORS,
    first_line,
    is_absent,
    is_doubtful,
    is_permanent,
    is_race,
)
from mlproject.store.journal import Entry, Journal
from mlproject.store.senders import SENDERS, UnreadableError, send_artifact

BATCH = 800
SMALL = 100
TRIES = 5  # of a request that meets another writer of the same row, or a doubtful refusal
DOUBT_SECONDS = 1.0
IN_BATCHES = ("params", "tags", "metrics")


class RunDeletedError(MlflowException):
    """The run is deleted in the store and accepts no entries."""


class _Item(NamedTuple):
    """One value of an entry, and the same value as MLflow's client takes it."""

    kind: str
    key: str
    content: dict[str, Any]
    value: Any


class Delivery:
    """Delivers the entries of a journal to the store.

    An entry that the store refuses for good (for example a name that is too long) is set aside and
    named in the run's tag ``mlproject.refused``, so that later entries arrive; its file is kept.
    While an artifact cannot be sent, later parameters, tags and metrics are sent ahead of it.
    """

    def __init__(
        self,
        journal: Journal,
        client: mlflow.MlflowClient,
        progress: Callable[[], None] = lambda: None,
        strict: bool = False,
    ) -> None:
        """Prepare the delivery.

        Args:
            journal: the journal of the run.
            client: of the store.
            progress: called after each delivery of an entry or a batch.
            strict: raise the error when the store refuses an entry, instead of setting it aside.
        """
        self._journal = journal
        self._client = client
        self._progress = progress
        self._strict = strict
        self._ahead = 0

    def deliver(self) -> None:
        """Send the pending entries in their order and mark each as delivered.

        Raises:
            MlflowException, SQLAlchemyError, OSError: the store is away, or lacks the run; the
                next call sends the rest.
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
        """Send artifacts again that the store lacks or has cut short; the journal goes next."""
        listed: dict[str, dict[str, int | None]] = {}
        latest: dict[str, Entry] = {}
        for entry in self._journal.entries():
            if entry.kind in ("artifact", "remove"):
                latest[entry.content["path"]] = entry
        refused = self._journal.refused_files()
        for path, entry in latest.items():
            local = self._journal.artifacts / path
            if entry.kind == "remove" or not local.exists() or local in refused:
                continue
            folder = Path(path).parent.as_posix()
            if folder not in listed:
                where = None if folder == "." else folder
                found = self._client.list_artifacts(self._journal.run_id, where)
                listed[folder] = {item.path: item.file_size for item in found}
            size = listed[folder].get(path, -1)
            if size is not None and size != local.stat().st_size:
                send_artifact(self._journal, self._client, entry.content)

    def _one(self, entry: Entry) -> None:
        try:
            self._send_one(entry)
        except Exception as error:
            if not is_permanent(error) and not isinstance(error, UnreadableError):
                if isinstance(error, STORE_ERRORS):
                    raise
                # The libraries of cloud stores raise other errors.
                raise OSError(f"{type(error).__name__}: {first_line(error)}") from error
            name = entry.content.get("path") or entry.content.get("name") or entry.kind
            self._set_aside([_Item(entry.kind, str(name), entry.content, None)], error)
        self._journal.mark_delivered(entry)
        self._progress()

    def _send_one(self, entry: Entry) -> None:
        self._insist(lambda: SENDERS[entry.kind](self._journal, self._client, entry.content))

    def _insist(self, send: Callable[[], object]) -> None:
        """Send again after a race with another writer, and after a doubtful refusal.

        Such a refusal counts if it is repeated while the store answers other requests.
        """
        for attempt in range(TRIES):
            try:
                send()
            except STORE_ERRORS as error:
                if attempt + 1 == TRIES or not (is_race(error) or is_doubtful(error)):
                    raise
                if is_doubtful(error):
                    time.sleep(DOUBT_SECONDS)
                    self._check_store()
                continue
            return

    def _check_store(self) -> None:
        """Raise an `OSError` if the store does not answer, whatever a proxy says in its place."""
        try:
            self._client.get_run(self._journal.run_id)
        except STORE_ERRORS as error:
            if is_doubtful(error):
                raise OSError(first_line(error)) from error
            raise

    def _batch(self, group: Sequence[Entry]) -> None:
        if group:
            self._send(_items(group))
            self._journal.mark_delivered(group[-1])
            self._ahead = 0
            self._progress()

    def _send_ahead(self, entries: Sequence[Entry]) -> None:
        """Send values that come after an entry that the store cannot accept now."""
        group = [entry for entry in entries if entry.kind in IN_BATCHES]
        new = group[self._ahead :]
        for start in range(0, len(new), SMALL):
            self._send(_items(new[start : start + SMALL]))
        self._ahead = len(group)

    def _send(self, items: Sequence[_Item]) -> None:
        for kind, size in (("params", SMALL), ("tags", SMALL), ("metrics", BATCH)):
            chosen = [item for item in items if item.kind == kind]
            if kind == "tags":
                chosen = self._without_known_name(chosen)
            for start in range(0, len(chosen), size):
                self._send_or_split(kind, chosen[start : start + size])

    def _without_known_name(self, items: Sequence[_Item]) -> list[_Item]:
        """Leave out a run name that the run has: with a name, MLflow writes back an old status."""
        if all(item.key != MLFLOW_RUN_NAME for item in items):
            return [*items]
        name = self._client.get_run(self._journal.run_id).info.run_name
        return [i for i in items if i.key != MLFLOW_RUN_NAME or i.value.value != name]

    def _send_or_split(self, kind: str, items: Sequence[_Item]) -> None:
        """Send values; if the store refuses a batch, find the refused values by bisection."""
        values: dict[str, Any] = {kind: [item.value for item in items]}
        try:
            self._insist(lambda: self._client.log_batch(self._journal.run_id, **values))
        except (UnicodeEncodeError, *STORE_ERRORS) as error:
            if not is_permanent(error):
                raise
            if len(items) == 1:
                self._set_aside(items, error)
                return
            middle = len(items) // 2
            self._send_or_split(kind, items[:middle])
            self._send_or_split(kind, items[middle:])

    def _set_aside(self, items: Sequence[_Item], error: Exception) -> None:
        """Move refused values to a file and name them in a tag of the run."""
        if self._strict:
            raise error
        run_id = self._journal.run_id
        run = self._client.get_run(run_id)
        if run.info.lifecycle_stage == "deleted":
            raise RunDeletedError(
                f"run {run_id} is deleted in the store: `mlflow runs restore --run-id {run_id}`"
            ) from error
        reason = first_line(error)
        for item in items:
            self._journal.set_aside(Entry(item.kind, item.content), reason)
        refused = run.data.tags.get(Tag.REFUSED, "")
        names = ", ".join(f"{item.kind} {item.key}" for item in items)
        if names not in refused:
            text = "; ".join(one for one in (refused.strip(), f"{names}: {reason}") if one)
            self._client.set_tag(run_id, Tag.REFUSED, text[:4000])


def deliver(journal: Journal, client: mlflow.MlflowClient) -> None:
    """Deliver a journal, see `Delivery.deliver`."""
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
