"""The stages of a run: train, test, read the filters, tell. Each records what it finds."""

import csv
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from matplotlib.figure import Figure

from mlproject import checkpoint
from mlproject.architectures import ALIGNMENTS, AlignmentRule
from mlproject.data import Dataset, Split
from mlproject.evaluation import FEW, ClassScore, Curves, class_scores, curves, metrics
from mlproject.files import written_whole
from mlproject.interpret.align import align, receptive_field
from mlproject.interpret.filters import LayerReading, read_layer, scores
from mlproject.interpret.logos import logo_figure, save
from mlproject.interpret.scan import scan
from mlproject.interpret.tomtom import format_tsv
from mlproject.interrupts import Interrupted, Interrupts
from mlproject.model import activations, build, maximum_possible_activation, predict
from mlproject.motifs import jaspar, write_meme
from mlproject.progress import EpochProgress
from mlproject.report.plots import history_figure, pr_figure, roc_figure
from mlproject.spec import AlignmentName, RunSpec
from mlproject.tracking import Tracker
from mlproject.training import Epoch, Fit, binary_cross_entropy, fit

STATE = "state/state.h5"
STATE_SECONDS = 60.0


class Settings(NamedTuple):
    """What surrounds a run and cannot change its result.

    Attributes:
        home: folder of ``data`` and ``runs``.
        experiment: name of the MLflow experiment.
        name: name of the run.
        parent: id of the parent run.
        tags: further tags.
        quiet: show no progress.
        should_stop: asked at each step; true ends the training, to be resumed later. A text says
            who wants it.
        on_start: told the run's id, once it has one.
        on_epoch: told each epoch and its values.
    """

    home: Path = Path()
    experiment: str | None = None
    name: str | None = None
    parent: str | None = None
    tags: Mapping[str, str] = {}
    quiet: bool = False
    should_stop: Callable[[], bool | str] = lambda: False
    on_start: Callable[[str], None] = lambda run_id: None
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda epoch, values: None


class Previous(NamedTuple):
    """An interrupted run to go on from: its id, its spec, where its state is."""

    run_id: str
    spec: RunSpec
    state: Path


class Trained(NamedTuple):
    """A finished run whose weights are used again: its id, its best weights, its epochs."""

    run_id: str
    weights: Path
    history: list[Epoch]


class Job(NamedTuple):
    """A run under way."""

    name: str
    spec: RunSpec
    data: Dataset
    settings: Settings
    tracker: Tracker
    interrupts: Interrupts


def train(job: Job, previous: Previous | None) -> tuple[keras.Model, Fit]:
    """Train the network, or go on with an interrupted training, and record each epoch.

    Raises:
        Interrupted: the training was stopped; its state is kept.
    """
    spec, data, tracker = job.spec, job.data, job.tracker
    model = build(spec, data.length, len(data.classes))
    state = tracker.journal.artifacts / STATE
    state.parent.mkdir(parents=True, exist_ok=True)
    if previous:
        with written_whole(state) as file:
            file.write(previous.state.read_bytes())
        tracker.tags({"mlproject.resumes": previous.run_id})
        for row in checkpoint.read_history(state):
            _record_epoch(tracker, Epoch(**row))
    delivered = time.monotonic()
    stopper: bool | str = False

    def record(epoch: Epoch) -> None:
        nonlocal delivered
        _record_epoch(tracker, epoch)
        if time.monotonic() - delivered > STATE_SECONDS:
            tracker.artifact_if_there(STATE)
            delivered = time.monotonic()
        tracker.flush()
        bar.show(epoch.epoch, epoch.values, epoch.seconds)
        job.settings.on_epoch(epoch.epoch, epoch.values)

    def should_stop() -> bool:
        nonlocal stopper
        tracker.beat()
        stopper = job.interrupts.requested or job.settings.should_stop()
        return bool(stopper)

    with EpochProgress(spec.epochs, job.settings.quiet) as bar, job.interrupts.deferred():
        fitted = fit(
            model,
            spec,
            data.train,
            data.valid,
            state_path=state,
            resume=previous is not None,
            on_epoch=record,
            should_stop=should_stop,
        )
    if fitted.stopped == "interrupted":
        by = stopper if isinstance(stopper, str) else "its caller"
        raise Interrupted(f"interrupted by {by} after epoch {len(fitted.history)}")
    return model, fitted


def reuse(job: Job, trained: Trained) -> tuple[keras.Model, Fit]:
    """Take the weights of a finished run of the same training, and record its epochs."""
    spec, data, tracker = job.spec, job.data, job.tracker
    model = build(spec, data.length, len(data.classes))
    model.load_weights(trained.weights)
    tracker.tags({"mlproject.weights_of": trained.run_id})
    for epoch in trained.history:
        _record_epoch(tracker, epoch)
    best = min(trained.history, key=lambda epoch: epoch.values[spec.monitor])
    stopped = "epochs" if len(trained.history) >= spec.epochs else "patience"
    return model, Fit(trained.history, best.epoch, best.values[spec.monitor], stopped)


