"""The statements of the paper, tested on our runs: effects paired over seeds."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas

from mlproject.architectures import printed_name
from mlproject.report.effects import LEVEL, Effect, Values, correlation, effect, holm, verdict_of
from mlproject.report.paper_statements import HARD, RELEVANT, STATEMENTS, Side, Statement
from mlproject.report.published import DATASETS, IN_VIVO, printed
from mlproject.report.registry import table
from mlproject.report.table import Column, Table
from mlproject.report.trials import of_dataset, trials
from mlproject.report.verdicts import ONE_DATA_SET, p_text
from mlproject.system.messages import quantity

PREFIX = "conv1/filters/"


@table(50, "statements", first=True)
def statements_table(counted: pandas.DataFrame) -> Table:
    """Return effect, interval, verdict and published effect of each statement, a row each.

    The p-values are corrected for the number of statements that the runs can test.
    """
    rows: list[dict[str, Any]] = []
    for one in STATEMENTS:
        frame, _ = of_dataset(counted, one.dataset)
        differences, used = paired(frame, one.high, one.low)
        rows.append(_row(one.text, one.dataset, effect(differences), used, _printed_effect(one)))
    for dataset in DATASETS:
        frame, _ = of_dataset(counted, dataset)
        rows.append(_redundancy(frame, dataset))
    frame, _ = of_dataset(counted, IN_VIVO)
    rows += _hard_factors(frame)
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p holm"] = p
        row["corrected"] = p_text(p)
        row["verdict"] = verdict_of(row["effect"], p, row["n"])
        if row["relation"] and not math.isnan(p):
            row["verdict"] = "related" if p < 1 - LEVEL else "no relation found"
    columns = (
        Column("statement", "statement of the paper"),
        Column("dataset", "sequences"),
        Column("of", "n"),
        Column("effect", "effect", digits=3, signed=True),
        Column("interval", "95 % interval"),
        Column("published", "published", digits=3, signed=True),
        Column("corrected", "p (Holm)"),
        Column("verdict", "verdict"),
    )
    notes = (
        "Effect: the side that the statement has higher less the other, each the mean over its "
        "networks, for each seed; then the mean over seeds, with its interval and p from a paired "
        "t test. p is two-sided and corrected by Holm for the number of statements tested here; "
        "intervals are not. `supported`: p < 0.05 and an effect above 0; `contradicted`: below.",
        "The number of filters and the AUROC of a factor are first averaged over seeds: the "
        "correlation is over the factors, which are the independent cases.",
        ONE_DATA_SET,
    )
    return Table("statements", "The paper's statements", rows, columns, notes)


def _row(
    text: str,
    dataset: str,
    found: Effect,
    archs: Sequence[str],
    theirs: float,
    factors: int | None = None,
) -> dict[str, Any]:
    n = len(found.seeds)
    known = not math.isnan(found.low)
    interval = f"{found.low:+.3f} to {found.high:+.3f}".replace("-", "−") if known else "—"
    return {
        "statement": text,
        "dataset": dataset,
        "n": n,
        "of": quantity(n, "seed") + (f", {quantity(factors, 'factor')}" if factors else ""),
        "relation": factors is not None,
        "effect": found.size,
        "low": found.low,
        "high": found.high,
        "interval": interval,
        "published": theirs,
        "p": found.p,
        "verdict": "",
        "networks": ", ".join(map(printed_name, archs)),
        "seeds": " ".join(map(str, found.seeds)),
    }


def _printed_effect(one: Statement) -> float:
    sides = []
    for side in (one.high, one.low):
        found = [printed(one.dataset, arch, side.metric) for arch in side.archs]
        values = [pair[0] for pair in found if pair]
        sides.append(float(np.mean(values)) if values else math.nan)
    return sides[0] - sides[1]


def _redundancy(frame: pandas.DataFrame, dataset: str) -> dict[str, Any]:
    """Test that the number of filters of a factor does not show how well the factor is predicted.

    The effect is the rank correlation, over the factors, of the mean number of filters with the
    mean AUROC. The factors are the cases: seeds share them.
    """
    runs = trials(frame, "CNN-25", RELEVANT).runs
    names = [
        name.removeprefix(PREFIX)
        for name in runs.columns
        if name.startswith(PREFIX) and f"test_auroc/{name.removeprefix(PREFIX)}" in runs
    ]
    counts = runs[[f"{PREFIX}{name}" for name in names]].mean()
    scores = runs[[f"test_auroc/{name}" for name in names]].mean()
    seeds = tuple(sorted(map(int, runs["seed"])))
    known = (counts.notna().to_numpy() & scores.notna().to_numpy()) if len(runs) else np.array([])
    found = correlation(counts.to_numpy()[known], scores.to_numpy()[known]) if len(runs) else None
    text = (
        "The number of filters of a factor is no measure of its importance: rank correlation with "
        "its AUROC, CNN-25."
    )
    effect_ = found or Effect((), math.nan, math.nan, math.nan, math.nan)
    return _row(
        text, dataset, effect_._replace(seeds=seeds), ("CNN-25",) if seeds else (), math.nan,
        int(known.sum()),
    )  # fmt: skip


def paired(frame: pandas.DataFrame, high: Side, low: Side) -> tuple[Values, tuple[str, ...]]:
    """Return the difference of two sides for each seed that has both, and the used networks.

    A side of several networks is the mean over the networks that all seeds have. Seeds that would
    leave a side without a network are not used.
    """
    table = {
        arch: _by_seed(frame, arch, metric)
        for side in (high, low)
        for arch, metric in ((arch, side.metric) for arch in side.archs)
    }
    if high.archs == low.archs:
        one, two = (_by_seed(frame, high.archs[0], side.metric) for side in (high, low))
        return {seed: one[seed] - two[seed] for seed in one if seed in two}, high.archs
    seeds = {seed for values in table.values() for seed in values}

    def shared(side: Side) -> list[str]:
        return [arch for arch in side.archs if all(seed in table[arch] for seed in seeds)]

    while seeds and not (shared(high) and shared(low)):
        seeds.remove(min(seeds, key=lambda seed: (sum(seed in v for v in table.values()), -seed)))
    used = {"high": shared(high), "low": shared(low)}

    def mean(side: str, seed: int) -> float:
        return float(np.mean([table[arch][seed] for arch in used[side]]))

    return {seed: mean("high", seed) - mean("low", seed) for seed in sorted(seeds)}, (
        tuple(dict.fromkeys((*used["high"], *used["low"]))) if seeds else ()
    )


def _by_seed(frame: pandas.DataFrame, arch: str, metric: str) -> Values:
    runs = trials(frame, arch, metric).runs
    if runs.empty:
        return {}
    return dict(zip(map(int, runs["seed"]), map(float, runs[metric]), strict=True))


def _hard_factors(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """Test that CNN-25 misses the hard factors in vivo, and that 120 filters find them."""
    few = _coverage(frame, "CNN-25", lambda name: name in HARD)
    rest = _coverage(frame, "CNN-25", lambda name: name not in HARD)
    many = _coverage(frame, "CNN-25x120", lambda name: name in HARD)
    names = ", ".join(HARD)
    return [
        _row(
            f"{names} are hard for CNN-25: fewer of them have a filter than of the others.",
            IN_VIVO,
            effect({seed: rest[seed] - few[seed] for seed in few}),
            ("CNN-25",),
            math.nan,
        ),
        _row(
            f"With 120 filters {names} are found.",
            IN_VIVO,
            effect({seed: many[seed] - few[seed] for seed in few if seed in many}),
            ("CNN-25", "CNN-25x120"),
            math.nan,
        ),
    ]


def _coverage(frame: pandas.DataFrame, arch: str, wanted: Callable[[str], bool]) -> Values:
    """Return for each seed the share of the wanted classes that a first-layer filter matches."""
    runs = trials(frame, arch, RELEVANT).runs
    columns = [
        name
        for name in runs.columns
        if name.startswith(PREFIX) and wanted(name.removeprefix(PREFIX))
    ]
    if runs.empty or not columns:
        return {}
    shares = (runs[columns] > 0).mean(axis=1)
    return {int(seed): float(share) for seed, share in zip(runs["seed"], shares, strict=True)}
