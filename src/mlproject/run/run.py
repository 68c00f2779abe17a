"""One run from the data set to the card: it starts the stages in their order."""

import sys
import time
from pathlib import Path

import keras
import numpy as np

from mlproject.architectures import run_name
from mlproject.data import load
from mlproject.fields import BLOCKS
from mlproject.names import Artifact, Metric, Tag
from mlproject.network.evaluation import ClassScore
from mlproject.network.saving import save_network
from mlproject.run import stages
from mlproject.run.attributed_rows import Choice
from mlproject.run.attributions import attribute_run, check
from mlproject.run.checks import check_letter_case, check_run, check_writable
from mlproject.run.context import Previous, RunContext, RunResult, Settings, Source, Trained
from mlproject.run.embedding import Embedding, Request, embed, headline
from mlproject.run.filters import FilterResults, read_filters, scan_motifs
from mlproject.run.motif_choice import NONE
from mlproject.run.outcome import motifs_found, training_warnings
from mlproject.run.recording import record_inputs, run_tags
from mlproject.run.resuming import recorded_failure
from mlproject.run.summary import card_data, record_card
from mlproject.sequence import decode
from mlproject.spec import RunSpec
from mlproject.store import Store, connect, environment_name, first_line, is_terminated
from mlproject.store.journal import REFUSED
from mlproject.store.liveness import end_dead
from mlproject.system import environment
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
        Interrupted: SIGINT, SIGTERM, SIGHUP or `should_stop`; the run is KILLED and can be resumed.
    """
    started, computed = time.perf_counter(), time.process_time()
    check(spec.methods)
    with Interrupts(settings.should_stop) as interrupts:
        data = load(spec, settings.home / "data")
        check_run(spec, data, settings, source)
        root = settings.home / "runs"
        check_writable(root)
        store = connect()
        check_letter_case(store.uri, data.classes, settings.quiet)
        name = settings.name or environment_name() or run_name(spec)
        tags = {**run_tags(spec, data), **settings.tags}
        check_interrupts()
        if isinstance(source, Previous) and source.run_id:
            _end_lost(store, source.run_id, root)
        tracker = store.start(name, tags, root, settings.experiment, settings.parent)
        settings.on_start(tracker.run_id)
        context = RunContext(name, spec, data, settings, tracker, interrupts)
        with recorded_failure(context, source):
            record_inputs(context)
            with progress_shown(settings.quiet):
                result = _run_stages(context, source, started, computed)
                with stage("storing"):
                    tracker.flush()
            check_interrupts()
            with interrupts.deferred():
                tracker.finish("FINISHED", without=[Artifact.STATE])
        if (refused := tracker.journal.folder / REFUSED).exists():
            print(
                f"warning: the tracking store refused a part of this run: {refused} says what and "
                "why, and its folder keeps the files",
                file=sys.stderr,
            )
        return result._replace(undelivered=tracker.problem, card=_card_path(context))


def _card_path(context: RunContext) -> str:
    """Return the path of the run's card, "" if it is not on this computer."""
    tracker = context.tracker
    local = tracker.journal.artifacts / Artifact.CARD
    stored = None  # a store that did not answer is not waited for again
    if tracker.problem is None:
        stored = tracker.store.local_artifact(tracker.run_id, Artifact.CARD)
    return str(stored or (local.resolve() if local.exists() else ""))


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
    embedded = _embed(context, model, read)
    check_interrupts()
    times[Metric.TIME_INTERPRET] = time.perf_counter() - clock
    with stage("saving the model"):
        _record_model(context, model)
    values = tested.values | baseline | read.values | attributed
    values |= embedded.metrics if embedded else {}
    times[Metric.TIME_TOTAL] = time.perf_counter() - started
    spec = context.spec
    class_rows = [row for row in tested.rows if isinstance(row, ClassScore)]
    warnings = training_warnings(fitted, spec.monitor, spec.bn_averages, class_rows, values)
    for text in warnings if not context.settings.quiet else ():
        print(f"warning: {text}", file=sys.stderr)
    with stage("writing the card"):
        card = card_data(context, model, fitted, tested, read, values | times, warnings, embedded)
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
    if context.spec.model != BLOCKS:
        context.tracker.artifact(Artifact.NETWORK, lambda path: save_network(model, path))


def _attribute(context: RunContext, model: keras.Model) -> dict[str, float]:
    """Compute the spec's attributions; if that fails, record the reason and keep the run."""
    spec = context.spec
    if not spec.methods:
        return {}
    try:
        return attribute_run(context, [model], spec.methods, Choice(spec.attributed))
    except UserError as error:
        context.tracker.tags({Tag.ATTRIBUTIONS: first_line(error)})
        print(f"warning: {first_line(error)}", file=sys.stderr)
        return {}


def _embed(context: RunContext, model: keras.Model, read: FilterResults) -> Embedding | None:
    """Embed the spec's motifs; if that fails, record the reason and keep the run."""
    spec = context.spec
    if spec.embedded == NONE:
        return None
    clipped = {reading.layer: reading.clipped for reading in read.readings}
    request = Request(spec.embedded, number=spec.backgrounds, seed=spec.seed)
    try:
        found = embed(context, model, request, lambda layer: clipped.get(layer, ()))
    except UserError as error:
        context.tracker.tags({Tag.EMBEDDING: first_line(error)})
        print(f"warning: {first_line(error)}", file=sys.stderr)
        return None
    if not context.settings.quiet:
        print(headline(found), file=sys.stderr, flush=True)
    return found
