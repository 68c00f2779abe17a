"""What travels between the driver and the workers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

PRUNED, OLDER = "the pruner", "an older run"


class Job(NamedTuple):
    """A cell as it travels to a worker; see `Outcome` for what comes back.

    Attributes:
        token: of this submission: a run that has it already was cut off and is dead.
        sweep: of this driver; stops and reports go by it.
        name: the run's.
        options: the spec's flat fields.
        spec_sha256: what the cell is known by.
        train_sha256: the same without the interpretation.
        dataset_sha256: of the data that the cell is meant for.
        home: folder of ``data`` and ``runs``.
        uri: tracking store.
        experiment_id: where runs belong.
        parent: the sweep's run.
        tags: further tags.
        backend: Keras', None as the worker's environment says.
        threads: each process computes with.
        anew: do not go on from a state.
        ended: tokens of the cell's earlier submissions: nobody works on their runs.
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
    anew: bool
    ended: tuple[str, ...] = ()


class Outcome(NamedTuple):
    """How a cell's attempt ended.

    Attributes:
        status: FINISHED, KILLED (interrupted, can be taken up), PRUNED, FAILED, ELSEWHERE (a run of
            the same cell is alive).
        run_id: of the run; None if there was none.
        metrics: the final ones.
        reason: why it is not FINISHED.
        undelivered: why the store lacks something.
        times: ``begun`` and ``ended`` on the worker, seconds since 1970; ``clean_up``, its seconds.
    """

    status: str
    run_id: str | None = None
    metrics: Mapping[str, float] = {}
    reason: str = ""
    undelivered: str | None = None
    times: Mapping[str, float] = {}
