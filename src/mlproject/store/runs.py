"""A connection to a tracking store: its experiments and runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from mlproject.store.errors import STORE_ERRORS, is_permanent, unwritable
from mlproject.store.experiments import find_experiment, make_experiment
from mlproject.system.errors import UserError
from mlproject.system.masking import mask

PAGE = 1000
SHORT_ID = re.compile(r"[0-9a-f]{4,31}")
MOST_NAMED = 3


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a file, which a file put in its place does not share."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class StoreRuns:
    """The experiments and runs of an open tracking store.

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

    @property
    def made(self) -> int | None:
        """The time when the store was made, ms since 1970, None if unknown.

        It distinguishes a store from another one at the same address. A file put in the place of a
        removed one may even get its inode.
        """
        with suppress(*STORE_ERRORS):
            return self.client.get_experiment("0").creation_time
        return None

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
