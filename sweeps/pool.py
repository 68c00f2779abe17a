"""Workers: processes of this machine, or those of a running Dask cluster. One code path."""

import logging
import queue
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import dask
import psutil
from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, LocalCluster

from mlproject.errors import UserError
from mlproject.threads import thread_variables
from sweeps import CODE
from sweeps.job import Job

IGNORE_SIGINT = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


class Event(NamedTuple):
    """Something that workers tell: ``start`` and ``epoch`` of a token, ``end`` of a future."""

    kind: str
    token: str
    content: Mapping[str, Any]


class Pool:
    """Runs jobs on workers and queues what they tell."""

    def __init__(
        self, client: Client, cluster: LocalCluster | None, resources: Mapping[str, float]
    ):
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._client = client
        self._cluster = cluster
        self._resources = dict(resources)
        self._futures: dict[str, Future] = {}
        self._too_large = 0
        self._call = portable(CODE)

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
        except Exception as error:
            raise UserError(
                f"workers must find this checkout under {CODE[0]} and have what it needs: "
                f"{type(error).__name__}: {error}"
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
        if at_once and self._cluster is not None:
            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if any("spawn_main" in part for part in child.cmdline()):
                        child.kill()
        with suppress(Exception):
            self._client.close(timeout=5)
        if self._cluster is not None:
            with suppress(Exception):
                self._cluster.close(timeout=10)

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
    if scheduler:
        if workers:
            raise UserError("`--workers` starts processes here: leave it out with --scheduler")
        try:
            client = Client(scheduler, timeout=30, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise UserError(
                f"`--scheduler` must be the address of a running Dask scheduler: got {scheduler} "
                f"({error})"
            ) from error
        pool = Pool(client, None, resources)
    else:
        dask.config.set({"distributed.nanny.pre-spawn-environ": thread_variables(threads)})
        cluster = LocalCluster(
            n_workers=workers or CPU_COUNT,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            local_directory=tempfile.gettempdir(),
            env=thread_variables(threads),
            preload=[IGNORE_SIGINT],
            resources=dict(resources),
        )
        pool = Pool(Client(cluster, set_as_default=False), cluster, resources)
    try:
        pool.probe()
    except UserError:
        pool.close()
        raise
    return pool


def portable(code: tuple[str, ...]) -> Any:
    """Return a function that calls one of `sweeps.worker`, wherever it finds the checkout.

    It is sent whole, as a function within a function: workers started anywhere need not know this
    package, only the place of the checkout.
    """

    def call(function: str, *arguments: Any) -> Any:
        import importlib
        import sys

        for place in reversed(code):
            if place not in sys.path:
                sys.path.insert(0, place)
        return getattr(importlib.import_module("sweeps.worker"), function)(*arguments)

    return call
