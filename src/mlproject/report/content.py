"""What a report is about and what it holds: plain data, shared by those who make and write it."""

from dataclasses import dataclass, field
from typing import NamedTuple

from matplotlib.figure import Figure

from mlproject.report.atlas import Atlas
from mlproject.report.table import Table


class Wish(NamedTuple):
    """What a report is about.

    Attributes:
        experiment: names of the experiments, () = all.
        where: conditions on the runs, see `mlproject.results.runs`.
        rows: columns that make the rows of a table of the user's own, () = no such table.
        columns: its columns.
        networks: names of networks to show side by side, beside the paper's figures.
        figures: whether to draw any.
        ui: address of the MLflow UI, for links; "" = from the tracking store.
    """

    experiment: tuple[str, ...] = ()
    where: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    figures: bool = True
    ui: str = ""


class Picture(NamedTuple):
    """A figure, its title and what it shows."""

    figure: Figure
    title: str
    caption: str


@dataclass
class Report:
    """All that the pages and files show.

    Attributes:
        title: one line.
        summary: sentences: how many runs, which count.
        tables: in order.
        pictures: name of the files -> figure, in order.
        atlases: kind of data set -> atlas.
        missing: sentences on figures that could not be drawn.
        unreadable: sentences on runs, or files of runs, that could not be read.
        experiment: the experiment that holds all runs, None if there are several.
    """

    title: str
    summary: list[str]
    tables: list[Table] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)
    atlases: dict[str, Atlas] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    experiment: str | None = None

    def note_unreadable(self, text: str) -> None:
        """Note, once, that a run or a file of one could not be read."""
        if text not in self.unreadable:
            self.unreadable.append(text)

    def table(self, name: str) -> Table | None:
        """Return the table of a name, None if there is none."""
        return next((table for table in self.tables if table.name == name), None)
