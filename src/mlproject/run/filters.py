"""The filter stage of a run: motif matches, detection of planted motifs, ablation."""

import sys
from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np

from mlproject.architectures import FIRST, scored_alignments
from mlproject.draw.logos import logo_figure
from mlproject.fields import BLOCKS
from mlproject.filters.ablation import Ablation, ablate, ablation_rows, ablation_scores
from mlproject.filters.baseline import class_motifs
from mlproject.filters.elsewhere import Unexplained, unexplained
from mlproject.filters.null import null_scores
from mlproject.filters.reading import (
    LayerReading,
    filters_by_class,
    is_approximate,
    match_scores,
)
from mlproject.filters.truth import FilterTruth, truth_rows, truth_scores
from mlproject.motifs.meme import write_meme
from mlproject.motifs.tomtom import format_tsv
from mlproject.names import Artifact, Tag, classes_of
from mlproject.network.graph import convolutions, require_positions
from mlproject.network.tasks import PRIMARY
from mlproject.run.baseline import cached_pwm_scan
from mlproject.run.context import RunContext
from mlproject.run.layer_reader import LayerReader
from mlproject.run.model_parts import network_parts
from mlproject.run.stages import record_figure, write_csv
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError


class FilterResults(NamedTuple):
    """Results of reading a run's filters.

    Attributes:
        readings: the layers with the spec's own alignment, over the test split.
        truths: layer -> detection of the planted motifs by its filters, if these are known.
        ablations: layer -> the network's loss of performance without each of its filters.
        unexplained: layer -> the filters that drive a class and match nothing.
        values: all metrics by name.
    """

    readings: list[LayerReading]
    truths: dict[str, FilterTruth]
    ablations: dict[str, Ablation]
    unexplained: dict[str, list[Unexplained]]
    values: dict[str, float]


def read_filters(context: RunContext, model: keras.Model) -> FilterResults:
    """Read the filters of the spec's layers as motifs and record their matches.

    The test split is read with both alignments, the validation split with the spec's own.
    """
    results = FilterResults([], {}, {}, {}, {})
    for reader in _readers(context, model):
        _read_test(context, reader, results)
        _ablate(context, model, reader, results)
        _read_validation(context, reader, results)
    context.tracker.metrics(results.values)
    return results


def read_layers(model: keras.Model, spec: RunSpec) -> list[str]:
    """Return the names of the layers whose filters a run reads; [] if there is no convolution."""
    if spec.model == BLOCKS:
        return [f"conv{number}" for number in spec.layer_numbers]
    return convolutions(model)[:1] if spec.layers == FIRST else spec.layers.split(",")


def _readers(context: RunContext, model: keras.Model) -> Iterator[LayerReader]:
    """Yield a reader for each layer of the spec.

    A layer of a model that is not made of blocks is left out, with a note, if the positions of its
    activations cannot be traced.
    """
    spec = context.spec
    if spec.model == BLOCKS:
        for number in spec.layer_numbers:
            yield LayerReader(context, model, f"conv{number}", f"conv{spec.origin(number)}")
        return
    names = read_layers(model, spec)
    if not names:
        _leave_out(
            context, "filters are read from one-dimensional convolutions: the model has none"
        )
    for name in names:
        try:
            require_positions(model, name)
            yield LayerReader(context, model, name, name)
        except UserError as error:
            _leave_out(context, str(error))


def _leave_out(context: RunContext, note: str) -> None:
    context.tracker.tags({Tag.FILTERS_LEFT_OUT: note[:1000]})
    print(f"note: {note}", file=sys.stderr)


def scan_motifs(context: RunContext) -> dict[str, float]:
    """Record the performance of the known motifs alone on the test split, equal for all runs."""
    motifs = class_motifs(context.data, context.relevant, context.targets)
    found = cached_pwm_scan(context.data, context.settings.home / "data", motifs)
    values = found.metrics()
    context.tracker.metrics({name: value for name, value in values.items() if _is_summary(name)})
    if found.rows:
        rows = [row._asdict() for row in found.rows]
        context.tracker.artifact(Artifact.BASELINE, lambda path: write_csv(path, rows))
    return values


