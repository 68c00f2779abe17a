"""MLflow: where runs are recorded. The only file that imports it.

What a run tells goes to its `Journal` on the local disk first and to the tracking store afterwards:
a store that goes away costs nothing, `sync` delivers later what is missing, once.
"""

import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import numpy as np
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunStatus,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types import Schema, TensorSpec
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_RUN_NOTE
from sqlalchemy.exc import SQLAlchemyError

from mlproject.errors import UserError
from mlproject.journal import Entry, Journal, journals
from mlproject.process import this_process

for _name, _value in {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _value)

BATCH = 800
CREATE_SECONDS = 60.0
HEARTBEAT_SECONDS = 30.0
RETRY_SECONDS = 30.0
PROCESS, HEARTBEAT, RESUMED_BY = (
    "mlproject.process",
    "mlproject.heartbeat",
    "mlproject.resumed_by",
)
STORE_ERRORS = (MlflowException, SQLAlchemyError, OSError)
PRIMARY_METRIC = "test_auroc"

for _name in ("mlflow.store.db.utils", "alembic", "alembic.runtime.migration"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Store:
    """A tracking store: its address, and the runs in it."""

    def __init__(self, uri: str, client: mlflow.MlflowClient) -> None:
        self.uri = uri
        self.client = client

    def experiment(self, name: str | None = None) -> str:
        """Return the id of the experiment `name` (default: as MLflow's environment says)."""
        if name is None and (found := os.environ.get("MLFLOW_EXPERIMENT_ID")):
            return found
        name = name or os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        return str(mlflow.set_experiment(name).experiment_id)

    def find_experiment(self, name: str | None = None) -> str | None:
        """Return the id that `experiment` would give, None if it would have to be made."""
        if name is None and (found := os.environ.get("MLFLOW_EXPERIMENT_ID")):
            return found
        name = name or os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        experiment = self.client.get_experiment_by_name(name)
        return None if experiment is None else str(experiment.experiment_id)

    def adopted(self) -> str | None:
        """Return, once, the run that ``mlflow run`` has made for this process."""
        return os.environ.pop("MLFLOW_RUN_ID", None)

    def bytes_of(self, run: Run) -> int:
        """Return how much the artifacts and the model of a run take in the store."""
        client, run_id = self.client, run.info.run_id

        def size(ask: Callable[..., Iterable[Any]], owner: str, path: str | None = None) -> int:
            return sum(
                size(ask, owner, item.path) if item.is_dir else item.file_size or 0
                for item in ask(owner, path)
            )

        models = run.outputs.model_outputs if run.outputs else []
        return size(client.list_artifacts, run_id) + sum(
            size(client.list_logged_model_artifacts, model.model_id) for model in models
        )

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            UserError: there is none of that id.
        """
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            raise UserError(
                f"no run `{run_id}` in the tracking store {self.uri}: take an id from the MLflow "
                "UI; with `mlflow run`, start it in the project's folder or set "
                "MLFLOW_TRACKING_URI to an absolute address"
            ) from error

    def start(
        self,
        name: str,
        tags: Mapping[str, str],
        root: Path,
        experiment: str | None = None,
        parent: str | None = None,
    ) -> "Tracker":
        """Start a run, or adopt the one that ``mlflow run`` has made for this process.

        Args:
            name: the run's name in the UI.
            tags: set at once.
            root: folder of the local records; the run's own is below it.
            experiment: name of the experiment; default as MLflow's environment says.
            parent: id of the parent run.

        Raises:
            UserError: the store cannot be written.
        """
        process = str(this_process())
        tags = {**tags, MLFLOW_RUN_NAME: name, PROCESS: process, HEARTBEAT: f"{time.time():.0f}"}
        tags |= {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
        adopted = os.environ.pop("MLFLOW_RUN_ID", None)
        try:
            if adopted:
                run = self.run(adopted)
                self.client.update_run(adopted, status="RUNNING")
            else:
                run = self._create(name, tags, experiment)
            self._prepare_for_ui(run.info.experiment_id)
        except STORE_ERRORS as error:
            raise _unwritable(self.uri, error) from error
        tracker = Tracker(self, run, Journal(root / run.info.run_id))
        tracker.journal.own(process)
        if adopted:
            tracker.tags(tags)
            tracker.flush()
        return tracker

    def reopen(self, run_id: str, root: Path) -> "Tracker":
        """Go on with a run that has ended, as this process.

        Raises:
            UserError: no such run, or the store cannot be written.
        """
        run = self.run(run_id)
        tracker = Tracker(self, run, Journal(root / run_id))
        tracker.journal.own(str(this_process()))
        tracker.tags({PROCESS: str(this_process()), HEARTBEAT: f"{time.time():.0f}"})
        try:
            self.client.update_run(run_id, status="RUNNING")
        except STORE_ERRORS as error:
            raise _unwritable(self.uri, error) from error
        tracker.flush()
        return tracker

    def _create(self, name: str, tags: Mapping[str, str], experiment: str | None) -> Run:
        """Create a run with its tags; a store that is busy or away is asked again for a minute.

        An answer that was lost does not leave a second run behind: the first has a mark.
        """
        mark = secrets.token_hex(8)
        until = time.monotonic() + CREATE_SECONDS
        experiment_id = ""
        while True:
            try:
                if experiment_id and (
                    made := self.client.search_runs(
                        [experiment_id], f"tags.`mlproject.mark` = '{mark}'", max_results=1
                    )
                ):
                    return made[0]
                experiment_id = self.experiment(experiment)
                return self.client.create_run(
                    experiment_id, tags={**tags, "mlproject.mark": mark}, run_name=name
                )
            except STORE_ERRORS:
                if time.monotonic() > until:
                    raise
                time.sleep(1.0 + random.random())

    def _prepare_for_ui(self, experiment_id: str) -> None:
        """Let the UI open the experiment as model training, with the metric that matters most.

        Of runs that set a tag at the same moment one may be refused: it is set all the same.
        """
        present = self.client.get_experiment(experiment_id).tags
        wanted = {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": PRIMARY_METRIC,
            "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
        }
        for key, value in wanted.items():
            if key not in present:
                with suppress(*STORE_ERRORS):
                    self.client.set_experiment_tag(experiment_id, key, value)

    def download(self, run_id: str, path: str, folder: Path) -> Path:
        """Copy an artifact of a run (all for ``""``) into `folder` and return where it is."""
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self.client.download_artifacts(run_id, path, str(folder)))
        except STORE_ERRORS as error:
            raise UserError(
                f"run `{run_id}` has no artifact `{path}`: {first_line(error)}"
            ) from error

    def keras_model(self, run_id: str) -> Any:
        """Load the Keras model that a run has logged.

        Raises:
            UserError: it has logged none, or it cannot be loaded.
        """
        import mlflow.keras

        outputs = self.run(run_id).outputs
        if not (outputs and outputs.model_outputs):
            raise UserError(f"run `{run_id}` has logged no model: train it, or take another run")
        try:
            return mlflow.keras.load_model(f"models:/{outputs.model_outputs[0].model_id}")
        except STORE_ERRORS as error:
            raise UserError(
                f"the model of run `{run_id}` cannot be loaded: {first_line(error)}"
            ) from error

    def fail(self, run_id: str, reason: str) -> None:
        """Mark a run as failed before it could start, with the reason as a tag."""
        self.client.set_tag(run_id, "mlproject.failure", reason[:5000])
        self.client.set_terminated(run_id, "FAILED")


class Tracker:
    """One run's way to tell: parameters, metrics, tags, artifacts."""

    def __init__(self, store: Store, run: Run, journal: Journal) -> None:
        self.store = store
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.journal = journal
        self.seconds = 0.0
        self.problem: str | None = None
        self._logged = set(run.data.params)
        self._retry_at = 0.0
        self._beat_at = 0.0

    def params(self, values: Mapping[str, object]) -> None:
        """Record parameters; those that ``mlflow run`` has logged are left as they are."""
        new = {key: str(value) for key, value in values.items() if key not in self._logged}
        self._logged |= set(new)
        self.journal.append("params", values=new)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        self.journal.append("tags", values={key: str(value) for key, value in values.items()})

    def tag_other(self, run_id: str, key: str, value: str) -> None:
        """Record a tag of another run."""
        self.journal.append("tag_other", run_id=run_id, key=key, value=value)

    def note(self, text: str) -> None:
        """Record the run's description (Markdown)."""
        self.tags({MLFLOW_RUN_NOTE: text})

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record metrics; values that are not finite are left out."""
        finite = {key: float(value) for key, value in values.items() if np.isfinite(value)}
        self.journal.append("metrics", values=finite, step=step, time=int(time.time() * 1000))

    def input(self, name: str, sha256: str, source: str, context: str, profile: str) -> None:
        """Record a split of a data set as the run's input, under our own hash."""
        content = {"name": name, "digest": sha256[:36], "source": source, "profile": profile}
        self.journal.append("input", **content, context=context)

    def artifact(self, path: str, write: Callable[[Path], object]) -> None:
        """Record an artifact: `write` gets the local path that becomes ``artifacts/PATH``."""
        target = self.journal.artifacts / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target)
        self.journal.append("artifact", path=path)

    def artifact_if_there(self, path: str) -> None:
        """Record ``artifacts/PATH``, which somebody else writes, if it exists."""
        if (self.journal.artifacts / path).exists():
            self.journal.append("artifact", path=path)

    def remove(self, path: str) -> None:
        """Remove an artifact that is no longer needed, here and in the store."""
        (self.journal.artifacts / path).unlink(missing_ok=True)
        self.journal.append("remove", path=path)

    def model(self, model: Any, requirements: Sequence[str]) -> None:
        """Record a Keras model with signature and requirements as ``model``."""
        model.save(self.journal.folder / "model.keras")
        self.journal.append("model", path="model.keras", requirements=list(requirements))

    def beat(self) -> None:
        """Tell the store, twice a minute at most, that the run is alive."""
        now = time.monotonic()
        if now >= self._beat_at and now >= self._retry_at:
            self._beat_at = now + HEARTBEAT_SECONDS
            try:
                self.store.client.set_tag(self.run_id, HEARTBEAT, f"{time.time():.0f}")
            except STORE_ERRORS as error:
                self._away(error)

    def flush(self, force: bool = False) -> bool:
        """Deliver what is pending; after a failure wait a while before the next try.

        Returns:
            Whether the store has everything.
        """
        started = time.perf_counter()
        if not force and time.monotonic() < self._retry_at:
            return False
        try:
            deliver(self.journal, self.store.client)
            self.problem = None
        except STORE_ERRORS as error:
            self._away(error)
        self.seconds += time.perf_counter() - started
        return self.problem is None

    def finish(self, status: str, reason: str | None = None, without: Sequence[str] = ()) -> bool:
        """Record the run's end (FINISHED, FAILED, KILLED) and deliver everything.

        Args:
            status: how it ended.
            reason: why it did not go well.
            without: artifacts that nobody needs once the end is recorded.
        """
        if reason:
            self.tags({"mlproject.failure": reason[:5000]})
        self.journal.append("status", status=status, time=int(time.time() * 1000))
        for path in without:
            self.remove(path)
        done = self.flush(force=True)
        if done and status == "FINISHED":
            self.journal.remove()
        return done

    def _away(self, error: Exception) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self.problem = first_line(error)


