"""A table: one frame of values, and how its columns are shown; as Markdown, HTML, LaTeX, CSV."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import pandas
from markupsafe import Markup, escape

from mlproject.system.files import atomic_file

FORMATS = ("md", "html", "csv", "tex")
WIDE = 8


class Column(NamedTuple):
    """A column as it is shown.

    Attributes:
        key: the frame's column.
        label: its heading.
        group: heading above it and its neighbours of the same group.
        spread: the frame's column shown after ``±``.
        digits: decimals of numbers, None: a text.
        signed: numbers show their sign.
        mark: the frame's column of footnote marks.
        link: the frame's column of addresses that the page links to.
    """

    key: str
    label: str
    group: str = ""
    spread: str = ""
    digits: int | None = None
    signed: bool = False
    mark: str = ""
    link: str = ""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: of its files, such as ``table1``.
        title: one line.
        frame: all values; this is what the CSV holds.
        columns: what the other formats show of it.
        notes: sentences below; ``^a^`` at the start of one is a footnote mark.
        commands: shell commands that fill what is missing.
    """

    name: str
    title: str
    frame: pandas.DataFrame
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Return title, table and notes as GitHub reads them."""
        heads = [_above(column) for column in self.columns]
        lines = [f"| {' | '.join(heads)} |"]
        lines.append(f"|{'|'.join(':--' if c.digits is None else '--:' for c in self.columns)}|")
        for _, row in self.frame.iterrows():
            cells = []
            for column in self.columns:
                mark = _mark(row, column)
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
        """Return the table as an HTML element with sortable columns; notes are not in it."""
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
        rows = Markup("").join(self._html_row(row) for _, row in self.frame.iterrows())
        return Markup(
            '<table class="sortable" id="{}"><thead>{}<tr>{}</tr></thead><tbody>{}</tbody></table>'
        ).format(self.name, head, heads, rows)

    def latex(self) -> str:
        """Return the table for LaTeX with the package booktabs, notes below it."""
        groups = self._groups()
        shape = "".join("l" if column.digits is None else "r" for column in self.columns)
        wide = len(self.columns) > WIDE
        lines = ["% needs \\usepackage{booktabs}" + ",graphicx" * wide]
        lines += ["\\begin{table}", "\\centering", "\\small"]
        lines += [f"\\caption{{{_latex(self.title)}}}", f"\\label{{tab:{self.name}}}"]
        lines += ["\\resizebox{\\textwidth}{!}{%"] * wide
        lines += [f"\\begin{{tabular}}{{{shape}}}", "\\toprule"]
        if any(name for name, _ in groups):
            spans, rules, start = [], [], 1
            for name, count in groups:
                spans.append(f"\\multicolumn{{{count}}}{{c}}{{{_latex(name)}}}")
                if name:
                    rules.append(f"\\cmidrule(lr){{{start}-{start + count - 1}}}")
                start += count
            lines += [" & ".join(spans) + " \\\\", " ".join(rules)]
        lines += [" & ".join(_latex(column.label) for column in self.columns) + " \\\\"]
        lines.append("\\midrule")
        for _, row in self.frame.iterrows():
            cells = []
            for column in self.columns:
                mark = _mark(row, column)
                shown = _latex(text_of(row, column))
                cells.append(shown + (f"\\textsuperscript{{{mark}}}" if mark else ""))
            lines.append(" & ".join(cells) + " \\\\")
        lines += ["\\bottomrule", "\\end{tabular}" + "}" * wide]
        notes = [
            re.sub(
                r"^\\textasciicircum\{\}(\w+)\\textasciicircum\{\} ", r"\\textsuperscript{\1} ", n
            )
            for n in map(_latex, self.notes)
        ]
        lines += [f"\\par\\footnotesize {note}" for note in notes]
        return "\n".join([*lines, "\\end{table}", ""])

    def csv(self) -> str:
        """Return the frame in full precision."""
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
        for kind in FORMATS:
            paths.append(folder / f"{self.name}.{kind}")
            with atomic_file(paths[-1]) as file:
                file.write(texts[kind]().encode())
        return paths

    def _groups(self) -> list[tuple[str, int]]:
        """Return the headings of groups and over how many columns each stands."""
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

    def _html_row(self, row: pandas.Series) -> Markup:
        cells = []
        for column in self.columns:
            text, mark, value = text_of(row, column), _mark(row, column), row[column.key]
            if column.digits is None:
                key, kind = text, f"text {_verdict(text)}".strip()
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


def text_of(row: pandas.Series, column: Column) -> str:
    """Return what a table shows in a cell, without its footnote mark."""
    value = row[column.key]
    if _missing(value):
        return "—"
    if column.digits is None:
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = f"{value:{'+' if column.signed else ''}.{column.digits}f}".replace("-", "−")
    if column.spread and not _missing(row[column.spread]):
        text += f" ± {row[column.spread]:.{column.digits}f}"
    return text


def plain_markdown(text: str) -> str:
    """Return a text as Markdown shows it letter by letter: it ends no cell and opens no tag."""
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(text.split()))
    return text.replace("|", "\\|")


def note_html(note: str) -> Markup:
    """Return a note as HTML: ``^a^`` is a mark, text between backticks is code."""
    text = str(escape(note))
    text = re.sub(r"^\^(\w+)\^ ", r"<sup>\1</sup> ", text)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", text))


def _above(column: Column) -> str:
    return f"{column.group}: {column.label}" if column.group else column.label


def _mark(row: pandas.Series, column: Column) -> str:
    mark = row[column.mark] if column.mark else ""
    return "" if _missing(mark) else str(mark)


def _missing(value: Any) -> bool:
    return value is None or value is pandas.NA or (isinstance(value, float) and math.isnan(value))


def _verdict(text: str) -> str:
    for word in ("agrees", "differs", "cannot tell", "no runs", "supported", "contradicted"):
        if text.startswith(word):
            return word.replace(" ", "-")
    return ""


def _latex(text: str) -> str:
    special = {
        "\\": "\\textbackslash{}",
        "&": "\\&",
        "%": "\\%",
        "$": "\\$",
        "#": "\\#",
        "_": "\\_",
        "{": "\\{",
        "}": "\\}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "±": "$\\pm$",
        "−": "$-$",
        "Δ": "$\\Delta$",
        "×": "$\\times$",
        "≥": "$\\geq$",
        "≤": "$\\leq$",
        "—": "---",
        "–": "--",
        "“": "``",
        "”": "''",
        "·": "$\\cdot$",
        "`": "'",
        "→": "$\\to$",
        "√": "$\\surd$",
    }
    return "".join(special.get(letter, letter) for letter in text)
