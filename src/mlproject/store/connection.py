"""A connection to a tracking store: its page in the MLflow UI, its artifacts and models."""

import json
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow
from mlflow.entities import LoggedModel, Run

from mlproject.names import Metric
from mlproject.store.errors import STORE_ERRORS, first_line
from mlproject.store.runs import StoreRuns
from mlproject.system.errors import UserError
from mlproject.system.masking import without_credentials

UI = "http://127.0.0.1:5000"  # where `make ui` serves
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


class StoreConnection(StoreRuns):
    """An open tracking store."""

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

    def prepare_for_ui(self, experiment_id: str) -> None:
        """Tag the experiment for the MLflow UI.

        Concurrent runs may set a tag at the same moment; a refusal does no harm.
        """
        present = self.client.get_experiment(experiment_id).tags
        for key, value in EXPERIMENT_TAGS.items():
            if key not in present:
                with suppress(*STORE_ERRORS):
                    self.client.set_experiment_tag(experiment_id, key, value)

    def local_artifact(self, run_id: str, path: str) -> Path | None:
        """Return the path of an artifact on this computer, None if it is elsewhere."""
        try:
            root = urlsplit(str(self.client.get_run(run_id).info.artifact_uri))
        except STORE_ERRORS:
            return None
        folder = Path(url2pathname(root.path)) if root.scheme == "file" else Path(root.geturl())
        found = folder / path
        return found if root.scheme in ("", "file") and found.exists() else None

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
