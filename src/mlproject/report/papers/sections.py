"""The sections of a report on a paper that is described by data."""

from mlproject.report.content import Content
from mlproject.report.document import Part, Picture, Report
from mlproject.report.papers.claims import claims_table
from mlproject.report.papers.comparisons import comparison_pictures, comparison_table
from mlproject.report.papers.data import Paper
from mlproject.report.papers.reading import published_cells, read_paper
from mlproject.report.papers.runs import PaperRuns
from mlproject.report.papers.tables import paper_figure, paper_table
from mlproject.report.sections.histories import histories
from mlproject.report.sections.runs import cost_table
from mlproject.report.sections.user import user_table
from mlproject.report.table import Table


def fill_paper(report: Report, content: Content) -> Paper:
    """Add the tables, figures and statements of the request's paper to a report.

    Raises:
        UserError: there is no such paper.
    """
    name = content.request.paper
    paper = read_paper(name)
    runs = PaperRuns(content.counted)
    wanted = content.request
    if wanted.rows:
        own = user_table(content.counted, wanted.rows, wanted.columns, wanted.where)
        _add(report, Part("Your table", "custom"), [own], [])
    statements = claims_table(name, paper, runs)
    _add(report, Part("Statements", "statements"), [statements], [])
    report.first |= {table.name for table in report.tables}
    content.unreadable += runs.unknown(_metrics(name, paper))
    for one in paper.tables:
        table = paper_table(name, paper, one, runs)
        pictures = []
        drawn = paper_figure(name, one, runs) if content.request.figures else None
        if drawn:
            error = "standard deviation" if one.published_sd else "error of reading"
            caption = f"Points: our trials. Line: the published number with its {error}."
            pictures = [Picture(one.name, drawn, one.title, caption)]
        _add(report, Part(one.title.partition(".")[0], one.name), [table], pictures)
    for group in paper.comparisons:
        found = comparison_table(group, content, runs)
        shown = comparison_pictures(group, content, runs) if content.request.figures else []
        _add(report, Part(group.title.partition(".")[0], group.name), [found], shown)
    last = [cost_table(content.counted), *histories(content)]
    _add(report, Part("Runs", "runs"), [one for one in last if isinstance(one, Table)], [])
    return paper


def _metrics(name: str, paper: Paper) -> list[str]:
    """Return the metrics of all tables, statements and comparisons of a paper."""
    of_tables = [cell.metric for table in paper.tables for cell in published_cells(name, table)]
    beside = [metric for table in paper.tables for metric in table.beside]
    stated = [one.metric for one in paper.statements]
    related = [one.related_to for one in paper.statements if one.related_to]
    compared = [metric for one in paper.comparisons for metric in one.metrics]
    return [*of_tables, *beside, *stated, *related, *compared]


def _add(report: Report, part: Part, tables: list[Table], pictures: list[Picture]) -> None:
    report.tables += tables
    report.pictures |= {one.name: one for one in pictures}
    part.tables += [one.name for one in tables]
    part.pictures += [one.name for one in pictures]
    if part.tables or part.pictures:
        report.parts.append(part)