def _is_summary(name: str) -> bool:
    """Return whether a number of the baseline becomes a metric of the run.

    Those of single classes are the same in all runs on one data set, and each kind would be one
    more section of MLflow's page, before all others: they are in the artifact only.
    """
    return name.count("/") == 1 or name.startswith("baseline/site_ap/")


def _read_test(context: RunContext, reader: LayerReader, results: FilterResults) -> None:
    split, own = context.data.test, context.spec.alignment
    found = reader.scan(split)
    for alignment in scored_alignments(own):
        reading = reader.read(split, found, alignment)
        suffix = "" if alignment == own else f"_{alignment}"
        for key, value in match_scores(reading, context.relevant).items():
            if alignment == own or "/" not in key:
                results.values[f"{reader.name}/{key}{suffix}"] = value
        if alignment == own:
            results.readings.append(reading)
            null = null_scores(reading, context.targets, context.relevant, context.spec.evalue)
            results.values.update({f"{reader.name}/{key}": one for key, one in null.items()})
            _record_reading(context, reading)
    if detected := reader.truth(split, found):
        results.truths[reader.name] = detected
        for key, value in truth_scores(detected).items():
            results.values[f"{reader.name}/{key}"] = value
        context.tracker.artifact(
            f"{Artifact.FILTERS}{reader.name}_truth.csv",
            lambda path: write_csv(path, truth_rows(detected)),
        )


def _read_validation(context: RunContext, reader: LayerReader, results: FilterResults) -> None:
    split = context.data.valid
    found = reader.scan(split)
    values = match_scores(reader.read(split, found, context.spec.alignment), context.relevant)
    if detected := reader.truth(split, found):
        values |= truth_scores(detected)
    for key, value in values.items():
        if "/" not in key:
            results.values[f"val_{reader.name}/{key}"] = value


def _ablate(
    context: RunContext, model: keras.Model, reader: LayerReader, results: FilterResults
) -> None:
    """Measure and record the loss of performance without each filter of the layer just read."""
    data, reading = context.data, results.readings[-1]
    labels = np.asarray(data.test.labels)
    parts = network_parts(model, reader.convolution)
    lost = ablate(
        parts, reader.convolution, data.test.codes, labels, data.classes,
        measure=PRIMARY[data.task],
    )  # fmt: skip
    if np.isnan(lost.intact).all():
        return
    matched = set().union(*filters_by_class(reading, context.relevant).values())
    relevant = [n for n, motif in enumerate(reading.motifs) if motif.id in matched]
    found = ablation_scores(lost, relevant if any(context.relevant.values()) else None)
    results.ablations[reader.name] = lost
    results.unexplained[reader.name] = unexplained(
        reading, lost, context.spec.motifs, context.spec.evalue
    )
    results.values.update({f"{reader.name}/{key}": value for key, value in found.items()})
    context.tracker.artifact(
        f"{Artifact.FILTERS}{reader.name}_importance.csv",
        lambda path: write_csv(path, ablation_rows(lost)),
    )


def _record_reading(context: RunContext, reading: LayerReading) -> None:
    tracker, stem = context.tracker, f"{Artifact.FILTERS}{reading.layer}"
    tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, reading.motifs))
    tracker.artifact(f"{stem}_clipped.meme", lambda path: write_meme(path, reading.clipped, 4))
    table = format_tsv(reading.matches, context.targets)
    tracker.artifact(f"{stem}_matches.tsv", lambda path: path.write_text(table, encoding="utf-8"))
    targets = {motif.id: motif for motif in context.targets}
    title = f"{context.name} · {reading.layer}"
    if is_approximate(reading.layer):
        title += " (approximate: traced through the pool)"
    if context.spec.motifs_sha256:
        used = {match.target_id for match in reading.matches}
        used |= {one.id for one in context.targets if classes_of(one.id, context.relevant)}
        shown = [motif for motif in context.targets if motif.id in used]
        tracker.artifact(Artifact.TARGETS, lambda path: write_meme(path, shown))
    figure = logo_figure(reading, targets, context.relevant, context.data.motifs, title)
    record_figure(tracker, stem, figure, "png", "pdf")
