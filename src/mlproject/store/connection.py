"""A connection to a tracking store: it finds runs, experiments, artifacts and models."""

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
from mlflow.entities import LoggedModel, Run
from mlflow.exceptions import MlflowException

from mlproject.names import Metric
from mlproject.store.errors import STORE_ERRORS, first_line, is_permanent, unwritable
from mlproject.store.experiments import find_experiment, make_experiment
from mlproject.system.errors import UserError
from mlproject.system.masking import mask, without_credentials

PAGE = 1000
UI = "http://127.0.0.1:5000"  # where `make ui` serves
SHORT_ID = re.compile(r"[0-9a-f]{4,31}")
MOST_NAMED = 3
MODEL = "data/model.keras"  # where MLflow puts a Keras model
VIEW = "mlproject"  # name of the view of an experiment that links open
COLUMNS = (
    "params.`arch`", "params.`pool1`", f"metrics.`{Metric.TEST_AUROC}`",
    "metrics.`conv1/match_relevant`", "metrics.`conv1/coverage`",
)  # fmt: skip
EXPERIMENT_TAGS = {  # the UI opens the experiment as model training, sorted by this metric
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": Metric.TEST_AUROC,
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    f"mlflow.sharedViewState.{VIEW}": json.dumps({"selectedColumns": COLUMNS}),
}


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which a file put in its place does not share."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class StoreConnection:
    """An open tracking store.

    Attributes:
        uri: its address.
        client: MLflow's client for it.
    """

    def __init__(self, uri: str, client: mlflow.MlflowClient, path: Path | None = None) -> None:
        """Connect to a store; `path` is the file of a SQLite store."""
        self.uri = uri
        self.client = client
        self._path = path
        self._identity = file_identity(path) if path else None

    @property
    def address(self) -> str:
        """The address without credentials, for messages."""
        return mask(self.uri)

    @property
    def inode(self) -> int | None:
        """The inode of a SQLite store, None for any other store."""
        return self._identity[1] if self._identity else None

    def ui_address(self, experiment_id: str, run_id: str = "") -> str:
        """Return the address of a run, or of an experiment's runs, in the MLflow UI.

        That of an experiment opens the table with the columns that matter. The UI of a server is
        the server; that of another store is the one that ``make ui`` starts.
        """
        server = self.uri.startswith("http")
        base = without_credentials(self.uri).rstrip("/") if server else UI
        place = f"{base}/#/experiments/{experiment_id}/runs"
        query = f"workflowType=machine_learning&viewStateShareKey={VIEW}"
        return f"{place}/{run_id}" if run_id else f"{place}?{query}"

    def links(self) -> dict[str, str]:
        """Return name -> address in the MLflow UI of each experiment with runs of this project."""
        found = self.client.search_experiments(order_by=["last_update_time DESC"])
        tag = f"mlflow.sharedViewState.{VIEW}"
        return {one.name: self.ui_address(one.experiment_id) for one in found if tag in one.tags}

    def local_artifact(self, run_id: str, path: str) -> Path | None:
        """Return the path of an artifact on this computer, None if it is elsewhere."""
        try:
            root = urlsplit(str(self.client.get_run(run_id).info.artifact_uri))
        except STORE_ERRORS:
            return None
        folder = Path(url2pathname(root.path)) if root.scheme == "file" else Path(root.geturl())
        found = folder / path
        return found if root.scheme in ("", "file") and found.exists() else None

    def check_file(self) -> None:
        """Check that the file of a SQLite store is still the one that was opened.

        Raises:
            FileNotFoundError: it was removed or replaced, so that writes would be lost.
        """
        if self._path is not None and file_identity(self._path) != self._identity:
            state = "replaced" if self._path.exists() else "removed"
            raise FileNotFoundError(f"the tracking store {self._path} was {state}")

    def experiment(self, name: str | None = None) -> str:
        """Return the id of the experiment `name`, which is made if it does not exist.

        Args:
            name: default: the experiment of MLflow's environment.

        Raises:
            UserError: it is deleted or cannot be made, or the store does not answer.
        """
        try:
            return make_experiment(self.client, name)
        except STORE_ERRORS as error:
            raise unwritable(self.uri, error) from error

    def find_experiment(self, name: str | None = None) -> str | None:
        """Return the id that `experiment` would return, None if the experiment does not exist."""
        found = find_experiment(self.client, name)
        return None if found is None else str(found.experiment_id)

    def prepare_for_ui(self, experiment_id: str) -> None:
        """Tag the experiment for the MLflow UI.

        Concurrent runs may set a tag at the same moment; a refusal does no harm.
        """
        present = self.client.get_experiment(experiment_id).tags
        for key, value in EXPERIMENT_TAGS.items():
            if key not in present:
                with suppress(*STORE_ERRORS):
                    self.client.set_experiment_tag(experiment_id, key, value)

    def full_id(self, run_id: str) -> str:
        """Return the id of the run that begins with `run_id`; any other text is returned itself.

        Raises:
            UserError: several runs begin with it, or the store does not answer.
        """
        if not SHORT_ID.fullmatch(run_id):
            return run_id
        try:
            experiments = [one.experiment_id for one in self.client.search_experiments()]
            found = self.client.search_runs(
                experiments, f"attributes.run_id LIKE '{run_id}%'", max_results=MOST_NAMED
            )
        except STORE_ERRORS as error:
            raise unwritable(self.uri, error) from error
        if len(found) > 1:
            names = ", ".join(f"{run.info.run_id[:12]} ({run.info.run_name})" for run in found)
            raise UserError(f"the start of a run's id must be of one run: {run_id} is of {names}")
        return str(found[0].info.run_id) if found else run_id

    def run(self, run_id: str) -> Run:
        """Return a run.

        Args:
            run_id: its id, or the start of its id.

        Raises:
            UserError: no run or several runs have that id, or the store does not answer.
        """
        run_id = self.full_id(run_id)
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

    def search(
        self, experiments: Sequence[str], condition: str = "", order: str = "start_time DESC"
    ) -> Iterator[Run]:
        """Yield the runs of experiments that meet MLflow's `condition`, page by page."""
        token = None
        while experiments:
            page = self.client.search_runs(
                list(experiments),
                condition,
                max_results=PAGE,
                order_by=[f"attributes.{order}"],
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run, ended or not, without its journal."""
        for name, value in tags.items():
            self.client.set_tag(run_id, name, value)

    def bytes_of(self, run: Run) -> int:
        """Return the size of a run's artifacts and model in the store, in bytes."""
        client, run_id = self.client, run.info.run_id

        def size(
            list_items: Callable[..., Iterable[Any]], owner: str, path: str | None = None
        ) -> int:
            return sum(
                size(list_items, owner, item.path) if item.is_dir else item.file_size or 0
                for item in list_items(owner, path)
            )

        outputs = run.outputs.model_outputs if run.outputs else []
        models = {model.model_id for model in outputs}
        return size(client.list_artifacts, run_id) + sum(
            size(client.list_logged_model_artifacts, model) for model in models
        )

    def download(self, run_id: str, path: str, folder: Path) -> Path:
        """Copy an artifact of a run (all for ``""``) into `folder` and return its local path.

        Raises:
            UserError: the run has no such artifact.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self.client.download_artifacts(run_id, path, str(folder)))
        except STORE_ERRORS as error:
            raise UserError(
                f"run `{run_id}` has no artifact `{path}`: {first_line(error)}"
            ) from error

    def logged_models(self, run_id: str) -> dict[str, LoggedModel]:
        """Return the logged models of a run: ``model`` and, in newer runs, ``dna``."""
        from mlproject.store.models import models_of

        return models_of(self.client, self.run(run_id))

    def keras_model(self, run_id: str) -> Any:
        """Load the Keras model that a run has logged, in safe mode.

        Raises:
            UserError: the run has logged no model, or the model is damaged or contains code.
        """
        from mlproject.network.saving import load_model

        logged = self.logged_models(run_id).get("model")
        if logged is None:
            raise UserError(f"run `{run_id}` has logged no model: train it, or take another run")
        with tempfile.TemporaryDirectory() as folder:
            try:
                local = mlflow.artifacts.download_artifacts(
                    logged.artifact_location, dst_path=folder, tracking_uri=self.uri
                )
            except STORE_ERRORS as error:
                raise UserError(
                    f"the model of run `{run_id}` cannot be loaded: {first_line(error)}"
                ) from error
            try:
                return load_model(Path(local) / MODEL)
            except UserError as error:
                raise UserError(f"the model of run `{run_id}` cannot be used: {error}") from error
