"""The report of a tracking server."""

import pandas

from mlproject import results
from mlproject.architectures import ARCHITECTURES
from mlproject.report.content import Content, ReportRequest
from mlproject.report.document import Report
from mlproject.report.measure import Measure
from mlproject.report.papers.sections import fill_paper
from mlproject.report.published import PAPER
from mlproject.report.registry import fill
from mlproject.report.sentences import shortened
from mlproject.report.table import Table
from mlproject.store import Store
from mlproject.store.connection import UI
from mlproject.store.results.conditions import parse
from mlproject.system.errors import UserError, nearest
from mlproject.system.masking import without_credentials
from mlproject.system.messages import quantity


def build(request: ReportRequest, store: Store) -> Report:
    """Read the tracking server and make all tables and figures.

    Args:
        request: the subject of the report.
        store: the tracking store.

    Raises:
        UserError: see `mlproject.results.runs`, `mlproject.report.sections.user.user_table`;
            unknown networks.
    """
    for name in request.networks:
        if name not in ARCHITECTURES:
            raise UserError(f"unknown network {name!r}: {nearest(name, ARCHITECTURES)}")
    found = results.find(list(request.experiment) or None, parse(request.where), store)
    runs = found.runs
    ui = request.ui or (without_credentials(store.uri) if store.uri.startswith("http") else UI)
    content = Content(request, runs, results.counted(runs), store, ui, list(found.unreadable))
    names = runs["experiment"].unique()
    about = ", ".join(request.experiment) or ("all experiments" if len(names) != 1 else names[0])
    report = Report(f"Motif representations by network: {about}", _summary(runs, request.where))
    report.experiment = str(names[0]) if len(names) == 1 else None
    if request.paper == PAPER:
        fill(report, content)
    else:
        paper = fill_paper(report, content)
        report.title = f"{paper.title}, {paper.subject}: {about}"
    report.summary += _verdicts(report.tables)
    report.unreadable += [*content.unreadable, *found.hints]
    return report


def _summary(runs: pandas.DataFrame, where: str) -> list[str]:
    fit = f" that fit `{where}`" if where else ""
    if runs.empty:
        return [f"The tracking store has no runs{fit} yet: `python -m mlproject train` makes one."]
    states = runs["state"].value_counts()
    counted = int(states.pop(results.COUNTED)) if results.COUNTED in states else 0
    text = f"{quantity(len(runs), 'run')}{fit}, of which {counted} count"
    rest = ", ".join(f"{count} {state}" for state, count in states.items())
    lines = [text + (f" (left out: {rest})." if rest else ".")]
    if "time/total" in runs:
        hours = runs["time/total"].sum() / 3600
        lines.append(f"They took {hours:.1f} hours in all.")
    imported = int(runs["imported"].astype(bool).sum())
    if imported:
        lines.append(f"{imported} of them were imported.")
    done = results.counted(runs)
    if len(done) and (few := shortened(done)):
        lines.append(few)
    return lines


def _verdicts(tables: list[Table]) -> list[str]:
    """Return a sentence on the number of published values, and how our runs compare with them."""
    measures = [
        value
        for table in tables
        for row in table.rows
        for value in row.values()
        if isinstance(value, Measure) and value.verdict
    ]
    known = [one.short_verdict for one in measures if one.verdict != "no runs"]
    if not known:
        return []
    counts = ", ".join(
        f"{known.count(kind)} {text}"
        for kind, text in (("agrees", "agree"), ("differs", "differ"), ("cannot tell", "undecided"))
    )
    return [f"Of {len(measures)} printed numbers, {len(known)} have runs of ours: {counts}."]
