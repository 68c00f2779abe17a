"""The statements of a paper that is described by data, tested on our runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlproject.report.effects import LEVEL, Effect, Values, correlation, effect, holm, verdict_of
from mlproject.report.papers.data import Paper, PaperStatement
from mlproject.report.papers.reading import published_cells
from mlproject.report.papers.runs import PaperRuns
from mlproject.report.table import Column, Table
from mlproject.report.verdicts import LEVEL as EQUIVALENCE_LEVEL
from mlproject.report.verdicts import LOWEST_SD, ONE_DATA_SET, p_text, rounded_sd
from mlproject.system.messages import quantity

LARGE = 0.5  # Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988
NOTES = (
    "Effect: the side that the statement has higher less the other, each the mean over its "
    "networks, for each seed; then the mean over seeds, with its interval and p from a paired t "
    "test. p is corrected by Holm for the number of statements tested here; intervals are not. "
    "`supported`: p < 0.05 and an effect above 0; `contradicted`: below.",
    "A statement that two sides are equal is supported if the 90 % interval of the effect, shown "
    "here, lies within the band in brackets (two one-sided tests at 5 %), and contradicted if it "
    "lies outside.",
    "Test performance and attributions: the effect is the rank correlation of their AUROCs over "
    "networks and activations, each the mean of its trials. `contradicted`: it is positive "
    "(p < 0.05). `supported`: it is not, and its interval lies below 0.5, a large correlation.",
    ONE_DATA_SET,
)


def claims_table(name: str, paper: Paper, runs: PaperRuns) -> Table:
    """Return effect, interval and verdict of each statement of the paper `name`, a row each."""
    rows = [_tested(name, paper, one, runs) for one in paper.statements]
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p holm"], row["corrected"] = p, p_text(p)
        row["verdict"] = row["verdict"] or verdict_of(row["effect"], p, row["n"])
        if row["relation"]:
            row["verdict"] = _relation(row, p)
    columns = (
        Column("statement", "statement of the paper"),
        Column("of", "n"),
        Column("effect", "effect", digits=3, signed=True),
        Column("interval", "95 % interval"),
        Column("corrected", "p (Holm)"),
        Column("verdict", "verdict"),
    )
    return Table("statements", f"Statements of {paper.title}", rows, columns, NOTES)


def _relation(row: Mapping[str, Any], p: float) -> str:
    """Return the verdict on the lack of a correlation, see `NOTES`."""
    if not math.isnan(p):
        if p < 1 - LEVEL and row["effect"] > 0:
            return "contradicted"
        if row["high"] < LARGE:
            return "supported"
    return f"cannot tell (n = {row['n']})" if row["n"] else "no runs"


def _tested(name: str, paper: Paper, one: PaperStatement, runs: PaperRuns) -> dict[str, Any]:
    table = next(table for table in paper.tables if table.name == one.table)
    if one.related_to:
        cells = {tuple(sorted(cell.options.items())): cell for cell in published_cells(name, table)}
        pairs = [
            (runs.by_seed(cell.options, one.metric), runs.by_seed(cell.options, one.related_to))
            for cell in cells.values()
        ]
        means = [[np.mean([*side.values()]) for side in pair] for pair in pairs if all(pair)]
        first, second = np.array(means).reshape(-1, 2).T
        found = correlation(first, second)
        return _row(one, found, quantity(len(means), "network"), len(means), "", relation=True)
    sides = [
        [runs.by_seed({**table.runs, **options}, one.metric) for options in side]
        for side in (one.high, one.low)
    ]
    differences = paired(*sides)
    lowest = max(rounded_sd(table.step if one.metric == table.metric else 0), LOWEST_SD)
    if one.equal_within is None:
        found, verdict = effect(differences, lowest), ""
    else:
        found, verdict = equivalence(differences, one.equal_within)
    n = len(differences)
    return _row(one, found, quantity(n, "seed"), n, verdict)


def paired(high: Sequence[Values], low: Sequence[Values]) -> Values:
    """Return the mean of one side less that of the other for each seed that all groups have."""
    groups = [*high, *low]
    seeds = set(groups[0]).intersection(*groups[1:])

    def mean(side: Sequence[Values], seed: int) -> float:
        return float(np.mean([values[seed] for values in side]))

    return {seed: mean(high, seed) - mean(low, seed) for seed in sorted(seeds)}


def equivalence(differences: Values, band: float) -> tuple[Effect, str]:
    """Return the effect with its 90 % interval, and the verdict on the equality of two sides."""
    found, n = effect(differences, level=EQUIVALENCE_LEVEL)._replace(p=math.nan), len(differences)
    if not n:
        return found, "no runs"
    if -band <= found.low and found.high <= band:
        return found, "supported"
    outside = found.low > band or found.high < -band
    return found, "contradicted" if outside else f"cannot tell (n = {n})"


def _row(
    one: PaperStatement, found: Effect, of: str, n: int, verdict: str, relation: bool = False
) -> dict[str, Any]:
    known = not math.isnan(found.low)
    interval = f"{found.low:+.3f} to {found.high:+.3f}".replace("-", "−") if known else "—"
    equal = one.equal_within is not None
    return {
        "statement": f"{one.text[:-1]} (within ±{one.equal_within:g})." if equal else one.text,
        "of": of,
        "n": n,
        "effect": found.size,
        "low": found.low,
        "high": found.high,
        "interval": f"{interval} (90 %)" if known and equal else interval,
        "p": found.p,
        "verdict": verdict,
        "relation": relation,
    }
