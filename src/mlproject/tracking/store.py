"""A tracking store: opened, asked for runs, brought up to date."""

import os
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from mlproject.errors import UserError
from mlproject.journal import JOURNAL, Journal, journals
from mlproject.process import this_process
from mlproject.tracking.basis import (
    HEARTBEAT,
    PROCESS,
    RESUMED_BY,
    STORE_ERRORS,
    first_line,
    is_terminated,
    unwritable,
)
from mlproject.tracking.delivery import deliver
from mlproject.tracking.tracker import Tracker

CREATE_SECONDS = 60.0
MODEL = "data/model.keras"  # where MLflow puts a Keras model
PRIMARY_METRIC = "test_auroc"


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
    ) -> Tracker:
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
            self.prepare_for_ui(run.info.experiment_id)
        except STORE_ERRORS as error:
            raise unwritable(self.uri, error) from error
        tracker = Tracker(self, run, Journal(root / run.info.run_id))
        tracker.journal.own(process)
        if adopted:
            tracker.tags(tags)
            tracker.flush()
        return tracker

    def reopen(self, run_id: str, root: Path) -> Tracker:
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
            raise unwritable(self.uri, error) from error
        tracker.flush()
        return tracker

    def amend(self, run_id: str, root: Path) -> Tracker:
        """Add to a run that has finished; end with `Tracker.close`. Its status never changes.

        Args:
            run_id: the run.
            root: folder of the local records, see `start`.

        Raises:
            UserError: no such run, one that has not finished, one that another process adds to, or
                the store cannot be written.
        """
        run = self.run(run_id)
        if run.info.status != "FINISHED":
            raise UserError(
                f"only a run that has finished can be added to: got {run_id}, which is "
                f"{run.info.status}"
            )
        if (root / run_id / JOURNAL).exists():
            earlier = Journal(root / run_id)
            if earlier.is_live():
                raise UserError(f"another process adds to run `{run_id}`: wait until it is done")
            try:
                deliver(earlier, self.client)
            except STORE_ERRORS as error:
                raise unwritable(self.uri, error) from error
            earlier.remove()
        tracker = Tracker(self, run, Journal(root / run_id))
        tracker.journal.own(str(this_process()))
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

    def prepare_for_ui(self, experiment_id: str) -> None:
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
        """Load the Keras model that a run has logged, in safe mode.

        Raises:
            UserError: it has logged none, or it is broken or holds code.
        """
        from mlproject.saving import load_model

        outputs = self.run(run_id).outputs
        if not (outputs and outputs.model_outputs):
            raise UserError(f"run `{run_id}` has logged no model: train it, or take another run")
        with tempfile.TemporaryDirectory() as folder:
            try:
                model = f"models:/{outputs.model_outputs[0].model_id}"
                place = mlflow.artifacts.download_artifacts(model, dst_path=folder)
            except STORE_ERRORS as error:
                raise UserError(
                    f"the model of run `{run_id}` cannot be loaded: {first_line(error)}"
                ) from error
            return load_model(Path(place) / MODEL)

    def fail(self, run_id: str, reason: str) -> None:
        """Mark a run as failed before it could start, with the reason as a tag."""
        self.client.set_tag(run_id, "mlproject.failure", reason[:5000])
        self.client.set_terminated(run_id, "FAILED")


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
        raise unwritable(uri, error) from error
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
    runs, of what was added to them, and of interrupted ones that were taken up again, are removed.
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
    return run.info.status == "FINISHED" or (is_terminated(run) and RESUMED_BY in run.data.tags)
