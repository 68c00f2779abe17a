"""The text of a reproduction's page, Markdown; every number in it is computed from the runs."""

import dataclasses
import re

import pandas

from mlproject.draw.output import text_template
from mlproject.report.document import Report
from mlproject.report.labels import label_of
from mlproject.report.measure import Measure
from mlproject.report.papers.reading import read_paper
from mlproject.report.published import SYNTHETIC
from mlproject.report.sections.printed import main_table
from mlproject.report.sections.runs import cost_table
from mlproject.report.sentences import (
    METRICS,
    alignment_says,
    protocol_fields,
    protocol_says,
    result,
    short,
    verdicts,
    who,
)
from mlproject.report.table import Column, Table, published_column


def markdown(report: Report, counted: pandas.DataFrame, notes: str) -> str:
    """Return the page.

    Args:
        report: of the runs.
        counted: the runs.
        notes: the hand-written section, Markdown.
    """
    table1 = main_table(counted[counted["protocol"] == "released"], SYNTHETIC)
    protocols = report.table("protocols")
    alignments, statements = report.table("alignments_synthetic"), report.table("statements")
    cost = cost_table(counted)

    def picture(name: str) -> str:
        one = report.pictures.get(name)
        return f"![{one.title}](figures/{name}.png)\n\n{one.caption}" if one else ""

    def shown(table: Table | None) -> str:
        return dataclasses.replace(table, commands=()).markdown() if table else ""

    text = text_template("reproduction.md.j2").render(
        who=who(counted),
        result=result(statements),
        verdicts=verdicts(table1),
        table1=shown(compact(table1)),
        joint=shown(_without_dataset(report.table("joint"))),
        readings=shown(_with_runs(report.table("readings"))),
        statements=shown(_with_runs(statements)),
        deeper=shown(_with_runs(report.table("deeper_layers"))),
        alignments=shown(alignments),
        alignment_says=alignment_says(alignments),
        protocols=shown(protocols),
        protocol_fields=protocol_fields(),
        protocol_says=protocol_says(protocols),
        sites=shown(report.table("truth_filters")),
        factors=shown(transposed(report.table("factors_synthetic_coverage"))),
        cost=shown(cost),
        histories=shown(report.table("histories")),
        notes=notes,
        picture=picture,
        has=lambda name: name in report.pictures,
    )
    return _tidy(text)


def paper_page(name: str, report: Report, counted: pandas.DataFrame, notes: str) -> str:
    """Return the page of a paper that is described by data; see `markdown` for the arguments."""
    paper = read_paper(name)
    statements, cost, parts = report.table("statements"), cost_table(counted), []
    for one in paper.parts():
        table = report.table(one.name)
        drawn = [
            f"![{picture.title}](figures/{name}.png)\n\n{picture.caption}"
            for name, picture in report.pictures.items()
            if name in (one.name, f"{one.name}_patterns")
        ]
        heading, shown = one.title.partition(".")[0], table.markdown() if table else ""
        parts.append({"heading": heading, "table": shown, "picture": "\n\n".join(drawn)})
    text = text_template("paper.md.j2").render(
        paper=paper,
        who=who(counted),
        result=result(statements),
        statements=statements.markdown() if statements else "",
        parts=parts,
        notes=notes,
        cost=cost.markdown() if cost else "",
        histories=found.markdown() if (found := report.table("histories")) else "",
    )
    return _tidy(text)


def _tidy(text: str) -> str:
    """Return Markdown without spaces at ends of lines and with single empty lines."""
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    lines = re.sub(r"\n+(?=#+ |!\[)", "\n\n", re.sub(r"\n{3,}", "\n\n", lines))
    return lines.strip() + "\n"


def compact(table: Table) -> Table:
    """Return a table of the paper with difference and verdict in one column."""
    columns = [Column("network", "network"), Column("n", "n", digits=0)]
    for metric in METRICS:
        label = label_of(metric)
        columns += [
            Column(metric, "ours", label, 3),
            published_column(metric, label),
            Column(f"{metric} verdict", "Δ", label),
        ]
    rows = [
        {**row, **{f"{metric} verdict": _verdict(row.get(metric)) for metric in METRICS}}
        for row in table.rows
    ]
    notes = tuple(note.replace("`cannot tell`", "`undecided`") for note in table.notes)
    return dataclasses.replace(table, rows=rows, columns=tuple(columns), notes=notes)


def transposed(table: Table | None) -> Table | None:
    """Return a table factor x network with a row for each network: it fits on a page."""
    if table is None:
        return None
    factor, *networks = table.columns
    names = [str(row[factor.key]) for row in table.rows]
    rows = [
        {"network": network.label}
        | {name: row[network.key] for name, row in zip(names, table.rows, strict=True)}
        for network in networks
    ]
    columns = [Column(name, name, digits=networks[0].digits) for name in names]
    return dataclasses.replace(table, rows=rows, columns=(Column("network", "network"), *columns))


def _without_dataset(table: Table | None) -> Table | None:
    """Return a table without the column of the data set if all rows have the same one."""
    if table is None or len({row["dataset"] for row in table.rows}) > 1:
        return table
    columns = tuple(column for column in table.columns if column.key != "dataset")
    return dataclasses.replace(table, columns=columns)


def _verdict(measure: Measure | None) -> str:
    """Return difference and verdict of a cell, nothing where nothing is published."""
    if measure is None or measure.verdict is None:
        return ""
    if not measure.n or measure.difference is None:
        return "no runs"
    return f"{measure.difference:+.3f} {short(measure.short_verdict)}".replace("-", "−")


def _with_runs(table: Table | None) -> Table | None:
    """Return a table without the rows that have no runs, None if no row is left."""
    rows = [row for row in table.rows if row["n"] > 0] if table else []
    return dataclasses.replace(table, rows=rows) if table and rows else None
