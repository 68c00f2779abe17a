"""A finished report as plain data: tables, figures, sentences."""

from dataclasses import dataclass, field
from typing import NamedTuple

from matplotlib.figure import Figure

from mlproject.report.atlas import Atlas
from mlproject.report.table import Table


class Picture(NamedTuple):
    """A figure.

    Attributes:
        name: of its files.
        figure: the figure.
        title: one line.
        caption: sentences below it.
        atlas: the atlas that the figure shows, if it is one.
    """

    name: str
    figure: Figure
    title: str
    caption: str
    atlas: Atlas | None = None


class Missing(NamedTuple):
    """A sentence on a figure that cannot be drawn."""

    text: str


@dataclass
class Part:
    """A part of the page: the names of its pictures and tables, in order."""

    title: str
    anchor: str
    pictures: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)


@dataclass
class Report:
    """The content of the pages and files of a report.

    Attributes:
        title: one line.
        summary: sentences: how many runs, which count.
        tables: in order.
        pictures: by name, in order.
        parts: of the page, in order.
        first: names of the tables that come before the figures in README.md.
        missing: sentences on figures that could not be drawn.
        unreadable: sentences on runs, or files of runs, that could not be read.
        experiment: the experiment that holds all runs, None if there are several.
    """

    title: str
    summary: list[str]
    tables: list[Table] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    first: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    experiment: str | None = None

    def table(self, name: str) -> Table | None:
        """Return the table of a name, None if the report has none."""
        return next((table for table in self.tables if table.name == name), None)

    @property
    def atlases(self) -> dict[str, Atlas]:
        """The atlas of each kind of data set."""
        return {one.atlas.dataset: one.atlas for one in self.pictures.values() if one.atlas}
