"""A table: rows of values, and the columns that show them; as Markdown, HTML, LaTeX and CSV."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas
from markupsafe import Markup, escape

from mlproject.report.latex import latex_table, latex_text
from mlproject.report.measure import Measure, flat_frame
from mlproject.system.files import atomic_file

Row = Mapping[str, Any]
SPREADS = {"mean": "sd", "published": "published_sd"}
VERDICTS = ("agrees", "differs", "cannot tell", "no runs", "supported", "contradicted")


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        key: of the row's value.
        label: its heading.
        group: heading above it and its neighbours of the same group.
        digits: decimals of numbers, None: a text.
        part: the shown value of a `Measure`; ``mean`` and ``published`` include the standard
            deviation.
        signed: whether numbers show their sign.
        link: key of an address that the HTML page links to.
    """

    key: str
    label: str
    group: str = ""
    digits: int | None = None
    part: str = "mean"
    signed: bool = False
    link: str = ""


def published_column(key: str, group: str) -> Column:
    """Return the column of the published mean and standard deviation of a measure."""
    return Column(key, "published", group, 3, "published")


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: of its files, such as ``table1``.
        title: one line.
        rows: the values by key; a metric of trials is a `Measure`.
        columns: the columns of all formats except CSV, which holds all values.
        notes: sentences below the table; ``^a^`` at the start of one is a footnote mark.
        commands: shell commands that make the missing runs.
        recorded: the values of the CSV, if they are not those of the rows.
    """

    name: str
    title: str
    rows: Sequence[Row]
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    recorded: pandas.DataFrame | None = None

    @cached_property
    def frame(self) -> pandas.DataFrame:
        """All values, with a column for each value of a `Measure`."""
        return flat_frame(self.rows) if self.recorded is None else self.recorded

    def markdown(self) -> str:
        """Return title, table and notes as GitHub reads them."""
        heads = [f"{c.group}: {c.label}" if c.group else c.label for c in self.columns]
        lines = [f"| {' | '.join(heads)} |"]
        lines.append(f"|{'|'.join(':--' if c.digits is None else '--:' for c in self.columns)}|")
        for row in self.rows:
            cells = []
            for column in self.columns:
                mark = mark_of(row, column)
                shown = plain_markdown(text_of(row, column))
                cells.append(shown + (f" <sup>{mark}</sup>" if mark else ""))
            lines.append(f"| {' | '.join(cells)} |")
        notes = [re.sub(r"^\^(\w+)\^ ", r"<sup>\1</sup> ", note) for note in self.notes]
        text = "\n".join(
            [f"**{plain_markdown(self.title)}**", "", *lines, "", *(f"{note}\n" for note in notes)]
        )
        if self.commands:
            text += "\n".join(["Missing runs are made by:\n", "```sh", *self.commands, "```", ""])
        return text

    def html(self) -> Markup:
        """Return the table as an HTML element with sortable columns and without its notes."""
        groups = self._groups()
        head = Markup("")
        if any(name for name, _ in groups):
            spans = (
                Markup('<th colspan="{}" class="group">{}</th>').format(count, name)
                for name, count in groups
            )
            head = Markup("<tr>{}</tr>").format(Markup("").join(spans))
        heads = Markup("").join(
            Markup(
                '<th scope="col" aria-sort="none" class="{}"><button type="button">{}</button>'
            ).format("text" if column.digits is None else "", column.label)
            + Markup("</th>")
            for column in self.columns
        )
        rows = Markup("").join(self._html_row(row) for row in self.rows)
        return Markup(
            '<table class="sortable" id="{}"><thead>{}<tr>{}</tr></thead><tbody>{}</tbody></table>'
        ).format(self.name, head, heads, rows)

    def latex(self) -> str:
        """Return the table for LaTeX with the package booktabs, with its notes below it."""
        cells = []
        for row in self.rows:
            marks = [mark_of(row, column) for column in self.columns]
            texts = [latex_text(text_of(row, column)) for column in self.columns]
            cells.append(
                [
                    text + (f"\\textsuperscript{{{mark}}}" if mark else "")
                    for text, mark in zip(texts, marks, strict=True)
                ]
            )
        heads = [(column.label, column.digits is None) for column in self.columns]
        return latex_table(self.name, self.title, self._groups(), heads, cells, self.notes)

    def csv(self) -> str:
        """Return all values in full precision."""
        return self.frame.to_csv(index=False, lineterminator="\n")

    def write(self, folder: Path) -> list[Path]:
        """Write all formats into `folder` and return their paths."""
        texts: dict[str, Callable[[], str]] = {
            "md": self.markdown,
            "html": self._page,
            "csv": self.csv,
            "tex": self.latex,
        }
        paths = []
        for kind, text in texts.items():
            paths.append(folder / f"{self.name}.{kind}")
            with atomic_file(paths[-1]) as file:
                file.write(text().encode())
        return paths

    def _groups(self) -> list[tuple[str, int]]:
        """Return the headings of groups, each with its number of columns."""
        return [(name, len(list(one))) for name, one in groupby(c.group for c in self.columns)]

    def _page(self) -> str:
        notes = Markup("").join(Markup("<p>{}</p>").format(note_html(note)) for note in self.notes)
        return str(
            Markup(
                '<!DOCTYPE html>\n<meta charset="utf-8"><title>{}</title>\n<h1>{}</h1>\n'
            ).format(self.title, self.title)
            + self.html()
            + notes
            + "\n"
        )

    def _html_row(self, row: Row) -> Markup:
        cells = []
        for column in self.columns:
            text, mark, value = text_of(row, column), mark_of(row, column), value_of(row, column)
            if column.digits is None:
                key, kind = text, f"text {_verdict_class(text)}".strip()
            else:
                key, kind = ("" if _missing(value) else repr(float(value))), ""
            above = Markup("<sup>{}</sup>").format(mark) if mark else ""
            shown: str | Markup = text
            if column.link:
                link = Markup('<a href="{}" target="_blank" rel="noopener">{}</a>')
                shown = link.format(row[column.link], text)
            cells.append(
                Markup('<td class="{}" data-sort="{}">{}{}</td>').format(kind, key, shown, above)
            )
        return Markup("<tr>{}</tr>").format(Markup("").join(cells))


def value_of(row: Row, column: Column) -> Any:
    """Return the value of a cell; None if the row has none."""
    value = row.get(column.key)
    return getattr(value, column.part) if isinstance(value, Measure) else value


def text_of(row: Row, column: Column) -> str:
    """Return the text of a cell, without its footnote mark."""
    value = value_of(row, column)
    if _missing(value):
        return "—"
    if column.digits is None:
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = f"{value:{'+' if column.signed else ''}.{column.digits}f}".replace("-", "−")
    spread = getattr(row[column.key], SPREADS.get(column.part, ""), None)
    return text if _missing(spread) else f"{text} ± {spread:.{column.digits}f}"


def mark_of(row: Row, column: Column) -> str:
    """Return the footnote marks of a cell; only published numbers have some."""
    value = row.get(column.key)
    return (value.mark or "") if column.part == "published" and isinstance(value, Measure) else ""


def plain_markdown(text: str) -> str:
    """Return a text escaped for Markdown, so that it ends no cell and opens no tag."""
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split()))
    return text.replace("|", "\\|")


def note_html(note: str) -> Markup:
    """Return a note as HTML: ``^a^`` is a mark, text between backticks is code."""
    text = str(escape(note))
    text = re.sub(r"^\^(\w+)\^ ", r"<sup>\1</sup> ", text)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", text))


def _missing(value: Any) -> bool:
    return value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value))


def _verdict_class(text: str) -> str:
    """Return the CSS class of a verdict, an empty text for other texts."""
    found = (word.replace(" ", "-") for word in VERDICTS if text.startswith(word))
    return next(found, "")
