"""One run that tells what happens to it."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from mlproject.names import Tag
from mlproject.store.basis import STORE_ERRORS, first_line
from mlproject.store.courier import Courier
from mlproject.store.journal import Journal
from mlproject.store.machine import MachineMetrics
from mlproject.system.masking import mask, mask_addresses

if TYPE_CHECKING:
    from mlproject.store.client import Store


class Tracker:
    """One run's way to tell: parameters, metrics, tags, artifacts.

    Each call writes to the journal on the disk and returns; a thread delivers.

    Attributes:
        seconds: time that the run has waited for its record.
    """

    def __init__(self, store: "Store", run: Run, journal: Journal) -> None:
        self.store = store
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.journal = journal
        self.seconds = 0.0
        self._logged = set(run.data.params)
        self._courier = Courier(store, journal)
        self._machine: MachineMetrics | None = None
        self._trouble: str | None = None
        self._courier.start()

    @property
    def problem(self) -> str | None:
        """Why the store lacks something, None as far as it is known to lack nothing."""
        return self._trouble or self._courier.problem

    def measure_machine(self) -> None:
        """Record ``system/...`` metrics too, where MLflow's environment asks for them."""
        self._machine = MachineMetrics(self.run_id, self.metrics)

    def params(self, values: Mapping[str, object]) -> None:
        """Record parameters; those that ``mlflow run`` has logged are left as they are."""
        new = {
            key: mask_addresses(str(value))
            for key, value in values.items()
            if key not in self._logged
        }
        self._logged |= set(new)
        self._tell("params", values=new)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        self._tell("tags", values={key: mask_addresses(str(one)) for key, one in values.items()})

    def tag_other(self, run_id: str, key: str, value: str) -> None:
        """Record a tag of another run."""
        self._tell("tag_other", run_id=run_id, key=key, value=mask_addresses(value))

    def note(self, text: str) -> None:
        """Record the run's description (Markdown)."""
        self.tags({MLFLOW_RUN_NOTE: text})

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record metrics; values that are not finite are left out."""
        finite = {key: float(value) for key, value in values.items() if np.isfinite(value)}
        self._tell("metrics", values=finite, step=step, time=int(time.time() * 1000))

    def input(self, name: str, sha256: str, source: str, context: str, profile: str) -> None:
        """Record a split of a data set as the run's input, under our own hash."""
        content = {"name": name, "digest": sha256[:36], "source": mask_addresses(source)}
        self._tell("input", **content, profile=profile, context=context)

    def artifact(self, path: str, write: Callable[[Path], object]) -> None:
        """Record an artifact: `write` gets the local path that becomes ``artifacts/PATH``."""
        target = self.journal.artifacts / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target)
        self._tell("artifact", path=path)

    def artifact_if_there(self, path: str) -> None:
        """Record ``artifacts/PATH``, which somebody else writes, if it exists."""
        if (self.journal.artifacts / path).exists():
            self._tell("artifact", path=path)

    def remove(self, path: str) -> None:
        """Remove an artifact that is no longer needed, here and in the store."""
        (self.journal.artifacts / path).unlink(missing_ok=True)
        self._tell("remove", path=path)

    def model(self, model: Any, requirements: Sequence[str]) -> None:
        """Record a Keras model with signature and requirements as ``model``."""
        from mlproject.network.saving import save_model

        save_model(model, self.journal.folder / "model.keras")
        self._tell("model", path="model.keras", requirements=list(requirements))

    def beat(self) -> None:
        """Tell the store, twice a minute, that the run is alive: the thread does, if it runs."""
        self._courier.start()

    def flush(self, force: bool = False) -> bool:
        """Wait for what is pending to be delivered, as `Courier.deliver` does.

        A training need not call this. While the store is known to be away it returns at once,
        unless that is to be found out anew.

        Args:
            force: try again, even if the last attempt has just failed.

        Returns:
            Whether the store has everything.
        """
        if self.problem is not None and not force:
            return False
        started = time.perf_counter()
        done = self._courier.deliver()
        self.seconds += time.perf_counter() - started
        return done

    def close(self) -> bool:
        """Deliver what was added to a run that had ended, whose status stays as it is.

        Returns:
            Whether the store has everything; otherwise `sync` delivers the rest later.
        """
        return self._end(gone_with=True)

    def finish(self, status: str, reason: str | None = None, without: Sequence[str] = ()) -> bool:
        """Record the run's end (FINISHED, FAILED, KILLED) and deliver everything.

        That may take a minute longer than the store takes to answer, no more: `sync` delivers the
        rest later.

        Args:
            status: how it ended.
            reason: why it did not go well.
            without: artifacts that nobody needs once the end is recorded.

        Returns:
            Whether the store has everything.

        Raises:
            OSError: the disk cannot take the end of a run that is FINISHED. Any other end is then
                told to the store alone.
        """
        try:
            self._stop_measuring()
            if reason:
                self._tell("tags", values={Tag.FAILURE: mask(reason)[:5000]})
            self._tell("status", status=status, time=int(time.time() * 1000))
            for path in without:
                self.remove(path)
        except OSError as error:
            if status == "FINISHED":
                raise
            self._trouble = first_line(error)
            self.journal.disown()
            self._courier.stop()
            self._tell_end_directly(status, reason)
            return False
        return self._end(gone_with=status == "FINISHED")

    def _end(self, gone_with: bool) -> bool:
        self._stop_measuring()
        started = time.perf_counter()
        done = self._courier.deliver(at_end=True, verify=gone_with)
        self._courier.stop()
        self.seconds += time.perf_counter() - started
        if done and gone_with:
            self.journal.remove()
        elif not done:
            self.journal.disown()
        return done

    def _tell_end_directly(self, status: str, reason: str | None) -> None:
        try:
            if reason:
                self.store.client.set_tag(self.run_id, Tag.FAILURE, mask(reason)[:5000])
            self.store.client.set_terminated(self.run_id, status)
        except STORE_ERRORS:
            return  # `sync` ends it, as a run whose process is lost

    def _stop_measuring(self) -> None:
        if self._machine is not None:
            self._machine.stop()

    def _tell(self, kind: str, **content: Any) -> None:
        started = time.perf_counter()
        self.journal.append(kind, **content)
        self._courier.wake()
        self.seconds += time.perf_counter() - started