def _record_epoch(tracker: Tracker, epoch: Epoch) -> None:
    tracker.metrics(epoch.values | {"time/epoch": epoch.seconds}, epoch.epoch)


class Tested(NamedTuple):
    """What the test split says: a row and curves for each class, all numbers by metric name."""

    rows: list[ClassScore]
    curves: list[Curves]
    values: dict[str, float]


def test(job: Job, model: keras.Model, fitted: Fit) -> Tested:
    """Evaluate the best weights on the test split and record them with their history."""
    data, tracker = job.data, job.tracker
    labels = np.asarray(data.test.labels)
    predicted = predict(model, data.test.codes, average=job.spec.average)
    rows = class_scores(labels, predicted, data.classes)
    penalty = sum(float(loss) for loss in model.losses)
    best = fitted.history[fitted.best_epoch - 1].values
    values = {
        "best_epoch": float(fitted.best_epoch),
        **{f"best_{name}": value for name, value in best.items() if name.startswith("val_")},
        "test_loss": binary_cross_entropy(labels, predicted) + penalty,
        **metrics(rows),
    }
    tracker.metrics(values)
    tracker.artifact("history.csv", lambda path: _write_csv(path, history_rows(fitted)))
    tracker.artifact(
        "test_per_class.csv", lambda path: _write_csv(path, [_class_row(row) for row in rows])
    )
    tracker.artifact("weights/best.weights.h5", model.save_weights)
    tested = Tested(rows, curves(labels, predicted, data.classes), values)
    figures = {
        "history": history_figure(history_rows(fitted), fitted.best_epoch),
        "roc": roc_figure(rows, tested.curves),
        "pr": pr_figure(rows, tested.curves),
    }
    for name, figure in figures.items():
        _record_figure(tracker, f"plots/{name}.png", figure)
    return tested


def _class_row(row: ClassScore) -> dict[str, Any]:
    return {**row._asdict(), "note": f"fewer than {FEW} positives" if row.few else ""}


def history_rows(fitted: Fit) -> list[dict[str, float]]:
    """Return one row for each epoch: its number, its values, its seconds."""
    return [{"epoch": one.epoch, **one.values, "seconds": one.seconds} for one in fitted.history]


def read_filters(job: Job, model: keras.Model) -> tuple[list[LayerReading], dict[str, float]]:
    """Read the filters of the spec's layers as motifs and record what they match.

    The test split is read with both alignments, the validation split with the spec's own.

    Returns:
        The readings of the test split with the spec's own alignment, and all scores by metric name.
    """
    spec, data, tracker = job.spec, job.data, job.tracker
    readings: list[LayerReading] = []
    values: dict[str, float] = {}
    for number in spec.layer_numbers:
        name = f"conv{number}"
        for reading in _readings(job, model, number, data.test, tuple(ALIGNMENTS)):
            own = reading.alignment == spec.alignment
            suffix = "" if own else f"_{reading.alignment}"
            for key, value in scores(reading, data.relevant).items():
                if own or "/" not in key:
                    values[f"{name}/{key}{suffix}"] = value
            if own:
                readings.append(reading)
                _record_reading(job, reading)
        for reading in _readings(job, model, number, data.valid, (spec.alignment,)):
            for key, value in scores(reading, data.relevant).items():
                if "/" not in key:
                    values[f"val_{name}/{key}"] = value
    tracker.metrics(values)
    return readings, values


def _readings(
    job: Job, model: keras.Model, number: int, split: Split, alignments: Iterable[AlignmentName]
) -> Iterable[LayerReading]:
    spec, name = job.spec, f"conv{number}"
    rules = {**ALIGNMENTS, spec.alignment: AlignmentRule(spec.threshold, spec.window)}
    found = scan(
        activations(model, name, split.codes),
        released=rules["released"].threshold,
        paper=rules["paper"].threshold,
        possible=maximum_possible_activation(model, name) if number == 1 else None,
    )
    field = receptive_field(spec.blocks, number, job.data.length)
    for alignment in alignments:
        aligned = align(found, alignment, split.codes, field, rules[alignment].window)
        yield read_layer(name, alignment, aligned, jaspar(), spec.evalue)


def _record_reading(job: Job, reading: LayerReading) -> None:
    tracker, stem = job.tracker, f"filters/{reading.layer}"
    tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, reading.motifs))
    tracker.artifact(f"{stem}_clipped.meme", lambda path: write_meme(path, reading.clipped, 4))
    table = format_tsv(reading.matches)
    tracker.artifact(f"{stem}_matches.tsv", lambda path: path.write_text(table))
    targets = {motif.id: motif for motif in jaspar()}
    title = f"{job.name} · {reading.layer}"
    figure = logo_figure(reading, targets, job.data.relevant, job.data.motifs, title)
    for suffix in ("png", "pdf"):
        _record_figure(tracker, f"{stem}.{suffix}", figure)


def _record_figure(tracker: Tracker, path: str, figure: Figure) -> None:
    tracker.artifact(path, lambda target: save(figure, target.with_suffix(""), [target.suffix[1:]]))


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
