"""Workers: processes of this machine, or those of a running Dask cluster. One code path."""

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
from mlproject.sweeps.job import Job
from mlproject.sweeps.local import LocalWorkers
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted

TIMEOUT_SECONDS = 30.0


class Event(NamedTuple):
    """Something that workers tell: ``start`` and ``epoch`` of a token, ``end`` of a future."""

    kind: str
    token: str
    content: Mapping[str, Any]


class Pool:
    """Runs jobs on workers and queues what they tell."""

    def __init__(self, client: Client, local: LocalWorkers | None, resources: Mapping[str, float]):
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._client = client
        self._local = local
        self._resources = dict(resources)
        self._futures: dict[str, Future] = {}
        self._too_large = 0
        self._call = portable(SOURCE)

    def listen(self, sweep: str) -> None:
        """Queue what the workers of a sweep tell."""

        def heard(event: tuple[float, Mapping[str, Any]]) -> None:
            content = event[1]
            self.events.put(Event(content["kind"], content["token"], content))

        self._client.subscribe_topic(sweep, heard)
        self._client.subscribe_topic("worker-restart-memory", self._heard_of_memory)

    def _heard_of_memory(self, event: tuple[float, Mapping[str, Any]]) -> None:
        self._too_large = max(self._too_large, int(event[1]["rss"]))

    def lost(self, error: KilledWorker) -> str:
        """Return why a job was given up whose workers were lost, one after the other."""
        reason = f"its worker was lost {error.allowed_failures + 1} times"
        if not self._too_large:
            return reason
        return (
            f"{reason}; a worker with {self._too_large / 1e9:.1f} GB was restarted at its memory "
            "limit: with a smaller --workers each has more"
        )

    @property
    def warning(self) -> str:
        """What has to be said about the workers, '' if nothing."""
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
        """How many cells can run at once."""
        return sum(self._client.nthreads().values()) if self._alive() else 0

    def check(self) -> None:
        """Raise a `UserError` where a worker cannot import the code, or the scheduler is gone."""
        if not self._alive():
            raise UserError(
                "the Dask scheduler must stay reachable: the connection is lost; start the same "
                "plan again, nothing is lost"
            )

    def probe(self) -> None:
        """Raise a `UserError` where a present worker cannot run cells."""
        try:
            self._client.run(self._call, "probe")
        except Interrupted:
            raise
        except Exception as error:
            raise UserError(
                f"workers must be able to import mlproject, installed or from {SOURCE}: "
                f"{type(error).__name__}: {' '.join(str(error).split())}"
            ) from error

    def submit(self, job: Job) -> None:
        """Send a job to a free worker; its end comes as an event."""
        future = self._client.submit(
            self._call,
            "run_cell",
            job._asdict(),
            key=f"cell-{job.token}",
            pure=False,
            resources=self._resources or None,
        )
        self._futures[job.token] = future
        future.add_done_callback(lambda done: self.events.put(Event("end", job.token, {})))

    def result(self, token: str) -> dict[str, Any]:
        """Return the outcome of a job that has ended, as a dict; raise what dask has to say."""
        outcome: dict[str, Any] = self._futures.pop(token).result()
        return outcome

    def cancel(self, token: str) -> None:
        """Forget a job that has not started."""
        if future := self._futures.pop(token, None):
            future.cancel()

    def stop(self, token: str, reason: str) -> None:
        """Ask the cells of a token, or of a whole sweep, to stop before their next step."""
        with suppress(Exception):
            self._client.run(self._call, "stop", token, reason, on_error="ignore")

    def close(self, at_once: bool = False) -> None:
        """Let workers of this machine end, killed if `at_once`; leave those of a cluster."""
        if at_once and self._local is not None:
            self._local.kill()
        with suppress(Exception):
            self._client.close(timeout=5)
        if self._local is not None:
            self._local.close()

    def _alive(self) -> bool:
        return bool(self._client.status == "running")


def open_pool(
    workers: int | None, scheduler: str | None, resources: Mapping[str, float], threads: int = 1
) -> Pool:
    """Start workers on this machine, or connect to a scheduler.

    Args:
        workers: how many processes to start; default one a core.
        scheduler: address of a running scheduler, ``tcp://host:8786``.
        resources: what a cell takes of a worker's resources, ``{"GPU": 1}``.
        threads: each process of this machine computes with.

    Raises:
        UserError: no scheduler at the address, or both workers and scheduler are given.
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
        pool = Pool(_connect(scheduler), None, resources)
    else:
        local = LocalWorkers(workers or CPU_COUNT, threads, resources)
        pool = Pool(Client(local.cluster, set_as_default=False), local, resources)
    try:
        pool.probe()
    except UserError:
        pool.close()
        raise
    return pool


def _connect(scheduler: str) -> Client:
    try:
        asyncio.run(_knock(scheduler))  # a client that cannot connect ends only after a minute
        return Client(scheduler, timeout=TIMEOUT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(
            f"`--scheduler` must be the address of a running Dask scheduler: got {scheduler} "
            f"({' '.join(str(error).split())})"
        ) from error


async def _knock(scheduler: str) -> None:
    arguments = Security().get_connection_args("client")
    comm = await connect(scheduler, timeout=TIMEOUT_SECONDS, **arguments)
    await comm.close()


def portable(source: str) -> Any:
    """Return a function that calls one of `mlproject.sweeps.worker` on a worker.

    Dask pickles a nested function by value, so a worker that has not installed this package can
    unpickle it. Such a worker imports the package from `source`.
    """

    def call(function: str, *arguments: Any) -> Any:
        import importlib
        import sys

        if source not in sys.path:
            sys.path.insert(0, source)
        module = importlib.import_module("mlproject.sweeps.worker")
        return getattr(module, function)(*arguments)

    return call
