"""One run from the data set to the card: it starts the stages in their order."""

import json
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

from mlproject.architectures import arch_name, model_file, preset_names, protocol_name, run_name
from mlproject.data import Dataset, load
from mlproject.data.relevant import run_relevant, without_motif
from mlproject.data.split import blocks
from mlproject.fields import VALUES
from mlproject.names import Artifact, Metric, Tag
from mlproject.network.evaluation import ClassScore
from mlproject.network.memory import check_memory
from mlproject.network.tasks import check_task
from mlproject.run import stages
from mlproject.run.attributed_rows import Choice
from mlproject.run.attributions import attribute_run, check
from mlproject.run.context import Previous, RunContext, RunResult, Settings, Source, Trained
from mlproject.run.filters import read_filters, scan_motifs
from mlproject.run.outcome import motifs_found, training_warnings
from mlproject.run.resuming import check_previous, recorded_failure
from mlproject.run.summary import card_data, record_card
from mlproject.sequence import decode
from mlproject.spec import RunSpec
from mlproject.store import Store, connect, environment_name, first_line, is_terminated
from mlproject.store.liveness import METRIC_VERSION, end_dead
from mlproject.system import environment, variables
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupts, check_interrupts
from mlproject.system.progress import progress_shown, stage

DEFAULTS = Settings()


def run(spec: RunSpec, settings: Settings = DEFAULTS, source: Source = None) -> RunResult:
    """Train, evaluate, interpret and record one network.

    Args:
        spec: the run's spec.
        settings: folder, names, callbacks.
        source: an interrupted run of the same spec to resume, see `find_previous`, or a finished
            one with the same `train_sha256` whose weights are reused, see `find_trained`.

    Raises:
        UserError: the spec does not fit the data, or the data or the store cannot be used.
        Interrupted: SIGINT, SIGTERM or `should_stop`; the run is KILLED and can be resumed.
    """
    started, computed = time.perf_counter(), time.process_time()
    check(spec.methods)
    with Interrupts(settings.should_stop) as interrupts:
        data = load(spec, settings.home / "data")
        _check(spec, data, settings, source)
        root = settings.home / "runs"
        _check_writable(root)
        store = connect()
        name = settings.name or environment_name() or run_name(spec)
        tags = {**_tags(spec, data), **settings.tags}
        check_interrupts()
        if isinstance(source, Previous) and source.run_id:
            _end_lost(store, source.run_id, root)
        tracker = store.start(name, tags, root, settings.experiment, settings.parent)
        settings.on_start(tracker.run_id)
        context = RunContext(name, spec, data, settings, tracker, interrupts)
        with recorded_failure(context, source):
            _record_inputs(context)
            with progress_shown(settings.quiet):
                result = _run_stages(context, source, started, computed)
                with stage("storing"):
                    tracker.flush()
            check_interrupts()
            with interrupts.deferred():
                tracker.finish("FINISHED", without=[Artifact.STATE])
        return result._replace(undelivered=tracker.problem, card=_card_path(context))


def _card_path(context: RunContext) -> str:
    """Return the path of the run's card, "" if it is not on this computer."""
    tracker = context.tracker
    local = tracker.journal.artifacts / Artifact.CARD
    stored = tracker.store.local_artifact(tracker.run_id, Artifact.CARD)
    return str(stored or (local.resolve() if local.exists() else ""))


def _check(spec: RunSpec, data: Dataset, settings: Settings, source: Source) -> None:
    """Raise a `UserError` for a run that would fail later, before anything is recorded."""
    expected = settings.dataset_sha256
    if expected and data.sha256 != expected:
        raise UserError(
            f"`dataset` must stay as it was when the run was planned: {spec.dataset} had sha256 "
            f"{expected[:12]}, now {data.sha256[:12]}; restore the old data, or start again with "
            "the new"
        )
    check_task(spec, data.task, len(data.classes))
    _check_labels(data)
    spec.map_lengths(data.length)
    relevant = run_relevant(spec, data)
    if not settings.quiet and (note := without_motif(data.classes, relevant, spec.motifs)):
        print(f"note: {note}", file=sys.stderr)
    check_memory(spec, data.length, len(data.classes))
    if isinstance(source, Previous):
        check_previous(source, spec, data)


def _check_labels(data: Dataset) -> None:
    """Raise a `UserError` if no class or output of the training split varies."""
    if data.task in VALUES:
        if not np.ptp(np.asarray(data.train.labels), axis=0).any():
            raise UserError(
                f"an output must vary: {', '.join(data.classes)[:200]} are constant in the "
                "training split"
            )
        return
    positives = sum(block.sum(axis=0, dtype=np.int64) for block in blocks(data.train.labels))
    count = len(data.train.labels)
    if not ((positives > 0) & (positives < count)).any():
        label = "1" if np.all(positives == count) else "one label" if np.any(positives) else "0"
        raise UserError(
            f"a class must have sequences with and without it: all {count:,} training sequences "
            f"have {label} in {', '.join(data.classes)[:200]}; make the data set again with "
            "negatives, such as `--negatives shuffle`"
        )


