"""Embedding of motifs with the network of a run, under way or finished."""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from matplotlib.figure import Figure

from mlproject import results
from mlproject.draw.embedding import heat_figure, profile_figure, spacing_figure
from mlproject.insilico.embedding import (
    Embedder,
    instances,
    shuffled_backgrounds,
    uniform_backgrounds,
)
from mlproject.insilico.experiments import Effects, Embedded, Row, experiment, first_places
from mlproject.motifs.pwm import Motif
from mlproject.names import Artifact, Metric, Tag, metric_name
from mlproject.run.context import RunContext
from mlproject.run.filters import read_layers
from mlproject.run.finished_run import amended
from mlproject.run.motif_choice import FiltersOf, choose_motifs
from mlproject.run.scoring import logit_score
from mlproject.run.stages import record_figure, write_csv
from mlproject.system.messages import quantity
from mlproject.system.progress import MethodProgress

PROFILED = 250
MOST_PAIRS = 24
SHUFFLED, UNIFORM = "shuffled", "uniform"
CONSENSUS, SAMPLED = "consensus", "sampled"


class Request(NamedTuple):
    """What to embed, and into what.

    Attributes:
        motifs: see `choose_motifs`.
        backgrounds: ``shuffled``: test sequences with shuffled dinucleotides; ``uniform``: random.
        number: of backgrounds; positions, copies and spacings use at most `PROFILED`.
        letters: ``consensus``: the most probable letters; ``sampled``: drawn for each background.
        seed: of backgrounds and drawn letters.
    """

    motifs: str = "auto"
    backgrounds: str = SHUFFLED
    number: int = 1000
    letters: str = CONSENSUS
    seed: int = 0


class Embedding(NamedTuple):
    """What was found.

    Attributes:
        effects: the tables.
        owners: motif -> class, for the classes' own motifs.
        metrics: of the run.
        undelivered: why the store lacks some of them, None if it has all.
    """

    effects: Effects
    owners: dict[str, str]
    metrics: dict[str, float]
    undelivered: str | None = None


def embed_run(
    run_id: str,
    request: Request,
    dataset: Path | None = None,
    quiet: bool = False,
) -> Embedding:
    """Measure the effects of motifs with the network of a finished run and add them to the run.

    Args:
        run_id: the run.
        request: the motifs and backgrounds.
        dataset: present path of the run's data set; None: the recorded path, or generate it again.
        quiet: show no progress.

    Raises:
        UserError: see `choose_motifs` and `mlproject.run.finished_run.amended`.
        Interrupted: SIGINT, SIGTERM or SIGHUP; nothing is recorded.
    """
    with amended(run_id, dataset, quiet, "embed") as context:
        identifier = context.tracker.run_id
        found = embed(
            context,
            results.model(identifier),
            request,
            lambda layer: results.filters(identifier, layer).clipped,
        )
    return found._replace(undelivered=context.tracker.problem)


def embed(
    context: RunContext, model: keras.Model, request: Request, filters_of: FiltersOf
) -> Embedding:
    """Measure the effects of motifs and record them.

    Args:
        context: the run.
        model: with the trained weights.
        request: the motifs and backgrounds.
        filters_of: the run's filters.

    Raises:
        UserError: see `choose_motifs`.
        Interrupted: a signal; nothing is recorded.
    """
    started = time.perf_counter()
    data = context.data
    layers = read_layers(model, context.spec)
    chosen, owners = choose_motifs(
        request.motifs, context.spec, data, filters_of, layers[0] if layers else ""
    )
    made = _backgrounds(context, request)
    score = logit_score(model)
    embedder, profiler = Embedder(score, made), Embedder(score, made[:PROFILED])
    motifs = [_embedded(motif, request) for motif in chosen]
    with MethodProgress("Embedding motifs", context.settings.quiet) as bar:
        found = experiment(embedder, profiler, motifs, data.classes, bar.show)
    values = summary(found, owners)
    values[f"{Metric.TIME}embed"] = time.perf_counter() - started
    context.interrupts.check()
    with context.interrupts.deferred():
        record(context, found, request)
        context.tracker.metrics(values)
        context.tracker.tags({Tag.EMBEDDING: json.dumps(request._asdict())})
    return Embedding(found, owners, values)


def _backgrounds(context: RunContext, request: Request) -> np.ndarray:
    if request.backgrounds == UNIFORM:
        return uniform_backgrounds(context.data.length, request.number, request.seed)
    return shuffled_backgrounds(context.data.test.codes, request.number, request.seed)


