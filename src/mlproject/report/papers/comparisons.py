"""Groups of runs side by side where a paper prints pictures: scores, patterns, logos."""

from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np
import pandas
from matplotlib.figure import Figure

from mlproject import results
from mlproject.attribution.examples import Example, parse_examples
from mlproject.draw.tracks import Track, richest, track_figure
from mlproject.fields import ATTRIBUTIONS
from mlproject.report.content import Content
from mlproject.report.document import Picture
from mlproject.report.measure import measure_of
from mlproject.report.papers.data import PaperComparison
from mlproject.report.papers.patterns import pattern_figure
from mlproject.report.papers.runs import PaperRuns
from mlproject.report.table import Column, Table
from mlproject.system.errors import UserError

SPAN, SHOWN, MOST_NAMES = 80, 4, 6
GROUP = "group"


def comparison_table(comparison: PaperComparison, content: Content, runs: PaperRuns) -> Table:
    """Return a row for each group of runs: scores, and the matches of the patterns."""
    columns = [Column(GROUP, ""), Column("n", "n", digits=0)]
    columns += [Column(metric, label, digits=3) for metric, label in comparison.metrics.items()]
    if comparison.patterns:
        columns.append(Column("patterns", "best matches of the patterns (runs)"))
    rows: list[dict[str, Any]] = []
    for name in comparison.groups:
        found = _runs(comparison, name, runs)
        row: dict[str, Any] = {GROUP: name, "n": len(found)}
        row |= {metric: measure_of(found, metric) for metric in comparison.metrics}
        row["run_ids"] = " ".join(found["run_id"]) if len(found) else ""
        if comparison.patterns:
            row["patterns"] = _pattern_names(found, content)
        rows.append(row)
    note = "Mean and standard deviation (n − 1) over n trials. The paper prints no numbers."
    return Table(comparison.name, comparison.title, rows, tuple(columns), (note,))


def comparison_pictures(
    comparison: PaperComparison, content: Content, runs: PaperRuns
) -> list[Picture]:
    """Return logos of the same sequences and the first patterns, side by side, if there are any."""
    name, title = comparison.name, comparison.title
    pictures = []
    if drawn := comparison_figure(comparison, content, runs):
        caption = "The same sequences in each column; a column's largest letter sets its scale."
        pictures.append(Picture(name, drawn, title, caption))
    trials = {group: _runs(comparison, group, runs) for group in comparison.groups}
    if comparison.patterns and (drawn := pattern_figure(title, trials, content)):
        caption = "Patterns are turned and shifted onto the first; both strands mean the same."
        pictures.append(Picture(f"{name}_patterns", drawn, f"{title}: patterns", caption))
    return pictures


def comparison_figure(
    comparison: PaperComparison, content: Content, runs: PaperRuns
) -> Figure | None:
    """Draw the same sequences for the first trial of each group, None if one has no trial."""
    columns, headings, seeds = [], [], []
    for name in comparison.groups:
        found = _runs(comparison, name, runs)
        if not len(found):
            return None
        try:
            table = results.examples(found.iloc[0], comparison.tracks, content.store)
            columns.append({one.sequence: one for one in parse_examples(table)})
        except (UserError, ValueError):
            return None
        headings.append((name, ""))
        seeds.append(int(found["seed"].iloc[0]))
    shared = [key for key in columns[0] if all(key in column for column in columns)][:SHOWN]
    if not shared:
        return None
    regions = {key: _region([column[key] for column in columns]) for key in shared}
    tracks = [[_track(column[key], *regions[key]) for key in shared] for column in columns]
    method = ATTRIBUTIONS[comparison.tracks]
    line = f"{method}, seed {seeds[0]}: the {SPAN} nt with the largest contributions."
    return track_figure(tracks, headings, comparison.title, line)


def _runs(comparison: PaperComparison, group: str, runs: PaperRuns) -> pandas.DataFrame:
    return runs.of({**comparison.runs, **comparison.groups[group]})


def _pattern_names(found: pandas.DataFrame, content: Content) -> str:
    """Return the names of the patterns' best matches, each with the number of runs that have it."""
    counts: Counter[str] = Counter()
    for _, run in found.iterrows():
        with suppress(UserError):
            best: dict[str, Any] = {}
            for match in results.pattern_matches(run, content.store):
                if match.query_id not in best or match.p_value < best[match.query_id].p_value:
                    best[match.query_id] = match
            targets = content.targets(run)
            names = {match.target_id for match in best.values()}
            counts.update({targets[one].name if one in targets else one for one in names})
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{name} ({count})" for name, count in ordered[:MOST_NAMES]]
    more = len(ordered) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _region(examples: list[Example]) -> tuple[int, int]:
    """Return the region that is richest over the groups, each scaled to its largest letter."""
    scaled = [np.abs(one.contributions) for one in examples]
    return richest(np.sum([one / (one.max() or 1.0) for one in scaled], axis=0), SPAN)


def _track(example: Example, start: int, stop: int) -> Track:
    note = f"nt {start + 1} to {stop} of test sequence {example.sequence}"
    part = slice(start, stop)
    return Track(example.target, note, example.codes[part], example.contributions[part])
