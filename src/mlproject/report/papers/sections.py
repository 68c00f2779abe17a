"""The sections of a report on a paper that is described by data."""

from mlproject.report.content import Content
from mlproject.report.document import Part, Picture, Report
from mlproject.report.papers.claims import claims_table
from mlproject.report.papers.comparisons import comparison_pictures, comparison_table
from mlproject.report.papers.data import Paper, read_paper
from mlproject.report.papers.runs import PaperRuns
from mlproject.report.papers.tables import paper_figure, paper_table
from mlproject.report.sections.histories import histories
from mlproject.report.sections.runs import cost_table
from mlproject.report.table import Table


def fill_paper(report: Report, content: Content) -> Paper:
    """Add the tables, figures and statements of the request's paper to a report.

    Raises:
        UserError: there is no such paper.
    """
    name = content.request.paper
    paper = read_paper(name)
    runs = PaperRuns(content.counted)
    statements = claims_table(name, paper, runs)
    _add(report, Part("Statements", "statements"), [statements], [])
    report.first.add(statements.name)
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


def _add(report: Report, part: Part, tables: list[Table], pictures: list[Picture]) -> None:
    report.tables += tables
    report.pictures |= {one.name: one for one in pictures}
    part.tables += [one.name for one in tables]
    part.pictures += [one.name for one in pictures]
    if part.tables or part.pictures:
        report.parts.append(part)
