"""One run, from the data to the card: the one place that knows all the parts."""

import csv
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import keras

from mlproject import environment, stages
from mlproject.architectures import arch_name, make_spec, protocol_name, run_name
from mlproject.attribution_stage import Choice, Place, attribute_run, check
from mlproject.data import Dataset, load
from mlproject.data.dataset import blocks
from mlproject.errors import UserError
from mlproject.filter_stage import read_filters, scan_motifs
from mlproject.interrupts import Interrupted, Interrupts
from mlproject.runs import METRIC_VERSION
from mlproject.spec import RunSpec
from mlproject.stages import STATE, Previous, Settings, Trained
from mlproject.summary import summarise, tell
from mlproject.tracking import RESUMED_BY, Tracker, connect, first_line
from mlproject.training import Epoch

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
        spec.map_lengths(data.length)
        store = connect()
        name = settings.name or run_name(spec)
        tags = {**_tags(spec, data), **settings.tags}
        root = settings.home / "runs"
        tracker = store.start(name, tags, root, settings.experiment, settings.parent)
        settings.on_start(tracker.run_id)
        job = stages.Job(name, spec, data, settings, tracker, interrupts)
        with _recorded(tracker):
            _record_inputs(job)
            metrics = _stages(job, previous, started, computed)
            tracker.finish("FINISHED", without=[STATE])
        return RunResult(tracker.run_id, metrics, tracker.problem)


def _stages(
    job: stages.Job, previous: Previous | Trained | None, started: float, computed: float
) -> dict[str, float]:
    clock = time.perf_counter()
    if isinstance(previous, Trained):
        model, fitted = stages.reuse(job, previous)
    else:
        model, fitted = stages.train(job, previous)
    times = {"time/train": time.perf_counter() - clock}
    if isinstance(previous, Previous):
        job.tracker.tag_other(previous.run_id, RESUMED_BY, job.tracker.run_id)
    tested = stages.test(job, model, fitted)
    clock = time.perf_counter()
    known = scan_motifs(job)
    interpreted = read_filters(job, model)
    attributed = _attribute(job, model)
    times["time/interpret"] = time.perf_counter() - clock
    job.tracker.model(model, environment.requirements(keras.backend.backend()))
    values = tested.values | known | interpreted.values | attributed
    times["time/total"] = time.perf_counter() - started
    tell(job, summarise(job, model, fitted, tested, interpreted, values | times))
    job.tracker.flush()
    times["time/tracking"] = job.tracker.seconds
    times["time/total"] = time.perf_counter() - started
    times["time/cpu"] = time.process_time() - computed
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
        job.tracker.tags({"mlproject.attributions": first_line(error)})
        print(f"warning: {first_line(error)}", file=sys.stderr)
        return {}


def find_previous(run_id: str, home: Path = Path()) -> Previous:
    """Return the interrupted run `run_id` with its spec and its state, fetched if it is not here.

    Raises:
        UserError: no such run, not one of ours, one that has finished, or one without a state.
    """
    store = connect()
    found = store.run(run_id)
    if "mlproject.spec" not in found.data.tags:
        raise UserError(
            f"`resume` must name a run of this project: got {run_id}, which has no spec"
        )
    if found.info.status == "FINISHED":
        raise UserError(f"`resume` must name an interrupted run: got {run_id}, which has finished")
    spec = make_spec(json.loads(found.data.tags["mlproject.spec"]))
    state = home / "runs" / run_id / "artifacts" / STATE
    if not state.exists():
        state = store.download(run_id, STATE, home / "runs" / run_id)
    return Previous(run_id, spec, state)


def find_trained(run_id: str, home: Path = Path()) -> Trained:
    """Return the best weights and the epochs of the finished run `run_id`, copied below `home`.

    Raises:
        UserError: it has no weights or no history.
    """
    store = connect()
    folder = home / "runs" / run_id / "reused"
    folder.mkdir(parents=True, exist_ok=True)
    weights = store.download(run_id, "weights/best.weights.h5", folder)
    with store.download(run_id, "history.csv", folder).open(newline="") as file:
        rows = [
            {key: float(text) for key, text in row.items() if text} for row in csv.DictReader(file)
        ]
    history = [
        Epoch(int(row.pop("epoch")), row, row.pop("seconds"), improved=False) for row in rows
    ]
    if not history:
        raise UserError(f"run `{run_id}` must have a history to be used again: it is empty")
    return Trained(run_id, weights, history)


def _tags(spec: RunSpec, data: Dataset) -> dict[str, str]:
    backend = keras.backend.backend()
    return {
        "mlproject.arch": arch_name(spec),
        "mlproject.protocol": protocol_name(spec),
        "mlproject.spec": json.dumps(spec.flat(), sort_keys=True),
        "mlproject.spec_sha256": spec.spec_sha256(data.sha256),
        "mlproject.train_sha256": spec.train_sha256(data.sha256),
        "mlproject.dataset_sha256": data.sha256,
        "mlproject.backend": f"{backend} {environment.backend_version(backend)}",
        "mlproject.device": environment.device(backend),
        "mlproject.threads": str(environment.threads()),
        "mlproject.metric_version": METRIC_VERSION,
        **environment.git_tags(Path(__file__).parent),
    }


def _record_inputs(job: stages.Job) -> None:
    spec, data, tracker = job.spec, job.data, job.tracker
    names = {"arch": arch_name(spec), "protocol": protocol_name(spec)}
    tracker.params({**names, **spec.flat()})
    text = json.dumps(spec.flat(), indent=2, sort_keys=True) + "\n"
    tracker.artifact("spec.json", lambda path: path.write_text(text))
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
    tracker.flush()


@contextmanager
def _recorded(tracker: Tracker) -> Iterator[None]:
    """Record how a run that does not finish ends, with the reason, before the error goes on."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as error:
        tracker.artifact_if_there(STATE)
        tracker.finish("KILLED", first_line(error))
        raise Interrupted(
            f"run {tracker.run_id} stopped ({first_line(error)}); to go on: resume={tracker.run_id}"
        ) from error
    except BaseException as error:
        tracker.artifact_if_there(STATE)
        tracker.finish("FAILED", f"{type(error).__name__}: {first_line(error)}")
        if isinstance(error, OSError):
            raise UserError(
                f"the disk must take what a run writes: '{first_line(error)}'; "
                f"make room, then go on with resume={tracker.run_id}"
            ) from error
        raise