class Delivered(NamedTuple):
    """What `sync` did: runs brought up to date, runs that still miss something and why."""

    runs: list[str]
    failed: dict[str, str]


def connect(uri: str | None = None) -> Store:
    """Open the tracking store: `uri`, else ``MLFLOW_TRACKING_URI``, else SQLite in this folder.

    Raises:
        UserError: a file store (MLflow 3 no longer reads them), or one that cannot be opened.
    """
    refuse_file_store(uri)
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    os.environ["MLFLOW_TRACKING_URI"] = uri
    mlflow.set_tracking_uri(uri)
    try:
        client = mlflow.MlflowClient()
        client.search_experiments(max_results=1)
    except STORE_ERRORS as error:
        raise _unwritable(uri, error) from error
    return Store(uri, client)


def refuse_file_store(uri: str | None = None) -> None:
    """Raise a `UserError` where MLflow would pick a file store, which it no longer supports."""
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if uri is None:
        old = sorted(Path.cwd().glob("mlruns/*/meta.yaml"))
        if not old:
            return
        found = str(old[0].parent.parent)
    elif "://" not in uri or uri.startswith("file:"):
        found = uri
    else:
        return
    raise UserError(
        "the store must be a database or a server, MLflow 3 no longer reads file stores: "
        f"found {found}; run `mlflow migrate-filestore --source {found} "
        "--target sqlite:///mlflow.db` and move the folder away, or set MLFLOW_TRACKING_URI"
    )


