"""One run, from the data to the card: the one place that knows all the parts."""

import csv
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import keras

from mlproject.architectures import arch_name, protocol_name, recorded_spec, run_name
from mlproject.data import Dataset, load
from mlproject.data.dataset import blocks
from mlproject.names import Artifact, Metric, Tag
from mlproject.network.checkpoint import earlier, usable
from mlproject.network.memory import check_memory
from mlproject.network.protocol import Epoch
from mlproject.network.saving import check_sha256
from mlproject.network.training import check_state, check_version
from mlproject.run import stages
from mlproject.run.attributions import Choice, Place, attribute_run, check
from mlproject.run.filters import read_filters, scan_motifs
from mlproject.run.stages import (
    WEIGHT_COLUMNS,
    Previous,
    Settings,
    Trained,
)
from mlproject.run.summary import summarise, tell
from mlproject.spec import RunSpec
from mlproject.store import (
    STORE_ERRORS,
    Store,
    connect,
    deliver,
    environment_name,
    first_line,
    is_terminated,
)
from mlproject.store.journal import Journal
from mlproject.store.liveness import METRIC_VERSION, end_dead, is_alive
from mlproject.system import environment, variables
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted, Interrupts, check_interrupts
from mlproject.system.processes import this_process

DEFAULTS = Settings()


class RunResult(NamedTuple):
    """How a run ended.

    Attributes:
        run_id: its id in the tracking store.
        metrics: the final ones.
        undelivered: why the store lacks something (`sync` mends that), None if it has all.
    """

    run_id: str
    metrics: dict[str, float]
    undelivered: str | None


def run(
    spec: RunSpec, settings: Settings = DEFAULTS, previous: Previous | Trained | None = None
) -> RunResult:
    """Train, evaluate, interpret and record one network.

    Args:
        spec: what to run.
        settings: where, under which name.
        previous: an interrupted run of the same spec to go on from, see `find_previous`, or a
            finished one with the same `train_sha256` whose weights serve again, see `find_trained`.

    Raises:
        UserError: the spec does not fit the data, the data or the store cannot be used.
        Interrupted: SIGINT, SIGTERM or `should_stop`; the run is KILLED and can be resumed.
    """
    started, computed = time.perf_counter(), time.process_time()
    check(spec.methods)
    with Interrupts(settings.should_stop) as interrupts:
        data = load(spec, settings.home / "data")
        _check_data(spec, data, settings.dataset_sha256)
        _check(spec, data, previous)
        root = settings.home / "runs"
        _check_writable(root)
        store = connect()
        name = settings.name or environment_name() or run_name(spec)
        tags = {**_tags(spec, data), **settings.tags}
        check_interrupts()
        if isinstance(previous, Previous):
            _end_lost(store, previous.run_id, root)
        tracker = store.start(name, tags, root, settings.experiment, settings.parent)
        settings.on_start(tracker.run_id)
        job = stages.Job(name, spec, data, settings, tracker, interrupts)
        with _recorded(job, previous):
            _record_inputs(job)
            metrics = _stages(job, previous, started, computed)
            tracker.flush()
            check_interrupts()
            with interrupts.deferred():
                tracker.finish("FINISHED", without=[Artifact.STATE])
        return RunResult(tracker.run_id, metrics, tracker.problem)


def _check_data(spec: RunSpec, data: Dataset, meant: str) -> None:
    if meant and data.sha256 != meant:
        raise UserError(
            f"`dataset` must stay as it was when the run was planned: {spec.dataset} had sha256 "
            f"{meant[:12]}, now {data.sha256[:12]}; put the old data back, or start again with the "
            "new"
        )


def _check(spec: RunSpec, data: Dataset, previous: Previous | Trained | None) -> None:
    """Raise a `UserError` where a run would fail later: nothing is recorded yet."""
    spec.map_lengths(data.length)
    check_memory(spec, data.length, len(data.classes))
    if not isinstance(previous, Previous):
        return
    if previous.dataset_sha256 and previous.dataset_sha256 != data.sha256:
        raise UserError(
            f"`resume` goes on with the data of run {previous.run_id}, which had sha256 "
            f"{previous.dataset_sha256[:12]}: {spec.dataset} has {data.sha256[:12]}; put the old "
            "data back, or start anew"
        )
    check_state(previous.state, spec, data.train, data.valid)


