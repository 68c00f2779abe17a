"""Options of a sweep."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class SweepOptions(NamedTuple):
    """Options of a sweep that cannot change a result.

    Attributes:
        home: folder of ``data`` and ``runs``.
        experiment: name of the MLflow experiment.
        workers: processes on this machine, None for one a core.
        scheduler: address of a running Dask scheduler, to be used instead of new processes.
        resources: amounts of a worker's resources that a cell occupies.
        retries: further attempts of a cell that failed.
        backend: Keras backend, None for that of the environment.
        threads: number of threads of each process on this machine.
        quiet: show no progress.
        check: test an accelerator before its first training.
        together: train the seeds of a network at the same time.
        register: name of the registered model that the best cell becomes a version of; "": none.
    """

    home: Path
    experiment: str | None = None
    workers: int | None = None
    scheduler: str | None = None
    resources: Mapping[str, float] = {}
    retries: int = 1
    backend: str | None = None
    threads: int = 1
    quiet: bool = False
    check: bool = True
    together: bool = False
    register: str = ""
