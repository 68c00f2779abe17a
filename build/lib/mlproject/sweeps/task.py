"""Messages between the driver and the workers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

PRUNED, OLDER = "the pruner", "an older run"


class CellTask(NamedTuple):
    """A cell as the driver sends it to a worker, which answers with an `Outcome`.

    Attributes:
        token: identifies this submission; an earlier run with the same token is dead.
        sweep: identifies the driver in requests to stop and in the worker's events.
        name: name of the run.
        options: the spec's flat fields.
        spec_sha256: hash that identifies the cell.
        train_sha256: hash without the interpretation.
        dataset_sha256: hash of the data that the cell was planned with.
        home: folder of ``data`` and ``runs``.
        uri: tracking store.
        experiment_id: experiment of the run.
        parent: id of the sweep's run.
        tags: further tags.
        backend: Keras backend, None for that of the worker's environment.
        threads: number of threads of the process.
        from_start: do not resume an interrupted run.
        ended: tokens of the cell's earlier submissions: no process works on their runs.
        check: test an accelerator before its first training.
        together: specs of the seeds to train together, this one included; () to train it alone.
    """

    token: str
    sweep: str
    name: str
    options: Mapping[str, Any]
    spec_sha256: str
    train_sha256: str
    dataset_sha256: str
    home: str
    uri: str
    experiment_id: str
    parent: str
    tags: Mapping[str, str]
    backend: str | None
    threads: int
    from_start: bool
    ended: tuple[str, ...] = ()
    check: bool = True
    together: tuple[Mapping[str, Any], ...] = ()


class Outcome(NamedTuple):
    """The end of one attempt of a cell.

    Attributes:
        status: FINISHED, KILLED (interrupted, can be resumed), PRUNED, FAILED, or ELSEWHERE
            (another process runs the same cell).
        run_id: id of the run, None if none was started.
        metrics: the final metrics.
        reason: why the status is not FINISHED.
        undelivered: error because of which the store lacks something, None if it has all.
        times: ``begun`` and ``ended`` on the worker, seconds since 1970; ``clean_up``, seconds.
    """

    status: str
    run_id: str | None = None
    metrics: Mapping[str, float] = {}
    reason: str = ""
    undelivered: str | None = None
    times: Mapping[str, float] = {}
