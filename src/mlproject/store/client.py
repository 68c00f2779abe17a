"""A tracking store that starts, reopens and amends runs."""

import random
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mlflow.entities import Run
from mlflow.utils.mlflow_tags import (
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from mlproject.names import Tag
from mlproject.store.adoption import check_offered_run, find_offered_run
from mlproject.store.connection import StoreConnection
from mlproject.store.delivery import deliver
from mlproject.store.entries import recordable
from mlproject.store.environment import checked_name, environment_tags, user_name
from mlproject.store.errors import STORE_ERRORS, first_line, is_hopeless, unwritable
from mlproject.store.experiments import make_experiment
from mlproject.store.journal import JOURNAL, Journal
from mlproject.store.tracker import Tracker
from mlproject.system.errors import UserError
from mlproject.system.masking import mask
from mlproject.system.processes import this_process
from mlproject.system.variables import take_run_id

CREATE_SECONDS = 60.0
RUN_ID = re.compile(r"[\w-]+")


class Store(StoreConnection):
    """A tracking store in which runs can be recorded."""

    def start(
        self,
        name: str,
        tags: Mapping[str, str],
        root: Path,
        experiment: str | None = None,
        parent: str | None = None,
    ) -> Tracker:
        """Start a run, or take the run that ``mlflow run`` made for this process.

        Args:
            name: the run's name in the UI.
            tags: set when the run is made; they override those of ``MLFLOW_TAGS``.
            root: folder of the journals; the run's journal is below it.
            experiment: name of the experiment; default: that of MLflow's environment. A run of
                ``mlflow run`` must be in it, because a run cannot be moved.
            parent: id of the parent run.

        Raises:
            UserError: the name, the experiment or ``MLFLOW_TAGS`` is invalid, or the store cannot
                be written.
        """
        process = str(this_process())
        first = {MLFLOW_USER: user} if (user := user_name()) else {}
        first |= {**environment_tags(), **tags, MLFLOW_RUN_NAME: checked_name(name)}
        first |= {Tag.PROCESS: process, Tag.HEARTBEAT: f"{time.time():.0f}"}
        first |= {MLFLOW_PARENT_RUN_ID: parent} if parent else {}
        first = {key: recordable(value) for key, value in first.items()}
        try:
            run = find_offered_run(self.client)
            if run:
                self._check_experiment(run, experiment)
                take_run_id()
            else:
                run = self._create(checked_name(name), first, experiment)
            self.prepare_for_ui(run.info.experiment_id)
            origin = {
                "store": self.address,
                "file": self.inode,
                "made": self.made,
                "experiment": self.client.get_experiment(run.info.experiment_id).name,
                "started": run.info.start_time,
            }
        except STORE_ERRORS as error:
            raise unwritable(self.uri, error) from error
        journal = Journal(root / run.info.run_id)
        try:
            journal.own(process)
            journal.set_origin(origin)
            tracker = Tracker(self, run, journal)
            tracker.tags(first)  # a new run has them: `recreate` needs them in the journal too
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

    def reopen(self, run_id: str, root: Path) -> Tracker:
        """Continue a run that has ended, in this process.

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
        """Add to a finished run, whose status stays; end with `Tracker.close`.

        Args:
            run_id: the run.
            root: folder of the journals, see `start`.

        Raises:
            UserError: no such run, the run has not finished, another process adds to it, or the
                store cannot be written.
        """
        run = self.run(run_id)
        if run.info.status != "FINISHED":
            raise UserError(
                f"results can be added to finished runs only: got {run_id}, which is "
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

    def take_offered_run(self) -> str | None:
        """Return, once, the id of the run that ``mlflow run`` made for this process."""
        run = find_offered_run(self.client)
        take_run_id()
        return run.info.run_id if run else None

    def fail(self, run_id: str, reason: str) -> None:
        """Mark the run that ``mlflow run`` made as failed before it started.

        A run that was not made for this process stays as it is.
        """
        if check_offered_run(self.client, run_id)[0] is not None:
            self.client.set_tag(run_id, Tag.FAILURE, mask(reason)[:5000])
            self.client.set_terminated(run_id, "FAILED")

    def has_lost(self, journal: Journal) -> bool:
        """Return whether the store was replaced after the journal's run was made in it."""
        origin = journal.origin
        if origin.get("store") != self.address:
            return False
        file, made = origin.get("file"), origin.get("made")
        other_file = isinstance(file, int) and self.inode is not None and file != self.inode
        return other_file or (isinstance(made, int) and (self.made or made) != made)

    def recreate(self, journal: Journal) -> Journal:
        """Make a run again in a store that has lost it; return its journal, to be delivered."""
        origin = journal.origin
        experiment_id = self.experiment(str(origin.get("experiment") or "Default"))
        made = self.client.search_runs(
            [experiment_id],
            f"tags.`{Tag.RECREATED_FROM}` = '{journal.run_id}'",
            max_results=1,
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

    def _check_experiment(self, run: Run, name: str | None) -> None:
        """Raise a `UserError` if the run that ``mlflow run`` made is in another experiment."""
        if name is None:
            return
        actual = self.client.get_experiment(run.info.experiment_id).name
        if actual != name:
            raise UserError(
                f"`experiment` must be that of the run which `mlflow run` has created, {actual!r}: "
                f"got {name!r}; use --experiment-name {name} instead of -P experiment=..."
            )

    def _create(self, name: str, tags: Mapping[str, str], experiment: str | None) -> Run:
        """Create a run with its tags; retry for a minute while the store is busy or away.

        A mark identifies the run, so that a lost answer does not leave a second run behind. A
        refusal is not retried.
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
                run = self.client.create_run(
                    experiment_id, tags={**tags, Tag.MARK: mark}, run_name=name
                )
                if RUN_ID.fullmatch(run.info.run_id):
                    return run
                raise OSError("the answer has no id of a run")  # it names a folder, see `Journal`
            except STORE_ERRORS as error:
                if is_hopeless(error) or time.monotonic() > until:
                    raise
                time.sleep(1.0 + random.random())
