"""The stages that train and test a network; each records its results."""

import csv
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from matplotlib.figure import Figure

from mlproject.draw.curves import history_figure, pr_figure, roc_figure
from mlproject.draw.output import save_figure
from mlproject.draw.scatter import scatter_figure
from mlproject.fields import VALUES
from mlproject.names import Artifact, Metric, Tag
from mlproject.network import checkpoint, fast_pass
from mlproject.network.build import build, predict
from mlproject.network.evaluation import FEW, ClassScore, Curves, curves, metrics
from mlproject.network.kernel_history import NAME, append_kernel, read_kernels, write_kernels
from mlproject.network.protocol import Epoch, kept
from mlproject.network.saving import load_weights, save_weights
from mlproject.network.tasks import PRIMARY, Score, accuracy, data_loss, test_rows
from mlproject.network.training import Fit, fit
from mlproject.network.value_scores import Density, ValueScore, densities
from mlproject.run.context import Previous, RunContext, Trained
from mlproject.run.device_faults import DeviceFaults
from mlproject.run.places import write_predictions
from mlproject.store import Tracker
from mlproject.system.files import atomic_file, sha256_of
from mlproject.system.interrupts import Interrupted
from mlproject.system.progress import EpochProgress

STATE_SECONDS = 60.0
WEIGHT_COLUMNS = "weights/"  # prefix of the columns of history.csv that describe the weights


def train(context: RunContext, previous: Previous | None) -> tuple[keras.Model, Fit]:
    """Train the network, or resume an interrupted training, and record each epoch.

    Raises:
        Interrupted: the training was stopped; its state is kept.
        UserError: it failed, now or before the run began.
    """
    spec, data, tracker = context.spec, context.data, context.tracker
    model = build(spec, data.length, len(data.classes), data.task)
    tracker.tags({Tag.TRAINING_PASS: fast_pass.choose(model)[1]})
    state = tracker.journal.artifacts / Artifact.STATE
    state.parent.mkdir(parents=True, exist_ok=True)
    if previous:
        _resume_state(tracker, previous, state)
        for row in checkpoint.read_history(state):
            _record_epoch(tracker, Epoch(**row))
    delivered = time.monotonic()
    record_fault = DeviceFaults(tracker, previous.faults if previous else ())
    if previous and previous.failure:
        raise previous.failure
    kernels = state.with_name(NAME)
    if previous:
        _copy_kernels(previous, kernels)

    def record(epoch: Epoch) -> None:
        nonlocal delivered
        append_kernel(kernels, model, epoch.epoch)
        _record_epoch(tracker, epoch)
        if time.monotonic() - delivered > STATE_SECONDS:
            tracker.artifact_if_there(Artifact.STATE)
            delivered = time.monotonic()
        bar.show(epoch.epoch, epoch.values, epoch.seconds)
        context.settings.on_epoch(epoch.epoch, epoch.values)

    def should_stop() -> bool:
        tracker.beat()
        return context.interrupts.reason is not None

    with EpochProgress(spec.all_epochs, context.settings.quiet) as bar:
        fitted = fit(
            model,
            spec,
            data.train,
            data.valid,
            state_path=state,
            task=data.task,
            resume=previous is not None,
            on_epoch=record,
            on_fault=record_fault,
            should_stop=should_stop,
        )
    if fitted.stopped == "interrupted":
        raise Interrupted(
            f"interrupted by {context.interrupts.reason} after epoch {len(fitted.history)}"
        )
    if found := read_kernels(kernels):
        tracker.artifact(Artifact.KERNELS, lambda path: write_kernels(path, found))
    kernels.unlink(missing_ok=True)
    return model, fitted


def _copy_kernels(previous: Previous, target: Path) -> None:
    """Copy the kernels of the epochs of an interrupted run, if they are on this computer."""
    with suppress(OSError):
        shutil.copyfile(previous.state.with_name(NAME), target)


def _resume_state(tracker: Tracker, previous: Previous, state: Path) -> None:
    """Copy the state of an interrupted run and tag that run as resumed.

    The copy reaches the store before the tag, so that one of the two runs is always resumable.
    """
    if previous.run_id:
        tracker.tags({Tag.RESUMES: previous.run_id})
    with atomic_file(state) as file:
        file.write(previous.state.read_bytes())
    if not previous.run_id:
        return
    tracker.artifact_if_there(Artifact.STATE)
    tracker.tag_other(previous.run_id, Tag.RESUMED_BY, tracker.run_id)


def reuse(context: RunContext, trained: Trained) -> tuple[keras.Model, Fit]:
    """Load the weights of a finished run of the same training, and record its epochs."""
    spec, data, tracker = context.spec, context.data, context.tracker
    model = build(spec, data.length, len(data.classes), data.task)
    load_weights(model, trained.weights)
    tracker.tags({Tag.WEIGHTS_OF: trained.run_id})
    for epoch in trained.history:
        _record_epoch(tracker, epoch)
    best = kept(trained.history, spec)
    stopped = "epochs" if len(trained.history) >= spec.all_epochs else "patience"
    return model, Fit(trained.history, best.epoch, best.values[spec.monitor], stopped)


