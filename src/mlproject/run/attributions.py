"""The attribution stage, for a run under way and for one that has finished."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import keras

from mlproject.attribution import METHODS, Attributions, patterns
from mlproject.attribution.averaging import Averaged, attribute_all
from mlproject.attribution.examples import example_table
from mlproject.attribution.files import write_arrays, write_attributions
from mlproject.attribution.truth import owners, planted, ranked, score, summarise
from mlproject.draw.pattern_logos import pattern_figure
from mlproject.fields import ATTRIBUTIONS, MODISCO, VALUES
from mlproject.filters.reading import match_scores
from mlproject.motifs.meme import write_meme
from mlproject.motifs.tomtom import format_tsv
from mlproject.names import Artifact, Metric, Tag
from mlproject.run.attributed_rows import Choice
from mlproject.run.attribution_figure import attribution_figure
from mlproject.run.context import RunContext
from mlproject.run.places import write_contributions
from mlproject.run.stages import record_figure
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity
from mlproject.system.progress import MethodProgress

Recorder: TypeAlias = Callable[[], None]


def check(methods: Sequence[str]) -> None:
    """Raise a `UserError` if a method needs a package that is missing, or scores of all letters."""
    for before, name in pairwise(methods):
        if name == MODISCO and not METHODS[before].hypothetical:
            raise UserError(
                f"`{MODISCO}` needs scores for every letter: {before} before it has those of the "
                f"letters present only; give another method, such as deeplift,{MODISCO}"
            )
    if MODISCO in methods:
        patterns.require()


def attribute_run(
    context: RunContext, models: Sequence[keras.Model], methods: Sequence[str], choice: Choice
) -> dict[str, float]:
    """Attribute with each method, score the planted positions, and record the results.

    The results of a method are recorded together, as soon as the method is done.

    Args:
        context: the run.
        models: trained networks; several are averaged, see `mlproject.attribution.averaging`.
        methods: names of methods.
        choice: the sequences and classes.

    Returns:
        Metrics of all methods: ``saliency/auroc``, ``saliency/auroc/CEBPB`` and so on if planted
        motifs are known, ``modisco/coverage`` and so on, ``time/NAME`` in seconds.

    Raises:
        UserError: see `Choice.rows`, `mlproject.attribution.attribute` and `patterns.find`.
        Interrupted: a signal; the methods recorded before it stay.
    """
    sequences, targets = choice.rows(models, context.data)
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
                averaged = attribute_all(
                    models, name, codes, targets,
                    sequences=sequences, seed=context.spec.seed, progress=bar.show,
                )  # fmt: skip
            found = averaged.mean
            record, own = _attributions(context, averaged)
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


def _attributions(context: RunContext, averaged: Averaged) -> tuple[Recorder, dict[str, float]]:
    """Return a function that records a method's scores, and the method's metrics."""
    data, found = context.data, averaged.mean
    name = found.method
    covered = planted(data.test, found.sequences, found.targets, owners(data))
    truth = score(ranked(found.importance, data.task), covered)
    own = {
        f"{name}/{key}": value
        for key, value in summarise(truth, found.targets, data.classes).items()
    }
    if averaged.completeness_error is not None:
        own[f"{name}/completeness_error"] = averaged.completeness_error
    figure = attribution_figure(context, averaged, truth)
    lines = example_table(found, data.classes)

    def record() -> None:
        stem = f"{Artifact.ATTRIBUTIONS}{name}"
        context.tracker.artifact(
            f"{stem}.h5", lambda path: write_attributions(path, found, data.classes, data.sha256)
        )
        if (deviations := averaged.deviations) is not None:
            context.tracker.artifact(
                f"{stem}_sd.h5",
                lambda path: write_attributions(path, deviations, data.classes, data.sha256),
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
    figure = pattern_figure(read, targets, relevant, title, context.data.task in VALUES)
    table = format_tsv(reading.matches, context.targets)

    def record() -> None:
        tracker, stem = context.tracker, f"{Artifact.ATTRIBUTIONS}{MODISCO}"
        for name, content in files.items():
            tracker.artifact(
                f"{Artifact.ATTRIBUTIONS}{name}", partial(Path.write_bytes, data=content)
            )
        if reading.motifs:
            tracker.artifact(Artifact.PATTERNS, lambda path: write_meme(path, reading.motifs))
        tracker.artifact(
            Artifact.PATTERN_MATCHES, lambda path: path.write_text(table, encoding="utf-8")
        )
        record_figure(tracker, stem, figure, "png", "pdf")

    return record, own


def _line(name: str, own: Mapping[str, float], rows: int) -> str:
    """Return a one-line summary of a method's metrics."""
    kinds = {"AUROC": "auroc", "AUPR": "aupr", "SNR": "snr", "patterns": "patterns"}
    kinds |= {"coverage": "coverage", "completeness error": "completeness_error"}
    parts = [
        f"{label} {own[key]:.3g}"
        for label, kind in kinds.items()
        if (key := f"{name}/{kind}") in own
    ]
    return (
        f"{name}: {', '.join([quantity(rows, 'row'), *parts])}, {own[f'{Metric.TIME}{name}']:.1f} s"
    )
