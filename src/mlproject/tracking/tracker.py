"""One run that tells what happens to it."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from mlproject.journal import Journal
from mlproject.tracking.basis import HEARTBEAT, STORE_ERRORS, first_line
from mlproject.tracking.delivery import deliver

if TYPE_CHECKING:
    from mlproject.tracking.store import Store

HEARTBEAT_SECONDS = 30.0
RETRY_SECONDS = 30.0


class Tracker:
    """One run's way to tell: parameters, metrics, tags, artifacts."""

    def __init__(self, store: "Store", run: Run, journal: Journal) -> None:
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

    def close(self) -> bool:
        """Deliver what was added to a run that had ended, whose status stays as it is.

        Returns:
            Whether the store has everything; otherwise `sync` delivers the rest later.
        """
        done = self.flush(force=True)
        if done:
            self.journal.remove()
        return done

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