def _record_epoch(tracker: Tracker, epoch: Epoch) -> None:
    tracker.metrics(epoch.values | {Metric.TIME_EPOCH: epoch.seconds}, epoch.epoch)


class Tested(NamedTuple):
    """Scores on the test split.

    Attributes:
        rows: a row for each class or output.
        curves: of the classes that have both labels.
        densities: of measured and predicted values, for each output.
        values: all numbers by metric name.
    """

    rows: Sequence[Score]
    curves: list[Curves]
    densities: list[Density]
    values: dict[str, float]


def test(context: RunContext, model: keras.Model, fitted: Fit) -> Tested:
    """Evaluate the best weights on the test split and record them with their history."""
    data, tracker = context.data, context.tracker
    labels = np.asarray(data.test.labels)
    predicted = predict(model, data.test.codes, average=context.spec.average)
    rows = test_rows(labels, predicted, data.classes, data.task)
    penalty = sum(float(loss) for loss in model.losses)
    best = fitted.history[fitted.best_epoch - 1].values
    values = {
        Metric.BEST_EPOCH: float(fitted.best_epoch),
        **{f"best_{name}": value for name, value in best.items() if name.startswith("val_")},
        Metric.TEST_LOSS: data_loss(labels, predicted, data.task, context.spec.loss) + penalty,
        **metrics(rows),
    }
    for name, value in data.provenance.get("achievable", {}).items():
        values[f"{Metric.ACHIEVABLE}{name}"] = value
    if data.task == "multiclass":
        values[Metric.TEST_ACCURACY] = accuracy(labels, predicted)
    tracker.metrics(values)
    tracker.artifact(Artifact.HISTORY, lambda path: write_csv(path, history_rows(fitted)))
    tracker.artifact(
        Artifact.PER_CLASS, lambda path: write_csv(path, [_class_row(row) for row in rows])
    )
    if (windows := data.windows.get("test")) is not None:
        tracker.artifact(
            Artifact.PREDICTIONS,
            lambda path: write_predictions(path, windows, predicted, data.classes),
        )
    tracker.artifact(Artifact.WEIGHTS, lambda path: save_weights(model, path))
    files = {
        path: sha256_of(tracker.journal.artifacts / path)
        for path in (Artifact.HISTORY, Artifact.WEIGHTS)
    }
    tracker.tags({Tag.ARTIFACT_SHA256: json.dumps(files)})
    numbers = data.task in VALUES
    tested = Tested(
        rows,
        [] if numbers else curves(labels, predicted, data.classes),
        densities(labels, predicted, data.classes) if numbers else [],
        values,
    )
    for name, figure in _figures(context, fitted, tested).items():
        record_figure(tracker, f"{Artifact.PLOTS}{name}", figure)
    return tested


def _figures(context: RunContext, fitted: Fit, tested: Tested) -> dict[str, Figure]:
    """Return the figures of a run by the name of their file."""
    task, rows = context.data.task, tested.rows
    history = history_figure(history_rows(fitted), fitted.best_epoch, measure=PRIMARY[task])
    if task in VALUES:
        values = [row for row in rows if isinstance(row, ValueScore)]
        scatter = scatter_figure(values, tested.densities, context.data.units)
        return {"history": history, "scatter": scatter}
    classes = [row for row in rows if isinstance(row, ClassScore)]
    roc, pr = roc_figure(classes, tested.curves), pr_figure(classes, tested.curves)
    return {"history": history, "roc": roc, "pr": pr}


def _class_row(row: Score) -> dict[str, Any]:
    few = isinstance(row, ClassScore) and row.few
    values = {name: value for name, value in row._asdict().items() if value is not None}
    known = {**dict.fromkeys(row._fields, ""), **values}
    return {**known, "note": f"fewer than {FEW} positives" if few else ""}


def history_rows(fitted: Fit) -> list[dict[str, float]]:
    """Return one row for each epoch: its number, its values, its seconds."""
    return [
        {"epoch": one.epoch, **one.values, "seconds": one.seconds}
        | {f"{WEIGHT_COLUMNS}{name}": value for name, value in one.weights.items()}
        for one in fitted.history
    ]


def record_figure(tracker: Tracker, stem: str, figure: Figure, *kinds: str) -> None:
    """Record a figure as ``STEM.png``, or as one artifact for each of the `kinds`."""
    for kind in kinds or ("png",):
        tracker.artifact(
            f"{stem}.{kind}",
            lambda path: save_figure(figure, path.with_suffix(""), [path.suffix[1:]]),
        )


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with equal keys as a table with a heading."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