def _embedded(motif: Motif, request: Request) -> Embedded:
    seed = request.seed if request.letters == SAMPLED else None
    return Embedded(motif.name, instances(motif.pwm, request.number, seed))


def summary(found: Effects, owners: dict[str, str]) -> dict[str, float]:
    """Return the effects of each class's own motif as metrics.

    Returns:
        ``embed/effect/CLASS``, logits; ``embed/own_first``: share of the classes with a motif of
        their own for which that motif has the largest effect; ``embed/interaction``: largest
        absolute interaction of a pair, logits.
    """
    values: dict[str, float] = {}
    for row in found.effects:
        if owners.get(row["motif"]) == row["class"]:
            values[f"embed/effect/{metric_name(row['class'])}"] = row["effect"]
    if places := first_places(found.effects, owners):
        values["embed/own_first"] = float(np.mean([*places.values()]))
    if found.pairs:
        values["embed/interaction"] = max(abs(row["interaction"]) for row in found.pairs)
    return values


def headline(found: Embedding) -> str:
    """Return one line on the effects, for the terminal."""
    motifs = len({row["motif"] for row in found.effects.effects})
    parts = [quantity(motifs, "motif")]
    if (share := found.metrics.get("embed/own_first")) is not None:
        parts.append(f"the own motif has the largest effect in {100 * share:.0f} % of classes")
    return f"embedded: {', '.join(parts)}, {found.metrics[f'{Metric.TIME}embed']:.1f} s"


def record(context: RunContext, found: Effects, request: Request) -> None:
    """Record the tables and figures of the effects."""
    tracker = context.tracker
    for name, rows in found._asdict().items():
        if rows:
            path = f"{Artifact.EMBEDDING}{name}.csv"
            tracker.artifact(path, partial(write_csv, rows=rows))
    for name, figure in figures(context.name, found, context.data.classes, request).items():
        record_figure(tracker, f"{Artifact.EMBEDDING}{name}", figure, "png", "pdf")


def strongest(pairs: Sequence[Row]) -> list[Row]:
    """Return the rows of the `MOST_PAIRS` pairs with the largest interactions, strongest first."""
    strength: dict[tuple[str, str], float] = {}
    for row in pairs:
        key = row["motif"], row["other"]
        strength[key] = max(strength.get(key, 0.0), abs(row["interaction"]))
    shown = sorted(strength, key=lambda key: -strength[key])[:MOST_PAIRS]
    return [row for key in shown for row in pairs if (row["motif"], row["other"]) == key]


def figures(
    title: str, found: Effects, classes: Sequence[str], request: Request
) -> dict[str, Figure]:
    """Return the figures of the effects by name."""
    kind = "shuffled test sequences" if request.backgrounds == SHUFFLED else "random sequences"
    many = f"{request.number:,} {kind}"
    few = f"{min(request.number, PROFILED):,} {kind}"
    made = {
        "effects": heat_figure(
            found.effects, "effect", f"{title} · effect of a motif",
            f"Mean change of a class's logit in {many}, both strands; bold: the 95 % interval "
            "excludes 0.", lambda row: row["motif"],
        ),
        "strands": heat_figure(
            found.strands, "effect", f"{title} · effect by strand",
            f"Mean change of a class's logit in {many}.",
            lambda row: f"{row['motif']} {row['strand'].replace('-', '−')}",
        ),
        "positions": profile_figure(
            found.positions, "start", "motif", f"{title} · effect by position",
            f"Mean and 95 % interval in {few}, both strands.", "start, nt", classes,
        ),
        "copies": profile_figure(
            found.copies, "copies", "motif", f"{title} · effect by number of copies",
            f"Mean and 95 % interval in {few}; copies on alternate strands.", "copies", classes,
        ),
    }  # fmt: skip
    if found.pairs:
        made["pairs"] = heat_figure(
            strongest(found.pairs), "interaction", f"{title} · interaction of two motifs",
            f"Effect of both less the effects of each alone, in {many}; the {MOST_PAIRS} pairs "
            "with the largest ones at most.", lambda row: f"{row['motif']} + {row['other']}",
        )  # fmt: skip
    if found.spacing:
        made["spacing"] = spacing_figure(
            found.spacing, f"{title} · interaction by spacing",
            f"The pairs with the largest interactions in {few}; lines: strands of both motifs.",
        )  # fmt: skip
    return made
