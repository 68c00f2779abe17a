"""The run of a sweep, parent of the runs of its cells."""

import socket
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlproject.names import Tag
from mlproject.store import STORE_ERRORS, Store, Tracker, user_name
from mlproject.store.liveness import end_dead, find_runs, is_alive
from mlproject.sweeps.ledger import Ledger
from mlproject.sweeps.plan import Plan
from mlproject.sweeps.run_state import is_worked_on
from mlproject.system.errors import UserError
from mlproject.system.masking import mask_addresses

PUBLISH_SECONDS = 10.0


class SweepRun:
    """The run of the sweep, parent of the cells' runs.

    Attributes:
        plan: the plan.
        store: the tracking store.
        tracker: recorder of the run.
        note: a line about a run of the sweep that another user or folder began, else "".
    """

    def __init__(self, store: Store, plan: Plan, home: Path, experiment: str | None) -> None:
        root = self._root = home / "runs"
        experiment_id = store.experiment(experiment)
        older = find_runs(store, experiment_id, sweep=plan.name)
        open_ones = [run for run in older if Tag.CONTINUED_BY not in run.data.tags]
        adopted = store.take_offered_run() if open_ones else None
        tags = {Tag.SWEEP: plan.name}
        place = _place(home)
        self.note = ""
        if open_ones:
            self.note = _note(plan.name, open_ones[0], place, root)
            self.tracker = store.reopen(open_ones[0].info.run_id, root)
        else:
            self.tracker = store.start(plan.name, tags, root, experiment)
        self._second: Tracker | None = None
        if adopted:
            self._second = store.reopen(adopted, root)
            went_on = {Tag.CONTINUED_BY: self.tracker.run_id, **tags}
            self._second.tags({**went_on, "mlflow.runName": f"{plan.name} · restarted"})
            link = f"#/experiments/{experiment_id}/runs/{self.tracker.run_id}"
            self._second.note(f"Went on with the sweep [{plan.name}]({link}), where the runs are.")
        self.plan, self.store = plan, store
        self._forget_failure()
        self._published = 0.0
        self._last: Mapping[str, float] = {}
        name = "search" if plan.search else "grid"
        self.tracker.tags({Tag.SWEEP_KIND: name, Tag.SWEEP_PLACE: place})
        text = mask_addresses(plan.text)  # `search.storage` may have a password
        self.tracker.artifact("plan.yaml", lambda path: path.write_text(text, "utf-8"))

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.tracker.run_id

    @property
    def experiment_id(self) -> str:
        """Id of the experiment of the run and its children."""
        return self.tracker.experiment_id

    def publish(self, ledger: Ledger, force: bool = False) -> None:
        """Record the progress of the sweep, a few times a minute."""
        self.tracker.beat()
        if self._second:
            self._second.beat()
        now, counts = time.monotonic(), ledger.counts()
        if counts == self._last or (now - self._published < PUBLISH_SECONDS and not force):
            return
        self._published, self._last = now, counts
        self.tracker.metrics(counts)
        self.tracker.tags({Tag.PROGRESS: ledger.line()})
        self.tracker.note(ledger.note(self.experiment_id))
        self.tracker.artifact("cells.csv", lambda path: path.write_text(ledger.table(), "utf-8"))

    def artifact(self, path: str, write: Callable[[Path], object]) -> None:
        """Record an artifact of the sweep."""
        self.tracker.artifact(path, write)

    def end_lost(self, reason: str, ended: Collection[str] = ()) -> int:
        """End child runs that are RUNNING in the store although no process works on them.

        If the local record of a child holds its end, that is delivered instead.

        Args:
            reason: reason to record.
            ended: tokens of attempts that have ended, see `is_worked_on`.

        Returns:
            The number of runs that were ended.
        """
        lost = [
            run
            for run in find_runs(self.store, self.experiment_id, parent=self.run_id)
            if run.info.status == "RUNNING" and not is_worked_on(run, self._root, ended)
        ]
        count = 0
        for run in lost:
            with suppress(UserError):
                end_dead(self.store, run, reason, root=self._root)
                count += 1
        return count

    def finish(self, status: str, reason: str | None = None) -> None:
        """Record the end of the sweep, or of this session of it."""
        self.tracker.finish(status, reason)
        if status == "FINISHED":
            self._forget_failure()
        if self._second:
            self._second.finish(status, reason)

    def _forget_failure(self) -> None:
        """Remove the recorded reason for the end of an earlier session."""
        with suppress(UserError, *STORE_ERRORS):
            if Tag.FAILURE in self.store.run(self.run_id).data.tags:
                self.store.client.delete_tag(self.run_id, Tag.FAILURE)


def _place(home: Path) -> str:
    return f"{user_name() or 'unknown'}@{socket.gethostname()}:{home.resolve()}"


def _note(name: str, run: Any, place: str, root: Path) -> str:
    """Return what a user should know who goes on with the sweep of somebody else."""
    before = run.data.tags.get(Tag.SWEEP_PLACE, place)
    if before == place:
        return ""
    state = "is at work on it" if is_alive(run, root) else "worked on it last"
    return (
        f"sweep {name} goes on in run {run.info.run_id[:12]}, and takes over its finished cells: "
        f"{before} {state}; rename the plan, or give --experiment, to keep yours apart"
    )
