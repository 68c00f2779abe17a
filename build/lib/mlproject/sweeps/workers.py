"""Workers of a sweep: processes of this machine, or those of a running Dask cluster."""

import asyncio
import logging
import math
import queue
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import dask
from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker
from distributed.comm import connect
from distributed.security import Security

from mlproject.sweeps import SOURCE
from mlproject.sweeps.local_workers import LocalWorkers
from mlproject.sweeps.task import CellTask
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

TIMEOUT_SECONDS = 30.0


class WorkerEvent(NamedTuple):
    """A message about a submission.

    Attributes:
        kind: ``start``, ``epoch``, ``note``, or ``end`` of its future.
        token: token of the submission.
        content: further values of the kind.
    """

    kind: str
    token: str
    content: Mapping[str, Any]


class Workers:
    """Runs tasks on workers and queues the workers' events."""

    def __init__(self, client: Client, local: LocalWorkers | None, resources: Mapping[str, float]):
        self.events: queue.SimpleQueue[WorkerEvent] = queue.SimpleQueue()
        self._client = client
        self._local = local
        self._resources = dict(resources)
        self._futures: dict[str, Future] = {}
        self._restarted_bytes = 0
        self._call = portable(SOURCE)

    def listen(self, sweep: str) -> None:
        """Queue the events of a sweep's workers."""

        def enqueue(event: tuple[float, Mapping[str, Any]]) -> None:
            content = event[1]
            self.events.put(WorkerEvent(content["kind"], content["token"], content))

        self._client.subscribe_topic(sweep, enqueue)
        self._client.subscribe_topic("worker-restart-memory", self._note_memory)

    def _note_memory(self, event: tuple[float, Mapping[str, Any]]) -> None:
        self._restarted_bytes = max(self._restarted_bytes, int(event[1]["rss"]))

    def reason_lost(self, error: KilledWorker) -> str:
        """Return why a task was given up after several of its workers were lost."""
        reason = f"its worker was lost {error.allowed_failures + 1} times"
        if not self._restarted_bytes:
            return reason
        return (
            f"{reason}; a worker with {self._restarted_bytes / 1e9:.1f} GB was restarted at its "
            "memory limit: with a smaller --workers each has more"
        )

    @property
    def warning(self) -> str:
        """Warning about a scheduler without certificates, '' if none is needed."""
        scheduler: Any = self._client.scheduler
        address = str(scheduler.address)
        if self._local is not None or address.startswith(("tls://", "wss://", "inproc://")):
            return ""
        return (
            f"whoever reaches the scheduler {address} can run code as you: start it and its "
            "workers with TLS certificates, and use tls://… (docs/sweeps.md)"
        )

    @property
    def slots(self) -> int:
        """Number of cells that can run at once."""
        return sum(self._client.nthreads().values()) if self._alive() else 0

    def check(self) -> None:
        """Raise a `UserError` if the scheduler is lost."""
        if not self._alive():
            raise UserError(
                "the Dask scheduler must stay reachable: the connection is lost; start the same "
                "plan again, nothing is lost"
            )

    def probe(self) -> None:
        """Raise a `UserError` if a worker cannot import the package."""
        try:
            self._client.run(self._call, "probe")
        except Interrupted:
            raise
        except Exception as error:
            raise UserError(
                f"workers must be able to import mlproject, installed or from {SOURCE}: "
                f"{type(error).__name__}: {' '.join(str(error).split())}"
            ) from error

    def submit(self, task: CellTask) -> None:
        """Send a task to a free worker; its end becomes an event."""
        future = self._client.submit(
            self._call,
            "run_cell",
            task._asdict(),
            key=f"cell-{task.token}",
            pure=False,
            resources=self._resources or None,
        )
        self._futures[task.token] = future
        future.add_done_callback(lambda done: self.events.put(WorkerEvent("end", task.token, {})))

    def result(self, token: str) -> dict[str, Any]:
        """Return the outcome of an ended task as a dict; raise the error that Dask has for it."""
        outcome: dict[str, Any] = self._futures.pop(token).result()
        return outcome

    def cancel(self, token: str) -> None:
        """Drop a task that has not started."""
        if future := self._futures.pop(token, None):
            future.cancel()

    def stop(self, token: str, reason: str) -> None:
        """Ask the cell of a token, or all cells of a sweep, to stop before the next step."""
        with suppress(Exception):
            self._client.run(self._call, "stop", token, reason, on_error="ignore")

    def close(self, at_once: bool = False) -> None:
        """End the workers of this machine, by a kill if `at_once`; leave those of a cluster."""
        if at_once and self._local is not None:
            self._local.kill()
        with suppress(Exception):
            self._client.close(timeout=5)
        if self._local is not None:
            self._local.close()

    def _alive(self) -> bool:
        return bool(self._client.status == "running")


def open_workers(
    workers: int | None, scheduler: str | None, resources: Mapping[str, float], threads: int = 1
) -> Workers:
    """Start workers on this machine, or connect to a scheduler.

    Args:
        workers: number of processes to start; default one a core.
        scheduler: address of a running scheduler, ``tcp://host:8786``.
        resources: amounts of a worker's resources that a cell occupies, ``{"GPU": 1}``.
        threads: number of threads of each process of this machine.

    Raises:
        UserError: no scheduler answers at the address, or both workers and scheduler are given.
    """
    for name in ("distributed", "distributed.client", "distributed.scheduler", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    dask.config.set({"distributed.comm.timeouts.connect": "30s"})
    for name, amount in resources.items():
        if not name or not (math.isfinite(amount) and amount > 0):
            raise UserError(f"`--resources` must be NAME=N with N above 0: got {name}={amount:g}")
    if scheduler:
        if workers:
            raise UserError("`--workers` starts processes here: leave it out with --scheduler")
        opened = Workers(_connect(scheduler), None, resources)
    else:
        local = LocalWorkers(workers or CPU_COUNT, threads, resources)
        opened = Workers(Client(local.cluster, set_as_default=False), local, resources)
    try:
        opened.probe()
    except UserError:
        opened.close()
        raise
    return opened


def _connect(scheduler: str) -> Client:
    try:
        asyncio.run(
            _check_reachable(scheduler)
        )  # a client that cannot connect ends only after a minute
        return Client(scheduler, timeout=TIMEOUT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"`--scheduler` must be the address of a running Dask scheduler: got {scheduler} "
            f"({' '.join(str(error).split())})"
        ) from error


async def _check_reachable(scheduler: str) -> None:
    arguments = Security().get_connection_args("client")
    comm = await connect(scheduler, timeout=TIMEOUT_SECONDS, **arguments)
    await comm.close()


def portable(source: str) -> Any:
    """Return a function that calls a function of `mlproject.sweeps.worker` on a worker.

    Dask pickles a nested function by value, so a worker without an installed package can unpickle
    it. Such a worker imports the package from `source`.
    """

    def call(function: str, *arguments: Any) -> Any:
        import importlib
        import sys

        if source not in sys.path:
            sys.path.insert(0, source)
        module = importlib.import_module("mlproject.sweeps.worker")
        return getattr(module, function)(*arguments)

    return call
