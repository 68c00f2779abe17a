"""A tracking store: opened, asked for runs, brought up to date."""

import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME, MLFLOW_SOURCE_TYPE

from mlproject.names import Metric, Tag
from mlproject.store.adoption import find_offered, offered_run
from mlproject.store.basis import (
    STORE_ERRORS,
    first_line,
    is_permanent,
    unwritable,
)
from mlproject.store.delivery import deliver
from mlproject.store.experiments import find_experiment, make_experiment
from mlproject.store.journal import JOURNAL, Journal
from mlproject.store.naming import environment_tags, one_line
from mlproject.store.tracker import Tracker
from mlproject.system.errors import UserError
from mlproject.system.masking import mask, mask_addresses
from mlproject.system.processes import this_process
from mlproject.system.variables import take_run_id

CREATE_SECONDS = 60.0
MODEL = "data/model.keras"  # where MLflow puts a Keras model


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other that has had its name, None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Store:
    """A tracking store: its address, and the runs in it."""

    def __init__(self, uri: str, client: mlflow.MlflowClient, path: Path | None = None) -> None:
        self.uri = uri
        self.client = client
        self._path = path
        self._identity = identity(path) if path else None

    @property
    def address(self) -> str:
        """The address as it may be shown: without credentials."""
        return mask(self.uri)

    def check_file(self) -> None:
        """Say whether the file of a SQLite store is still the one that was opened.

        Raises:
            FileNotFoundError: it was removed or replaced, and what is written would be lost.
        """
        if self._path is not None and identity(self._path) != self._identity:
            state = "replaced" if self._path.exists() else "removed"
            raise FileNotFoundError(f"the tracking store {self._path} was {state}")

    def experiment(self, name: str | None = None) -> str:
        """Return the id of the experiment `name` (default: as MLflow's environment says).

        Raises:
            UserError: it is deleted, does not exist and cannot be made, or the store is away.
        """
        try:
            return make_experiment(self.client, name)
        except STORE_ERRORS as error:
            raise unwritable(self.uri, error) from error

    def find_experiment(self, name: str | None = None) -> str | None:
        """Return the id that `experiment` would give, None if it would have to be made."""
        found = find_experiment(self.client, name)
        return None if found is None else str(found.experiment_id)

    def adopted(self) -> str | None:
        """Return, once, the run that ``mlflow run`` has made for this process."""
        run = self._adoptable()
        take_run_id()
        return run.info.run_id if run else None

    def _adoptable(self) -> Run | None:
        """Return the run of ``MLFLOW_RUN_ID``, None, with a note, if it was not made for us."""
        run_id = offered_run()
        if run_id is None:
            return None
        run, why = find_offered(self.client, run_id)
        if run is None:
            print(f"note: MLFLOW_RUN_ID={run_id} is left as it is: {why}", file=sys.stderr)
            take_run_id()
        return run

    def bytes_of(self, run: Run) -> int:
        """Return how much the artifacts and the model of a run take in the store."""
        client, run_id = self.client, run.info.run_id

        def size(ask: Callable[..., Iterable[Any]], owner: str, path: str | None = None) -> int:
            return sum(
                size(ask, owner, item.path) if item.is_dir else item.file_size or 0
                for item in ask(owner, path)
            )

        outputs = run.outputs.model_outputs if run.outputs else []
        models = {model.model_id for model in outputs}
        return size(client.list_artifacts, run_id) + sum(
            size(client.list_logged_model_artifacts, model) for model in models
        )

    def run(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            UserError: there is none of that id.
        """
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if not is_permanent(error):
                raise unwritable(self.uri, error) from error
            raise UserError(
                f"no run `{run_id}` in the tracking store {self.address}: take an id from the "
                "MLflow UI; with `mlflow run`, start it in the project's folder or set "
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
            experiment: name of the experiment; default as MLflow's environment says. A run of
                ``mlflow run`` must be in it: it cannot be moved.
            parent: id of the parent run.

        Raises:
            UserError: the name, the experiment or ``MLFLOW_TAGS`` cannot be, or the store cannot be
                written.
        """
        process = str(this_process())
        told = {**environment_tags(), **tags, MLFLOW_RUN_NAME: one_line(name)}
        told |= {Tag.PROCESS: process, Tag.HEARTBEAT: f"{time.time():.0f}"}
        told |= {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
        told = {key: mask_addresses(value) for key, value in told.items()}
        try:
            run = self._adoptable()
            if run:
                self._refuse_other_experiment(run, experiment)
                take_run_id()
            else:
                run = self._create(one_line(name), told, experiment)
            self.prepare_for_ui(run.info.experiment_id)
            origin = self._origin(run)
        except STORE_ERRORS as error:
            raise unwritable(self.uri, error) from error
        journal = Journal(root / run.info.run_id)
        try:
            journal.own(process)
            journal.come_from(origin)
            tracker = Tracker(self, run, journal)
            tracker.tags(told)  # again for one just made: the journal alone can then make it anew
        except OSError as error:
            with suppress(*STORE_ERRORS):
                self.client.set_tag(run.info.run_id, Tag.FAILURE, first_line(error))
                self.client.set_terminated(run.info.run_id, "FAILED")
            raise UserError(
                f"the record of a run must be written to {journal.folder}: "
                f"{error.strerror or error}; make room, then start again"
            ) from error
        if MLFLOW_SOURCE_TYPE in run.data.tags:
            tracker.flush()
        tracker.measure_machine()
        return tracker

    def has_lost(self, journal: Journal) -> bool:
        """Return whether the file of the store is another than the one where a run was made."""
        file = self._identity[1] if self._identity else None
        origin = journal.origin
        return (
            file is not None
            and origin.get("store") == self.address
            and isinstance(origin.get("file"), int)
            and origin["file"] != file
        )

    def make_anew(self, journal: Journal) -> Journal:
        """Make a run once more, in a store that has lost it; return its record, to be delivered."""
        origin = journal.origin
        experiment_id = self.experiment(str(origin.get("experiment") or "Default"))
        made = self.client.search_runs(
            [experiment_id], f"tags.`{Tag.RECREATED_FROM}` = '{journal.run_id}'", max_results=1
        )
        if made:
            return journal.rename(made[0].info.run_id)
        started = origin.get("started")
        run = self.client.create_run(
            experiment_id,
            started if isinstance(started, int) else None,
            {Tag.RECREATED_FROM: journal.run_id},
        )
        return journal.rename(run.info.run_id)

    def _origin(self, run: Run) -> dict[str, Any]:
        return {
            "store": self.address,
            "file": self._identity[1] if self._identity else None,
            "experiment": self.client.get_experiment(run.info.experiment_id).name,
            "started": run.info.start_time,
        }

    def _refuse_other_experiment(self, run: Run, name: str | None) -> None:
        if name is None:
            return
        theirs = self.client.get_experiment(run.info.experiment_id).name
        if theirs != name:
            raise UserError(
                f"`experiment` of a run that `mlflow run` makes is given to `mlflow run`: got "
                f"{name!r}, the run is in {theirs!r}; say --experiment-name {name} instead of "
                "-P experiment=..."
            )

    def reopen(self, run_id: str, root: Path) -> Tracker:
        """Go on with a run that has ended, as this process.

        Raises:
            UserError: no such run, or the store cannot be written.
        """
        run = self.run(run_id)
        journal = Journal(root / run_id)
        journal.own(str(this_process()))
        tracker = Tracker(self, run, journal)
        tracker.tags({Tag.PROCESS: str(this_process()), Tag.HEARTBEAT: f"{time.time():.0f}"})
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
        journal = Journal(root / run_id)
        journal.own(str(this_process()))
        return Tracker(self, run, journal)

    def _create(self, name: str, tags: Mapping[str, str], experiment: str | None) -> Run:
        """Create a run with its tags; a store that is busy or away is asked again for a minute.

        What it refuses for good, it is not asked again.

        An answer that was lost does not leave a second run behind: the first has a mark.
        """
        mark = secrets.token_hex(8)
        until = time.monotonic() + CREATE_SECONDS
        experiment_id = ""
        while True:
            try:
                if experiment_id and (
                    made := self.client.search_runs(
                        [experiment_id], f"tags.`{Tag.MARK}` = '{mark}'", max_results=1
                    )
                ):
                    return made[0]
                experiment_id = make_experiment(self.client, experiment)
                return self.client.create_run(
                    experiment_id, tags={**tags, Tag.MARK: mark}, run_name=name
                )
            except STORE_ERRORS as error:
                if is_permanent(error) or time.monotonic() > until:
                    raise
                time.sleep(1.0 + random.random())

    def prepare_for_ui(self, experiment_id: str) -> None:
        """Let the UI open the experiment as model training, with the metric that matters most.

        Of runs that set a tag at the same moment one may be refused: it is set all the same.
        """
        present = self.client.get_experiment(experiment_id).tags
        wanted = {
            "mlflow.experimentKind": "custom_model_development",
            "mlflow.experiment.primaryMetric.name": Metric.TEST_AUROC,
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
        from mlproject.network.saving import load_model

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
            try:
                return load_model(Path(place) / MODEL)
            except UserError as error:
                raise UserError(f"the model of run `{run_id}` is no use: {error}") from error

    def fail(self, run_id: str, reason: str) -> None:
        """Mark the run that ``mlflow run`` has made as failed before it could start.

        Any other run that a left-over ``MLFLOW_RUN_ID`` may name is left as it is.
        """
        if find_offered(self.client, run_id)[0] is not None:
            self.client.set_tag(run_id, Tag.FAILURE, mask(reason)[:5000])
            self.client.set_terminated(run_id, "FAILED")