def _check_writable(root: Path) -> None:
    """Raise a `UserError` where no file can be made in the folder of runs."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise UserError(
            f"runs must be written to {root}: {error.strerror or error}; start in another folder"
        ) from error


def _end_lost(store: Store, run_id: str, root: Path) -> None:
    """Record the end of a run that could not do so itself."""
    if not is_terminated(run := store.run(run_id)):
        end_dead(store, run, "its process was lost", root=root)


def _stages(
    job: stages.Job, previous: Previous | Trained | None, started: float, computed: float
) -> dict[str, float]:
    check_interrupts()
    clock = time.perf_counter()
    if isinstance(previous, Trained):
        model, fitted = stages.reuse(job, previous)
    else:
        model, fitted = stages.train(job, previous)
    times = {Metric.TIME_TRAIN: time.perf_counter() - clock}
    check_interrupts()
    tested = stages.test(job, model, fitted)
    check_interrupts()
    clock = time.perf_counter()
    known = scan_motifs(job)
    interpreted = read_filters(job, model)
    check_interrupts()
    attributed = _attribute(job, model)
    check_interrupts()
    times[Metric.TIME_INTERPRET] = time.perf_counter() - clock
    job.tracker.model(model, environment.requirements(keras.backend.backend()))
    values = tested.values | known | interpreted.values | attributed
    times[Metric.TIME_TOTAL] = time.perf_counter() - started
    tell(job, summarise(job, model, fitted, tested, interpreted, values | times))
    check_interrupts()
    times[Metric.TIME_TRACKING] = job.tracker.seconds
    times[Metric.TIME_TOTAL] = time.perf_counter() - started
    times[Metric.TIME_CPU] = time.process_time() - computed
    job.tracker.metrics(times)
    return values | times


def _attribute(job: stages.Job, model: keras.Model) -> dict[str, float]:
    """Attribute as the spec asks for; what cannot be done is no reason to lose the run."""
    spec = job.spec
    if not spec.methods:
        return {}
    place = Place(
        job.name, model, job.data, job.tracker, job.interrupts, spec.seed, spec.evalue,
        job.settings.quiet,
    )  # fmt: skip
    try:
        return attribute_run(place, spec.methods, Choice(spec.attributed))
    except UserError as error:
        job.tracker.tags({Tag.ATTRIBUTIONS: first_line(error)})
        print(f"warning: {first_line(error)}", file=sys.stderr)
        return {}


def find_previous(run_id: str, home: Path = Path()) -> Previous:
    """Return the interrupted run `run_id` with its spec and its state, fetched if it is not here.

    A state that is damaged is passed over for the one before it, with a line that says so.

    Raises:
        UserError: no such run, not one of ours, one that has finished or is alive, or one without
            a state that can be used.
    """
    store = connect()
    found = store.run(run_id)
    tags, folder = found.data.tags, home / "runs" / run_id
    if Tag.SPEC not in tags:
        raise UserError(
            f"`resume` must name a run of this project: got {run_id}, which has no spec"
        )
    if found.info.status == "FINISHED":
        raise UserError(f"`resume` must name an interrupted run: got {run_id}, which has finished")
    if is_alive(found, home / "runs"):
        raise UserError(
            f"`resume` must name an interrupted run: {run_id} is alive; interrupt it first"
        )
    spec = recorded_spec(json.loads(tags[Tag.SPEC]))
    check_version(spec)
    state = folder / "artifacts" / Artifact.STATE
    if not (state.exists() or earlier(state).exists()):
        if not Journal(folder).entries():
            Journal(folder).own(str(this_process()))  # `sync` removes it when this process is gone
        state = store.download(run_id, Artifact.STATE, folder)
    chosen = usable(state)
    if chosen != state:
        print(f"the state of run {run_id} is damaged: the one before it is used", file=sys.stderr)
    return Previous(run_id, spec, chosen, tags.get(Tag.DATASET_SHA256, ""))


def _journal(run_id: str, home: Path) -> Journal | None:
    """Return the local record of a run, None if it is not here."""
    folder = home / "runs" / run_id
    return Journal(folder) if (folder / "journal.jsonl").is_file() else None


def complete(run_id: str, home: Path = Path()) -> RunResult | None:
    """Deliver the rest of a run that had finished when its process was lost.

    Returns:
        The run; None if it is no such run: it has still to be resumed.
    """
    record = _journal(run_id, home)
    if record is None or record.status != "FINISHED" or record.is_live():
        return None
    store = connect()
    try:
        deliver(record, store.client)
        run = store.run(run_id)
    except STORE_ERRORS as error:
        return RunResult(run_id, {}, first_line(error))
    record.remove()
    return RunResult(run_id, dict(run.data.metrics), None)


def find_trained(run_id: str, home: Path = Path()) -> Trained:
    """Return the best weights and the epochs of the finished run `run_id`, copied below `home`.

    Raises:
        UserError: it has no weights or no history, or they are damaged.
    """
    store = connect()
    folder = home / "runs" / run_id / "reused"
    folder.mkdir(parents=True, exist_ok=True)
    known = json.loads(store.run(run_id).data.tags.get(Tag.ARTIFACT_SHA256, "{}"))
    files = [store.download(run_id, path, folder) for path in (Artifact.WEIGHTS, Artifact.HISTORY)]
    for path, name in zip(files, (Artifact.WEIGHTS, Artifact.HISTORY), strict=True):
        check_sha256(path, known.get(name))
    with files[1].open(newline="", encoding="utf-8") as file:
        rows = [
            {key: float(text) for key, text in row.items() if text} for row in csv.DictReader(file)
        ]
    history = [_epoch(row) for row in rows]
    if not history:
        raise UserError(f"run `{run_id}` must have a history to be used again: it is empty")
    return Trained(run_id, files[0], history)


def _epoch(row: dict[str, float]) -> Epoch:
    weights = {
        name.removeprefix(WEIGHT_COLUMNS): row.pop(name)
        for name in [*row]
        if WEIGHT_COLUMNS in name
    }
    return Epoch(int(row.pop("epoch")), row, row.pop("seconds"), False, weights)


def _tags(spec: RunSpec, data: Dataset) -> dict[str, str]:
    backend = keras.backend.backend()
    return {
        Tag.ARCH: arch_name(spec),
        Tag.PROTOCOL: protocol_name(spec),
        Tag.SPEC: json.dumps(spec.flat(), sort_keys=True),
        Tag.SPEC_SHA256: spec.spec_sha256(data.sha256),
        Tag.TRAIN_SHA256: spec.train_sha256(data.sha256),
        Tag.DATASET_SHA256: data.sha256,
        Tag.BACKEND: f"{backend} {environment.backend_version(backend)}",
        Tag.DEVICE: environment.device(backend),
        Tag.THREADS: str(variables.thread_count()),
        Tag.METRIC_VERSION: METRIC_VERSION,
        **environment.git_tags(Path(__file__).parent),
    }


def _record_inputs(job: stages.Job) -> None:
    spec, data, tracker = job.spec, job.data, job.tracker
    names = {"arch": arch_name(spec), "protocol": protocol_name(spec)}
    tracker.params({**names, **spec.flat()})
    text = json.dumps(spec.flat(), indent=2, sort_keys=True) + "\n"
    tracker.artifact(Artifact.SPEC, lambda path: path.write_text(text, encoding="utf-8"))
    contexts = {"train": "training", "valid": "validation", "test": "testing"}
    for split, (codes, labels, _) in data.splits.items():
        profile = {
            "sequences": len(codes),
            "length": data.length,
            "classes": len(data.classes),
            "positives": sum(int(block.sum()) for block in blocks(labels)),
            "relevant": dict(data.relevant),
        }
        source = spec.dataset if not spec.generated else json.dumps(dict(data.provenance))
        name = f"{Path(spec.dataset).stem}-{split}"
        tracker.input(name, data.sha256, source, contexts[split], json.dumps(profile))


@contextmanager
def _recorded(job: stages.Job, previous: Previous | Trained | None) -> Iterator[None]:
    """Record how a run that does not finish ends, with the reason, before the error goes on."""
    try:
        yield
    except BaseException as error:
        with job.interrupts.deferred():
            interrupted = isinstance(error, Interrupted | KeyboardInterrupt)
            name = "" if interrupted else f"{type(error).__name__}: "
            _end(job, "KILLED" if interrupted else "FAILED", name + first_line(error))
            go_on = _resumable(job, previous)
        if interrupted:
            raise Interrupted(
                f"run {job.tracker.run_id} stopped ({first_line(error)}); "
                + (f"to go on: resume={go_on}" if go_on else "it had not begun: start it again")
            ) from error
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            raise UserError(
                f"a run must fit into memory: '{first_line(error)}'; take a smaller network or "
                "batch_size, or a machine with more"
            ) from error
        disk = isinstance(error, OSError) or isinstance(error.__cause__, OSError)
        if disk and isinstance(error, OSError | UserError):
            then = f"then go on with resume={go_on}" if go_on else "then start again"
            raise UserError(
                f"the disk must take what a run writes: '{first_line(error)}'; make room, {then}"
            ) from error
        raise


def _end(job: stages.Job, status: str, reason: str) -> None:
    """Record the end of a run; where the disk does not take it, in the store alone."""
    tracker = job.tracker
    with suppress(OSError):
        tracker.artifact_if_there(Artifact.STATE)
    tracker.finish(status, reason)


def _resumable(job: stages.Job, previous: Previous | Trained | None) -> str | None:
    """Return the run to go on from: this one, else the one before it, None if there is none."""
    with suppress(UserError):
        usable(job.tracker.journal.artifacts / Artifact.STATE)
        return job.tracker.run_id
    return previous.run_id if isinstance(previous, Previous) else None
