"""The stage of a run that reads its filters: what they match, detect and are needed for."""

from typing import NamedTuple

import keras
import numpy as np

from mlproject.architectures import ALIGNMENTS, AlignmentRule
from mlproject.data import Split
from mlproject.draw.logos import logo_figure
from mlproject.filters.ablation import Ablation, ablate, ablation_rows, ablation_scores
from mlproject.filters.align import align
from mlproject.filters.reading import (
    APPROXIMATE,
    LayerReading,
    filters_by_class,
    is_approximate,
    match_scores,
    read_layer,
)
from mlproject.filters.scan import Scan, scan
from mlproject.filters.site_windows import Peaks, site_windows
from mlproject.filters.trace import trace
from mlproject.filters.truth import FilterTruth, compare_to_sites, truth_rows, truth_scores
from mlproject.geometry import ReceptiveField, receptive_field
from mlproject.motifs.databases import jaspar
from mlproject.motifs.meme import write_meme
from mlproject.motifs.tomtom import format_tsv
from mlproject.names import motif_names
from mlproject.network.build import activations, maximum_possible_activation
from mlproject.network.graph import activation_output
from mlproject.run.baseline import cached_pwm_scan
from mlproject.run.model_parts import network_parts, trace_levels
from mlproject.run.stages import Job, record_figure, write_csv
from mlproject.spec import AlignmentName


class Interpreted(NamedTuple):
    """What the filters of a run say.

    Attributes:
        readings: the layers with the spec's own alignment, over the test split.
        truths: layer -> what its filters detect of the planted motifs, where these are known.
        ablations: layer -> what the network loses without each of its filters.
        values: all scores by metric name.
    """

    readings: list[LayerReading]
    truths: dict[str, FilterTruth]
    ablations: dict[str, Ablation]
    values: dict[str, float]


def read_filters(job: Job, model: keras.Model) -> Interpreted:
    """Read the filters of the spec's layers as motifs and record what they match.

    The test split is read with both alignments, the validation split with the spec's own.
    """
    spec, data, tracker = job.spec, job.data, job.tracker
    done = Interpreted([], {}, {}, {})
    for number in spec.layer_numbers:
        name = _label(job, number)
        peaks = _peaks(job, model, number, data.test)
        found = _scan(job, model, number, data.test, peaks)
        found = _placed(job, model, number, data.test, found)
        for alignment in ALIGNMENTS:
            reading = _read(job, model, number, data.test, found, alignment)
            own = alignment == spec.alignment
            suffix = "" if own else f"_{alignment}"
            for key, value in match_scores(reading, data.relevant).items():
                if own or "/" not in key:
                    done.values[f"{name}/{key}{suffix}"] = value
            if own:
                done.readings.append(reading)
                _record_reading(job, reading)
        if peaks:
            seen = _truth(job, model, number, data.test, peaks, found)
            _record_truth(job, name, seen, done)
        _ablate(job, model, number, done)
        peaks = _peaks(job, model, number, data.valid)
        found = _scan(job, model, number, data.valid, peaks)
        found = _placed(job, model, number, data.valid, found)
        reading = _read(job, model, number, data.valid, found, spec.alignment)
        values = match_scores(reading, data.relevant)
        if peaks:
            values |= truth_scores(_truth(job, model, number, data.valid, peaks, found))
        for key, value in values.items():
            if "/" not in key:
                done.values[f"val_{name}/{key}"] = value
    tracker.metrics(done.values)
    return done


def scan_motifs(job: Job) -> dict[str, float]:
    """Record what the known motifs alone achieve on the test split, the same for all networks."""
    values = cached_pwm_scan(job.data, job.settings.home / "data").metrics()
    job.tracker.metrics(values)
    return values


def _label(job: Job, number: int) -> str:
    return f"conv{number}" + ("" if job.spec.keeps_positions(number) else APPROXIMATE)


def _field(job: Job, model: keras.Model, number: int) -> ReceptiveField:
    """Return the receptive field of a layer's sites; traced sites lie in the map of `origin`."""
    return receptive_field(model, f"conv{job.spec.origin(number)}")


def _placed(job: Job, model: keras.Model, number: int, split: Split, found: Scan) -> Scan:
    """Return the sites of a layer, those behind a pool where they come from, approximately."""
    if job.spec.keeps_positions(number):
        return found
    levels = trace_levels(model, number, job.spec.origin(number))
    return found._replace(
        released=trace(levels, found.released, split.codes),
        paper=trace(levels, found.paper, split.codes),
    )


