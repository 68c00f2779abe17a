"""Record one run: parameters, metrics, tags, artifacts, model, end."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from mlproject.names import Tag
from mlproject.store.connection import StoreConnection
from mlproject.store.delivery_thread import DeliveryThread
from mlproject.store.entries import recordable
from mlproject.store.errors import STORE_ERRORS, first_line
from mlproject.store.journal import Journal
from mlproject.store.machine import MachineMetrics
from mlproject.system.masking import mask


class Tracker:
    """Records one run.

    Each call writes to the journal on the disk and returns; a thread delivers.

    Attributes:
        store: where the run is.
        run_id: its id.
        experiment_id: the id of its experiment.
        journal: its journal.
        seconds: time that the run has waited for its tracker.
    """

    def __init__(self, store: StoreConnection, run: Run, journal: Journal) -> None:
        self.store = store
        self.run_id: str = run.info.run_id
        self.experiment_id: str = run.info.experiment_id
        self.journal = journal
        self.seconds = 0.0
        self._logged = set(run.data.params)
        self._delivery = DeliveryThread(store, journal)
        self._machine: MachineMetrics | None = None
        self._trouble: str | None = None
        self._delivery.start()

    @property
    def problem(self) -> str | None:
        """Why the store lacks entries, None if no attempt to deliver has failed."""
        return self._trouble or self._delivery.problem

    def measure_machine(self) -> None:
        """Record ``system/...`` metrics too, if MLflow's environment enables them."""
        self._machine = MachineMetrics(self.run_id, self.metrics)

    def params(self, values: Mapping[str, object]) -> None:
        """Record parameters; those that ``mlflow run`` has logged stay as they are."""
        new = {key: recordable(value) for key, value in values.items() if key not in self._logged}
        self._logged |= set(new)
        self._record("params", values=new)

    def tags(self, values: Mapping[str, str]) -> None:
        """Record tags."""
        self._record("tags", values={key: recordable(one) for key, one in values.items()})

    def tag_other(self, run_id: str, key: str, value: str) -> None:
        """Record a tag of another run."""
        self._record("tag_other", run_id=run_id, key=key, value=recordable(value))

    def note(self, text: str) -> None:
        """Record the run's description (Markdown)."""
        self.tags({MLFLOW_RUN_NOTE: text})

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Record metrics; values that are not finite are left out."""
        finite = {key: float(value) for key, value in values.items() if np.isfinite(value)}
        self._record("metrics", values=finite, step=step, time=int(time.time() * 1000))

    def input(self, name: str, sha256: str, source: str, context: str, profile: str) -> None:
        """Record a split of a data set as the run's input, with the data set's SHA-256."""
        content = {"name": name, "digest": sha256[:36], "source": recordable(source)}
        self._record("input", **content, profile=profile, context=context)

    def artifact(self, path: str, write: Callable[[Path], object]) -> None:
        """Record an artifact: `write` is called with the local path ``artifacts/PATH``."""
        target = self.journal.artifacts / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target)
        self._record("artifact", path=path)

    def artifact_if_there(self, path: str) -> None:
        """Record ``artifacts/PATH``, which was written elsewhere, if it exists."""
        if (self.journal.artifacts / path).exists():
            self._record("artifact", path=path)

    def remove(self, path: str) -> None:
        """Remove an artifact from the local disk and from the store."""
        (self.journal.artifacts / path).unlink(missing_ok=True)
        self._record("remove", path=path)

    def model(self, model: Any, requirements: Sequence[str], **content: Any) -> None:
        """Record a Keras model with signature and requirements as ``model`` and ``dna``.

        Args:
            model: the network.
            requirements: of pip.
            content: ``classes``, ``average``, ``backend`` and ``example``, see
                `mlproject.store.models.log_models`.
        """
        from mlproject.network.saving import save_model

        save_model(model, self.journal.folder / "model.keras")
        entry = {"path": "model.keras", "requirements": list(requirements), **content}
        self._record("model", **entry)

    def beat(self) -> None:
        """Keep the heartbeat running, also after a fork."""
        self._delivery.start()

    def flush(self) -> bool:
        """Wait for the delivery of all entries, see `DeliveryThread.deliver`.

        A training need not call this. It returns at once if the last attempt failed.

        Returns:
            Whether the store has all entries.
        """
        if self.problem is not None:
            return False
        started = time.perf_counter()
        done = self._delivery.deliver()
        self.seconds += time.perf_counter() - started
        return done

    def close(self) -> bool:
        """Deliver the additions to a finished run, whose status stays.

        Returns:
            Whether the store has all entries; otherwise `sync` delivers the rest later.
        """
        return self._end(remove=True)

    def finish(self, status: str, reason: str | None = None, without: Sequence[str] = ()) -> bool:
        """Record the run's end and deliver all entries.

        If the store does not answer for a minute, `sync` has to deliver the rest later.

        Args:
            status: FINISHED, FAILED or KILLED.
            reason: why it failed or was killed.
            without: artifacts to remove after the end is recorded.

        Returns:
            Whether the store has all entries.

        Raises:
            OSError: the end of a FINISHED run cannot be written to the disk. Any other end is then
                sent to the store directly.
        """
        try:
            self._stop_measuring()
            if reason:
                self._record("tags", values={Tag.FAILURE: mask(reason)[:5000]})
            self._record("status", status=status, time=int(time.time() * 1000))
            for path in without:
                self.remove(path)
        except OSError as error:
            if status == "FINISHED":
                raise
            self._trouble = first_line(error)
            self.journal.disown()
            self._delivery.stop()
            self._end_in_store(status, reason)
            return False
        return self._end(remove=status == "FINISHED")

    def _end(self, remove: bool) -> bool:
        self._stop_measuring()
        started = time.perf_counter()
        done = self._delivery.deliver(at_end=True, verify=remove)
        self._delivery.stop()
        self.seconds += time.perf_counter() - started
        if done and remove:
            self.journal.remove()
        elif not done:
            self.journal.disown()
        return done

    def _end_in_store(self, status: str, reason: str | None) -> None:
        try:
            if reason:
                self.store.client.set_tag(self.run_id, Tag.FAILURE, mask(reason)[:5000])
            self.store.client.set_terminated(self.run_id, status)
        except STORE_ERRORS:
            return  # `sync` ends it later as a run whose process was lost

    def _stop_measuring(self) -> None:
        if self._machine is not None:
            self._machine.stop()

    def _record(self, kind: str, **content: Any) -> None:
        started = time.perf_counter()
        self.journal.append(kind, **content)
        self._delivery.wake()
        self.seconds += time.perf_counter() - started