def _check_writable(root: Path) -> None:
    """Raise a `UserError` if the folder of runs cannot be written."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise UserError(
            f"runs must be written to {root}: {error.strerror or error}; start in another folder"
        ) from error


def _end_lost(store: Store, run_id: str, root: Path) -> None:
    """End a run in the store whose process was lost before it could do so."""
    if not is_terminated(found := store.run(run_id)):
        end_dead(store, found, "its process was lost", root=root)


def _run_stages(context: RunContext, source: Source, started: float, computed: float) -> RunResult:
    check_interrupts()
    clock = time.perf_counter()
    if isinstance(source, Trained):
        model, fitted = stages.reuse(context, source)
    else:
        model, fitted = stages.train(context, source)
    times = {Metric.TIME_TRAIN: time.perf_counter() - clock}
    check_interrupts()
    with stage("testing"):
        tested = stages.test(context, model, fitted)
    check_interrupts()
    clock = time.perf_counter()
    with stage("scanning for the known motifs"):
        baseline = scan_motifs(context)
    with stage("reading filters"):
        read = read_filters(context, model)
    check_interrupts()
    attributed = _attribute(context, model)
    check_interrupts()
    times[Metric.TIME_INTERPRET] = time.perf_counter() - clock
    with stage("saving the model"):
        _record_model(context, model)
    values = tested.values | baseline | read.values | attributed
    times[Metric.TIME_TOTAL] = time.perf_counter() - started
    spec = context.spec
    class_rows = [row for row in tested.rows if isinstance(row, ClassScore)]
    warnings = training_warnings(fitted, spec.monitor, spec.bn_averages, class_rows, values)
    for text in warnings if not context.settings.quiet else ():
        print(f"warning: {text}", file=sys.stderr)
    with stage("writing the card"):
        card = card_data(context, model, fitted, tested, read, values | times, warnings)
        record_card(context, card)
    check_interrupts()
    times[Metric.TIME_TRACKING] = context.tracker.seconds
    times[Metric.TIME_TOTAL] = time.perf_counter() - started
    times[Metric.TIME_CPU] = time.process_time() - computed
    context.tracker.metrics(times)
    tracker = context.tracker
    motifs = motifs_found(read.readings, context.relevant)
    return RunResult(
        run_id=context.tracker.run_id,
        metrics=values | times,
        undelivered=None,
        name=context.name,
        lines=tuple(card.description.splitlines()),
        found=motifs.found,
        missed=motifs.missed,
        warnings=tuple(warnings),
        url=tracker.store.ui_address(tracker.experiment_id, tracker.run_id),
        runs_url=tracker.store.ui_address(tracker.experiment_id),
    )


def _record_model(context: RunContext, model: keras.Model) -> None:
    backend = keras.backend.backend()
    context.tracker.model(
        model,
        environment.requirements(backend),
        classes=list(context.data.classes),
        average=context.spec.average == "reverse_complement",
        backend=backend,
        example=decode(np.asarray(context.data.test.codes[:1]))[0],
    )


def _attribute(context: RunContext, model: keras.Model) -> dict[str, float]:
    """Compute the spec's attributions; if that fails, record the reason and keep the run."""
    spec = context.spec
    if not spec.methods:
        return {}
    try:
        return attribute_run(context, model, spec.methods, Choice(spec.attributed))
    except UserError as error:
        context.tracker.tags({Tag.ATTRIBUTIONS: first_line(error)})
        print(f"warning: {first_line(error)}", file=sys.stderr)
        return {}


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


def _record_inputs(context: RunContext) -> None:
    """Record the parameters, the spec and the splits of the data set."""
    spec, data, tracker = context.spec, context.data, context.tracker
    names = preset_names(spec)
    tracker.params({**names, **spec.columns()})
    text = json.dumps(spec.flat(), indent=2, sort_keys=True) + "\n"
    tracker.artifact(Artifact.SPEC, lambda path: path.write_text(text, encoding="utf-8"))
    if spec.model_sha256:
        own = model_file(spec.model).read_bytes()
        tracker.artifact(Artifact.MODEL_FILE, lambda path: path.write_bytes(own))
    contexts = {"train": "training", "valid": "validation", "test": "testing"}
    for split, (codes, labels, _) in data.splits.items():
        profile: dict[str, object] = {
            "sequences": len(codes),
            "length": data.length,
            "classes": len(data.classes),
            "relevant": dict(context.relevant),
        }
        if data.task in VALUES:
            profile["means"] = np.asarray(labels).mean(axis=0, dtype=np.float64).tolist()
        else:
            profile["positives"] = sum(int(block.sum()) for block in blocks(labels))
        if data.task != "binary":
            profile |= {"task": data.task, "units": list(data.units)}
        source = spec.dataset if not spec.generated else json.dumps(dict(data.provenance))
        name = f"{Path(spec.dataset).stem}-{split}"
        tracker.input(name, data.sha256, source, contexts[split], json.dumps(profile))
