"""The context of a run: the caller's settings, the run under way, and what it continues from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from mlproject.data import Dataset
from mlproject.data.relevant import Relevant, run_relevant
from mlproject.motifs.databases import motifs_of
from mlproject.motifs.pwm import Motif
from mlproject.network.protocol import Epoch
from mlproject.spec import RunSpec
from mlproject.store import Tracker
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupts


class Settings(NamedTuple):
    """Settings of a run that cannot change its result.

    Attributes:
        home: folder of ``data`` and ``runs``.
        experiment: name of the MLflow experiment.
        name: name of the run.
        parent: id of the parent run.
        tags: further tags.
        quiet: show no progress.
        dataset_sha256: SHA-256 of the expected data set; others are refused.
        should_stop: called at each step; true stops the training, which can be resumed. A text
            names the requester.
        on_start: called with the run's id as soon as the run has one.
        on_epoch: called with each epoch's number and values.
    """

    home: Path = Path()
    experiment: str | None = None
    name: str | None = None
    parent: str | None = None
    tags: Mapping[str, str] = {}
    quiet: bool = False
    dataset_sha256: str = ""
    should_stop: Callable[[], bool | str] = lambda: False
    on_start: Callable[[str], None] = lambda run_id: None
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda epoch, values: None


class Previous(NamedTuple):
    """An interrupted run to resume, or the state of a seed that was trained with others.

    Attributes:
        run_id: its id; '' for a state that no run has left.
        spec: its spec.
        state: the path of its state.
        dataset_sha256: hash of its data.
        faults: elements that the device has corrupted so far, if no run has recorded them.
        failure: why the training cannot go on.
    """

    run_id: str
    spec: RunSpec
    state: Path
    dataset_sha256: str = ""
    faults: tuple[str, ...] = ()
    failure: UserError | None = None


class Trained(NamedTuple):
    """A finished run whose weights are reused: its id, the file of its best weights, its epochs."""

    run_id: str
    weights: Path
    history: list[Epoch]


Source: TypeAlias = Previous | Trained | None
"""The earlier run that a run continues from, None for a new training."""


class RunContext(NamedTuple):
    """A run under way.

    Attributes:
        name: name of the run, for people.
        spec: the run's spec.
        data: the data set.
        settings: the caller's settings.
        tracker: records the run.
        interrupts: signals that ask for the end of the run.
    """

    name: str
    spec: RunSpec
    data: Dataset
    settings: Settings
    tracker: Tracker
    interrupts: Interrupts

    @property
    def targets(self) -> tuple[Motif, ...]:
        """The motifs of the databases that `motifs` names."""
        return motifs_of(self.spec)

    @property
    def relevant(self) -> Relevant:
        """Class -> ids of its motifs, see `run_relevant`."""
        return run_relevant(self.spec, self.data)


class RunResult(NamedTuple):
    """The result of a run.

    Attributes:
        run_id: its id in the tracking store.
        metrics: the final ones.
        undelivered: why the store lacks some entries (`sync` delivers them), None if it has all.
        name: its name.
        lines: its description, a sentence or two each.
        found: classes whose motif a filter of the first layer matches.
        missed: classes with a known motif that no filter matches.
        warnings: sentences about a training that has probably gone wrong.
        card: path of the card on this computer, "" if it is elsewhere.
        url: its address in the MLflow UI.
        runs_url: that of its experiment's runs.
    """

    run_id: str
    metrics: dict[str, float]
    undelivered: str | None
    name: str = ""
    lines: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    card: str = ""
    url: str = ""
    runs_url: str = ""
