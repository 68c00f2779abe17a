"""What the paper says in words, tested on our runs: effects with their size, paired over seeds."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas
from scipy import stats

from mlproject.architectures import printed_name
from mlproject.report.claims import HARD, RELEVANT, STATEMENTS, Side, Statement
from mlproject.report.pooling import of_dataset, pool
from mlproject.report.published import DATASETS, IN_VIVO, printed
from mlproject.report.table import Column, Table
from mlproject.report.verdicts import LOWEST_SD

LEVEL = 0.95
Values: TypeAlias = dict[int, float]


class Effect(NamedTuple):
    """A difference over seeds.

    Attributes:
        seeds: the seeds it is paired over.
        size: the mean difference, NaN without any.
        low: lower end of its 95 % interval (paired t), NaN below two seeds.
        high: upper end.
        verdict: ``supported`` (above 0), ``contradicted`` (below 0), ``cannot tell (n = ...)``, or
            ``no runs``.
    """

    seeds: tuple[int, ...]
    size: float
    low: float
    high: float
    verdict: str


def effect(differences: Values) -> Effect:
    """Test whether the mean of differences, one a seed, is above 0.

    The standard deviation is taken as 0.0005 at least: match fractions of two trials are often
    equal to the last digit without being free of error.
    """
    n, values = len(differences), np.array([*differences.values()], float)
    seeds = tuple(sorted(differences))
    if n < 2:
        verdict = f"cannot tell (n = {n})" if n else "no runs"
        size = float(values[0]) if n else math.nan
        return Effect(seeds, size, math.nan, math.nan, verdict)
    size, sd = float(values.mean()), max(float(values.std(ddof=1)), LOWEST_SD)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * sd / math.sqrt(n))
    low, high = size - half, size + half
    verdict = "supported" if low > 0 else "contradicted" if high < 0 else f"cannot tell (n = {n})"
    return Effect(seeds, size, low, high, verdict)


def paired(frame: pandas.DataFrame, high: Side, low: Side) -> tuple[Values, tuple[str, ...]]:
    """Return the difference of two sides for each seed that has both, and the networks used.

    Sides of several networks are means over those that all of these seeds have; seeds that would
    leave a side empty are not used.
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


def statements_table(counted: pandas.DataFrame) -> Table:
    """Return the paper's statements, a row each: effect, interval, verdict, published effect."""
    rows = []
    for one in STATEMENTS:
        frame, _ = of_dataset(counted, one.dataset)
        differences, used = paired(frame, one.high, one.low)
        rows.append(_row(one.text, one.dataset, effect(differences), used, _printed_effect(one)))
    for dataset in DATASETS:
        frame, _ = of_dataset(counted, dataset)
        rows.append(_redundancy(frame, dataset))
    frame, _ = of_dataset(counted, IN_VIVO)
    rows += _hard_factors(frame)
    columns = (
        Column("statement", "statement of the paper"),
        Column("dataset", "sequences"),
        Column("n", "seeds", digits=0),
        Column("effect", "effect", digits=3, signed=True),
        Column("interval", "95 % interval"),
        Column("published", "published", digits=3, signed=True),
        Column("verdict", "verdict"),
    )
    note = (
        "Effect: the side that the statement has higher less the other, each the mean over its "
        "networks, for each seed; then the mean over seeds, with its interval from a paired t "
        "test. `supported`: the interval lies above 0; `contradicted`: below."
    )
    return Table("statements", "The paper's statements", pandas.DataFrame(rows), columns, (note,))


def _row(
    text: str, dataset: str, found: Effect, archs: Sequence[str], theirs: float
) -> dict[str, object]:
    known = not math.isnan(found.low)
    interval = f"{found.low:+.3f} to {found.high:+.3f}".replace("-", "−") if known else "—"
    return {
        "statement": text,
        "dataset": dataset,
        "n": len(found.seeds),
        "effect": found.size,
        "low": found.low,
        "high": found.high,
        "interval": interval,
        "published": theirs,
        "verdict": found.verdict,
        "networks": ", ".join(map(printed_name, archs)),
        "seeds": " ".join(map(str, found.seeds)),
    }


def _by_seed(frame: pandas.DataFrame, arch: str, metric: str) -> Values:
    runs = pool(frame, arch, metric).runs
    if runs.empty:
        return {}
    return dict(zip(map(int, runs["seed"]), map(float, runs[metric]), strict=True))


def _printed_effect(one: Statement) -> float:
    sides = []
    for side in (one.high, one.low):
        found = [printed(one.dataset, arch, side.metric) for arch in side.archs]
        values = [pair[0] for pair in found if pair]
        sides.append(float(np.mean(values)) if values else math.nan)
    return sides[0] - sides[1]


def _redundancy(frame: pandas.DataFrame, dataset: str) -> dict[str, object]:
    """Test the paper's caution: how many filters a factor has does not tell how well it is found.

    The effect is the rank correlation, over the factors, of the number of filters with the AUROC.
    """
    runs = pool(frame, "CNN-25", RELEVANT).runs
    values: Values = {}
    for _, row in runs.iterrows():
        counts = {
            name.removeprefix("conv1/filters/"): row[name]
            for name in runs.columns
            if name.startswith("conv1/filters/") and not math.isnan(row[name])
        }
        scores = [row.get(f"test_auroc/{name}", math.nan) for name in counts]
        if len(set(counts.values())) > 1 and len(set(scores)) > 1:
            values[int(row["seed"])] = float(stats.spearmanr([*counts.values()], scores)[0])
    found = effect(values)
    if len(values) > 1:
        inside = found.low <= 0 <= found.high
        found = found._replace(verdict="no relation found" if inside else "related")
    text = (
        "The number of filters of a factor is no measure of its importance: rank correlation with "
        "its AUROC, CNN-25."
    )
    return _row(text, dataset, found, ("CNN-25",) if values else (), math.nan)


def _hard_factors(frame: pandas.DataFrame) -> list[dict[str, object]]:
    """Test that CNN-25 misses the hard factors in vivo, and that 120 filters catch them."""
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
    runs = pool(frame, arch, RELEVANT).runs
    prefix = "conv1/filters/"
    columns = [
        name
        for name in runs.columns
        if name.startswith(prefix) and wanted(name.removeprefix(prefix))
    ]
    if runs.empty or not columns:
        return {}
    shares = (runs[columns] > 0).mean(axis=1)
    return {int(seed): float(share) for seed, share in zip(runs["seed"], shares, strict=True)}
