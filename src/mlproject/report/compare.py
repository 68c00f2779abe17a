"""Runs side by side on one page: parameters, metrics, curves, filters of each class, attributions.

MLflow compares numbers of runs; it cannot show their logos beside each other.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas
from markupsafe import Markup

from mlproject import results
from mlproject.architectures import printed_name
from mlproject.draw.letters import svg_letters
from mlproject.draw.output import template
from mlproject.draw.sequence_scores import SequenceScores
from mlproject.draw.style import line_style
from mlproject.draw.svg import Line, Scale, chart, nice_ticks, signed
from mlproject.report.axes import value_text
from mlproject.report.compare_filters import class_filters
from mlproject.report.content import Content
from mlproject.store.results.frame import metric_columns
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file

MOST_RUNS = 12
CURVES = (("train_loss", "Training loss"), ("val_loss", "Validation loss"),
          ("val_auroc", "Validation AUROC"), ("val_pearson", "Validation Pearson"))  # fmt: skip
FIRST = ("test_accuracy", "test_auroc", "test_aupr", "test_pearson", "test_r2", "test_deviance",
         "conv1/match_jaspar", "conv1/match_relevant", "conv1/match_null",
         "conv1/coverage", "best_epoch", "time/total")  # fmt: skip


def choose_runs(content: Content, run_ids: Sequence[str]) -> pandas.DataFrame:
    """Return the rows of runs in the order of their ids; the start of an id is enough.

    Raises:
        UserError: a run does not exist, is given twice, or there are fewer than two or too many.
    """
    full = [content.store.full_id(run_id) for run_id in run_ids]
    if not 2 <= len(set(full)) == len(full) <= MOST_RUNS:
        raise UserError(
            f"`compare` takes 2 to {MOST_RUNS} different runs: got {', '.join(run_ids) or 'none'}"
        )
    known = content.runs.set_index("run_id", drop=False)
    for run_id in full:
        if run_id not in known.index:
            raise UserError(f"no run of this project `{run_id}` in {content.store.address}")
    return known.loc[full].reset_index(drop=True)


def write_comparison(
    content: Content, runs: pandas.DataFrame, path: Path, scores: SequenceScores | None = None
) -> Path:
    """Write the page about some rows of `choose_runs` as one HTML file.

    Raises:
        UserError: the file cannot be written.
    """
    page = comparison_page(content, runs, scores)
    with atomic_file(path) as file:
        file.write(page.encode())
    return path


def comparison_page(
    content: Content, runs: pandas.DataFrame, scores: SequenceScores | None = None
) -> str:
    """Return the page, all ASCII."""
    names = _distinct_names(runs)
    heads = [
        {
            "name": name,
            "id": str(row["run_id"]),
            "address": results.address(row, content.ui),
            "color": line_style(number).color,
            "state": row["state"],
            "arch": printed_name(str(row["arch"] or "custom")),
        }
        for number, (name, (_, row)) in enumerate(zip(names, runs.iterrows(), strict=True))
    ]
    first, rest = metric_rows(runs)
    page = _template().render(
        title=f"{len(runs)} runs compared",
        runs=heads,
        parameters=parameter_rows(runs),
        first=first,
        rest=rest,
        curves=_curves(content, runs, names),
        filters=class_filters(content, runs),
        tracks=_tracks(scores, runs, names),
        scores=scores,
        glyphs=svg_letters(),
        unreadable=content.unreadable,
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def parameter_rows(runs: pandas.DataFrame) -> list[dict[str, Any]]:
    """Return the parameters and tags in which runs differ, with the value of each run."""
    specs = [dict(row) for row in runs["spec"]]
    keys = [str(name) for name in dict.fromkeys(name for spec in specs for name in spec)]
    rows = [{"name": key, "values": [value_text(spec.get(key)) for spec in specs]} for key in keys]
    for key in ("dataset_sha256", "backend", "device", "metric_version"):
        rows.append({"name": key, "values": [str(value or "-")[:40] for value in runs[key]]})
    return [row for row in rows if len(set(row["values"])) > 1]


def metric_rows(runs: pandas.DataFrame) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the main metrics, and all others in which runs differ.

    Each row has the value of every run, and its difference from the first run, None if either is
    unknown.
    """
    first: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for name in sorted(
        metric_columns(runs), key=lambda one: (FIRST.index(one) if one in FIRST else 99, one)
    ):
        values = [float(value) for value in runs[name]]
        known = [value for value in values if math.isfinite(value)]
        if not known or (name not in FIRST and len(set(values)) == 1):
            continue
        row = {
            "key": name,
            "values": [value if math.isfinite(value) else None for value in values],
            "changes": [
                value - values[0] if math.isfinite(value - values[0]) else None for value in values
            ],
        }
        (first if name in FIRST else rest).append(row)
    return first, rest


def _distinct_names(runs: pandas.DataFrame) -> list[str]:
    names = [str(name) for name in runs["name"]]
    return [
        name if names.count(name) == 1 else f"{name} ({run_id[:6]})"
        for name, run_id in zip(names, runs["run_id"], strict=True)
    ]


def _curves(content: Content, runs: pandas.DataFrame, names: Sequence[str]) -> list[Markup]:
    """Return a chart for each curve, a line for each run."""
    tables = [content.history(row) for _, row in runs.iterrows()]
    charts = []
    for key, title in CURVES:
        lines = []
        for number, (table, name) in enumerate(zip(tables, names, strict=True)):
            if table is None or key not in table:
                continue
            points = table[["epoch", key]].dropna().to_numpy(float)
            if len(points):
                style = line_style(number)
                lines.append(Line(points, style.color, name, style.dash, 1.8, f"run{number}"))
        if not lines:
            continue
        every = np.concatenate([line.points for line in lines])
        last, low, high = every[:, 0].max(), every[:, 1].min(), every[:, 1].max()
        low, high = (low - 0.05, high + 0.05) if high - low < 1e-6 else (low, high)
        x = Scale("Epoch", 0, last, nice_ticks(0, last, 6, integer=True))
        charts.append(chart(lines, x, Scale(title, low, high, nice_ticks(low, high)), title))
    return charts


def _tracks(
    scores: SequenceScores | None, runs: pandas.DataFrame, names: Sequence[str]
) -> list[tuple[str, Markup]]:
    """Return each run's contributions of the letters of one sequence as logos."""
    if scores is None:
        return []
    bands = [(mark.start, mark.stop) for mark in scores.marks]
    return [
        (name, signed(scores.heights[run_id], f"{scores.method} of {name}", bands))
        for name, run_id in zip(names, runs["run_id"], strict=True)
        if run_id in scores.heights
    ]


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _change(value: float | None) -> str:
    if value is None:
        return ""
    return "0" if abs(value) < 5e-5 else f"{value:+.4g}".replace("-", "\u2212")


@lru_cache
def _template() -> jinja2.Template:
    return template("compare.html.j2", value=_value, change=_change)
