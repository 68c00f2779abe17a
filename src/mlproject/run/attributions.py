"""The attribution stage, for a run under way and for one that has finished."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import keras
import numpy as np
from matplotlib.figure import Figure

from mlproject.attribution import Attributions, attribute, patterns
from mlproject.attribution.completeness import completeness_error
from mlproject.attribution.examples import example_table
from mlproject.attribution.files import write_arrays, write_attributions
from mlproject.attribution.truth import PlantedScores, owners, planted, score, summarise
from mlproject.draw.pattern_logos import pattern_figure
from mlproject.draw.tracks import Track, cropped, marks, richest, track_figure
from mlproject.fields import ATTRIBUTIONS, MODISCO
from mlproject.filters.reading import match_scores
from mlproject.motifs.meme import write_meme
from mlproject.motifs.tomtom import format_tsv
from mlproject.names import Artifact, Metric, Tag
from mlproject.run.attributed_rows import Choice
from mlproject.run.context import RunContext
from mlproject.run.places import write_contributions
from mlproject.run.stages import record_figure
from mlproject.system.progress import MethodProgress

MOST_TRACKS, SPAN = 12, 200

Recorder: TypeAlias = Callable[[], None]


def check(methods: Sequence[str]) -> None:
    """Raise a `UserError` if a method needs a package that is not installed."""
    if MODISCO in methods:
        patterns.require()


def attribute_run(
    context: RunContext, model: keras.Model, methods: Sequence[str], choice: Choice
) -> dict[str, float]:
    """Attribute with each method, score the planted positions, and record the results.

    The results of a method are recorded together, as soon as the method is done.

    Args:
        context: the run.
        model: with the trained weights.
        methods: names of methods.
        choice: the sequences and classes.

    Returns:
        Metrics of all methods: ``saliency/auroc``, ``saliency/auroc/CEBPB`` and so on if planted
        motifs are known, ``modisco/coverage`` and so on, ``time/NAME`` in seconds.

    Raises:
        UserError: see `Choice.rows`, `mlproject.attribution.attribute` and `patterns.find`.
        Interrupted: a signal; the methods recorded before it stay.
    """
    sequences, targets = choice.rows(model, context.data)
    codes = context.data.test.codes[sequences]
    values: dict[str, float] = {}
    found: Attributions | None = None
    for name in methods:
        started = time.perf_counter()
        if name == MODISCO:
            assert found is not None
            record, own = _patterns(context, found)
        else:
            with MethodProgress(ATTRIBUTIONS[name], context.settings.quiet) as bar:
                found = attribute(
                    model, name, codes, targets,
                    sequences=sequences, seed=context.spec.seed, progress=bar.show,
                )  # fmt: skip
            record, own = _attributions(context, model, found)
        own[f"{Metric.TIME}{name}"] = time.perf_counter() - started
        context.interrupts.check()
        with context.interrupts.deferred():
            record()
            context.tracker.tags({Tag.attributions(name): json.dumps(choice._asdict())})
            context.tracker.metrics(own)
        context.interrupts.check()
        if not context.settings.quiet:
            print(_line(name, own, len(codes)), file=sys.stderr, flush=True)
        values |= own
    return values


def _attributions(
    context: RunContext, model: keras.Model, found: Attributions
) -> tuple[Recorder, dict[str, float]]:
    """Return a function that records a method's scores, and the method's metrics."""
    data, name = context.data, found.method
    covered = planted(data.test, found.sequences, found.targets, owners(data))
    truth = score(found.importance, covered)
    own = {
        f"{name}/{key}": value
        for key, value in summarise(truth, found.targets, data.classes).items()
    }
    error = completeness_error(model, found, context.spec.seed)
    if error is not None:
        own[f"{name}/completeness_error"] = error
    figure = _figure(context, found, truth)
    lines = example_table(found, data.classes)

    def record() -> None:
        stem = f"{Artifact.ATTRIBUTIONS}{name}"
        context.tracker.artifact(
            f"{stem}.h5", lambda path: write_attributions(path, found, data.classes, data.sha256)
        )
        record_figure(context.tracker, stem, figure, "png", "pdf")
        context.tracker.artifact(
            Artifact.examples(name), lambda path: lines.to_csv(path, index=False)
        )
        if (windows := data.windows.get("test")) is not None:
            context.tracker.artifact(
                f"{stem}.bedgraph",
                lambda path: write_contributions(path, windows, found, data.classes),
            )

    return record, own


def _patterns(context: RunContext, found: Attributions) -> tuple[Recorder, dict[str, float]]:
    """Return a function that records TF-MoDISco's patterns, and the patterns' metrics."""
    folder = Path(tempfile.mkdtemp(prefix="modisco-"))
    try:
        ohe, shap = write_arrays(folder, found)
        made = folder / "modisco.h5"
        with MethodProgress(f"TF-MoDISco on {ATTRIBUTIONS[found.method]}", context.settings.quiet):
            patterns.find(ohe, shap, made, found.codes.shape[1])
        read = patterns.read(made, context.targets, context.spec.evalue)
        files = {path.name: path.read_bytes() for path in (ohe, shap, made)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    reading, relevant = read.reading, context.relevant
    own = {"modisco/patterns": float(len(reading.motifs))}
    own["modisco/negative_patterns"] = float(read.negative)
    if not reading.motifs:
        own |= {"modisco/coverage": 0.0} if any(relevant.values()) else {}
    else:
        values = match_scores(reading, relevant)
        own |= {f"modisco/{key.replace('filters/', 'patterns/')}": values[key] for key in values}
        own.pop("modisco/dead")
    targets = {motif.id: motif for motif in context.targets}
    title = f"{context.name} · TF-MoDISco on {ATTRIBUTIONS[found.method]}"
    figure = pattern_figure(read, targets, relevant, title)
    table = format_tsv(reading.matches, context.targets)

    def record() -> None:
        tracker, stem = context.tracker, f"{Artifact.ATTRIBUTIONS}{MODISCO}"
        for name, content in files.items():
            tracker.artifact(
                f"{Artifact.ATTRIBUTIONS}{name}", partial(Path.write_bytes, data=content)
            )
        if reading.motifs:
            tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, reading.motifs))
        tracker.artifact(
            Artifact.PATTERN_MATCHES, lambda path: path.write_text(table, encoding="utf-8")
        )
        record_figure(tracker, stem, figure, "png", "pdf")

    return record, own


def _figure(context: RunContext, found: Attributions, truth: PlantedScores) -> Figure:
    """Draw one row of each class: the row with the median AUROC."""
    data = context.data
    chosen = []
    for target in np.unique(found.targets):
        rows = np.flatnonzero(found.targets == target)
        values = np.nan_to_num(truth.auroc[rows], nan=-1.0)
        chosen.append(int(rows[np.argsort(values, kind="stable")[len(rows) // 2]]))
    tracks = []
    for row in chosen[:MOST_TRACKS]:
        name, sequence = data.classes[found.targets[row]], found.sequences[row]
        area = truth.auroc[row]
        note = f"test sequence {sequence}" + (f" · AUROC {area:.2f}" if np.isfinite(area) else "")
        heights = _heights(found, row)
        start, stop = richest(heights, SPAN)
        if stop - start < len(heights):
            note = f"nt {start + 1} to {stop} of {note}"
        shown = cropped(marks(data, sequence, [int(found.targets[row])]), start, stop)
        tracks.append(Track(name, note, found.codes[row, start:stop], heights[start:stop], shown))
    title = f"{context.name} · {ATTRIBUTIONS[found.method]}"
    line = "For each class the attributed sequence with the median AUROC. "
    line += "Planted motifs are marked, those of the class in purple."
    if data.test.sites is None:
        line = "One sequence for each class; the positions of motifs are unknown."
    return track_figure([tracks], [], title, line)


def _heights(found: Attributions, row: int) -> np.ndarray:
    one = found._replace(codes=found.codes[row : row + 1], scores=found.scores[row : row + 1])
    return one.importance[0]


def _line(name: str, own: Mapping[str, float], rows: int) -> str:
    """Return a one-line summary of a method's metrics."""
    kinds = {"AUROC": "auroc", "AUPR": "aupr", "SNR": "snr", "patterns": "patterns"}
    kinds |= {"coverage": "coverage", "completeness error": "completeness_error"}
    parts = [
        f"{label} {own[key]:.3g}"
        for label, kind in kinds.items()
        if (key := f"{name}/{kind}") in own
    ]
    return f"{name}: {', '.join([f'{rows} rows', *parts])}, {own[f'{Metric.TIME}{name}']:.1f} s"
