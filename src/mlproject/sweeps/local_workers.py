"""Worker processes of this machine that accept connections from their own driver only.

Any program that reaches a Dask scheduler or worker can run code in it, and every account of a
computer reaches its loopback address. So each port asks for a certificate that is made for this
sweep and never written to a file that other accounts can read. Dask's web pages are not served.
"""

import logging
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

import dask
import psutil
from distributed import LocalCluster
from distributed.security import Security

from mlproject.system.errors import UserError
from mlproject.system.variables import thread_variables

MOST_WORKERS = 1024
NO_PAGES: dict[str, list[str]] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
PRELOAD = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
def dask_setup(worker):
    worker.http_server.stop()
"""


class LocalWorkers:
    """Worker processes of one Dask thread each.

    Attributes:
        cluster: Dask's cluster; only its client can connect.
    """

    def __init__(self, workers: int, threads: int, resources: Mapping[str, float]) -> None:
        """Start the processes.

        Args:
            workers: number of processes.
            threads: number of threads that each computes with.
            resources: amounts of the resources that each worker offers.

        Raises:
            UserError: there are too many processes, or they do not start.
        """
        if workers > MOST_WORKERS:
            raise UserError(f"`workers` must be at most {MOST_WORKERS:,}: got {workers:,}")
        environment = thread_variables(threads)
        dask.config.set({"distributed.nanny.pre-spawn-environ": environment})
        self._folder = tempfile.mkdtemp(prefix="mlproject-sweep-")
        try:
            with dask.config.set(NO_PAGES), _terminal_blocked():
                self.cluster = LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    protocol="tls://",
                    security=Security.temporary(),
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.CRITICAL,
                    local_directory=self._folder,
                    env=environment,
                    preload=[PRELOAD],
                    resources=dict(resources),
                )
        except (OSError, RuntimeError, TimeoutError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise UserError(
                f"{workers} worker processes must start on this machine: {type(error).__name__}: "
                f"{' '.join(str(error).split())}; try a smaller --workers"
            ) from error
        scheduler: Any = self.cluster.scheduler
        scheduler.http_server.stop()

    def kill(self) -> None:
        """Kill the processes."""
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if any("spawn_main" in part for part in child.cmdline()):
                    child.kill()

    def close(self) -> None:
        """End the processes."""
        with suppress(Exception):
            self.cluster.close(timeout=10)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def _terminal_blocked() -> Iterator[None]:
    """Protect processes that start here from the signals that a terminal sends to all processes.

    These are SIGINT for Ctrl-C and SIGHUP when it closes. They inherit the blocked signals. This
    process receives the signals after they have started, and stops their cells in good order.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows: `PRELOAD` alone
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()  # else starting the first process lifts the block
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