def _rule(job: Job, alignment: AlignmentName) -> AlignmentRule:
    own = AlignmentRule(job.spec.threshold, job.spec.window)
    return own if alignment == job.spec.alignment else ALIGNMENTS[alignment]


def _peaks(job: Job, model: keras.Model, number: int, split: Split) -> Peaks | None:
    """Return the windows to watch, None if it is not known where motifs or activations are."""
    if split.sites is None or not len(split.sites) or not job.spec.keeps_positions(number):
        return None
    field = _field(job, model, number)
    positions = int(activation_output(model, f"conv{number}").shape[1])
    found = site_windows(split.sites, field, positions, len(split.codes))
    return Peaks(found) if (found.site >= 0).any() else None


def _scan(
    job: Job, model: keras.Model, number: int, split: Split, peaks: Peaks | None = None
) -> Scan:
    name = f"conv{number}"
    batches = activations(model, name, split.codes)
    return scan(
        peaks.watch(batches) if peaks else batches,
        released=_rule(job, "released").threshold,
        paper=_rule(job, "paper").threshold,
        possible=maximum_possible_activation(model, name) if number == 1 else None,
    )


def _read(
    job: Job,
    model: keras.Model,
    number: int,
    split: Split,
    found: Scan,
    alignment: AlignmentName,
) -> LayerReading:
    window = _rule(job, alignment).window
    aligned = align(found, alignment, split.codes, _field(job, model, number), window)
    return read_layer(_label(job, number), alignment, aligned, jaspar(), job.spec.evalue)


def _truth(
    job: Job, model: keras.Model, number: int, split: Split, peaks: Peaks, found: Scan
) -> FilterTruth:
    """Compare a layer's activations with the planted sites of a split."""
    data = job.data
    assert split.sites is not None
    active: np.ndarray = getattr(found, job.spec.alignment)
    names = motif_names([motif.id for motif in data.motifs], data.relevant)
    return compare_to_sites(peaks, active, split.sites, names, _field(job, model, number))


def _record_truth(job: Job, name: str, seen: FilterTruth, done: Interpreted) -> None:
    done.truths[name] = seen
    done.values.update({f"{name}/{key}": value for key, value in truth_scores(seen).items()})
    job.tracker.artifact(
        f"filters/{name}_truth.csv", lambda path: write_csv(path, truth_rows(seen))
    )


def _ablate(job: Job, model: keras.Model, number: int, done: Interpreted) -> None:
    """Take away the filters of the layer that was read last, one by one, and record it."""
    data, reading = job.data, done.readings[-1]
    name = reading.layer
    if job.spec.strands == "shared":  # one activation map holds both strands of a batch
        return
    labels = np.asarray(data.test.labels)
    parts = network_parts(model, f"conv{number}")
    lost = ablate(parts, f"conv{number}", data.test.codes, labels, data.classes)
    if np.isnan(lost.auroc).all():
        return
    matched = set().union(*filters_by_class(reading, data.relevant).values())
    relevant = [n for n, motif in enumerate(reading.motifs) if motif.id in matched]
    found = ablation_scores(lost, relevant if any(data.relevant.values()) else None)
    done.ablations[name] = lost
    done.values.update({f"{name}/{key}": value for key, value in found.items()})
    job.tracker.artifact(
        f"filters/{name}_importance.csv", lambda path: write_csv(path, ablation_rows(lost))
    )


def _record_reading(job: Job, reading: LayerReading) -> None:
    tracker, stem = job.tracker, f"filters/{reading.layer}"
    tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, reading.motifs))
    tracker.artifact(f"{stem}_clipped.meme", lambda path: write_meme(path, reading.clipped, 4))
    table = format_tsv(reading.matches)
    tracker.artifact(f"{stem}_matches.tsv", lambda path: path.write_text(table, encoding="utf-8"))
    targets = {motif.id: motif for motif in jaspar()}
    title = f"{job.name} · {reading.layer}"
    if is_approximate(reading.layer):
        title += " (approximate: traced through the pool)"
    figure = logo_figure(reading, targets, job.data.relevant, job.data.motifs, title)
    for suffix in ("png", "pdf"):
        record_figure(tracker, f"{stem}.{suffix}", figure)