def sync(root: Path, store: Store) -> Delivered:
    """Deliver what the runs below `root` have recorded and the store does not have yet.

    Runs that somebody works on are left alone: they deliver themselves. The folders of finished
    runs, and of interrupted ones that were taken up again, are removed.
    """
    done: list[str] = []
    failed: dict[str, str] = {}
    for journal in journals(root):
        if journal.is_live():
            continue
        try:
            if journal.pending():
                deliver(journal, store.client)
                done.append(journal.run_id)
            if _needed_no_more(journal, store.client):
                journal.remove()
        except STORE_ERRORS as error:
            failed[journal.run_id] = first_line(error)
    return Delivered(done, failed)


def _needed_no_more(journal: Journal, client: mlflow.MlflowClient) -> bool:
    if journal.status == "FINISHED":
        return True
    run = client.get_run(journal.run_id)
    return is_terminated(run) and RESUMED_BY in run.data.tags


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


def _unwritable(uri: str, error: Exception) -> UserError:
    return UserError(
        f"the tracking store must be readable and writable: {uri} answers '{first_line(error)}'; "
        "free the place or set MLFLOW_TRACKING_URI"
    )


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def is_terminated(run: Run) -> bool:
    """Return whether a run has ended, well or not."""
    return bool(RunStatus.is_terminated(RunStatus.from_string(run.info.status)))
