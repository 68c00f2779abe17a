"""Papers as data: a folder of ``published`` with tables, and a file that says what they mean.

``published/NAME/paper.yaml`` has a title, tables and statements. A table is a CSV file with a
published number in each row; `PaperTable` says which runs and which metric it is. A statement
compares groups of runs. A further paper is a further folder.
"""

import io
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

import pandas
import yaml
from pydantic import BaseModel, ConfigDict, Field

from mlproject.report.published import PAPER
from mlproject.system.errors import UserError, nearest

FOLDER = files("mlproject.report").joinpath("published")
FILE = "paper.yaml"
Options = dict[str, str | int | float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PaperTable(_Part):
    """A published table and its place among our runs.

    Attributes:
        name: of the files of our table.
        title: one line.
        file: CSV file with one published number a row.
        runs: fields of the spec that all runs of the table have.
        options: fields of the spec of a row; ``{column}`` stands for the row's value.
        metric: our metric of a row, likewise.
        names: for a column, our word for each of its values in `options` and `metric`.
        published: column of the published number.
        published_sd: column of its standard deviation (divided by the number of trials), if any.
        reading_error: column of the error with which it was read off a figure, if any.
        statistic: what the number is over the trials.
        band: the largest absolute difference that counts as agreement.
        step: the metric is a multiple of this, such as 1 / filters; its standard deviation is
            then at least that of the error of rounding.
        beside: further metrics of ours to show.
        notes: further sentences below the table.
    """

    name: str
    title: str
    file: str
    runs: Options
    options: dict[str, str]
    metric: str
    names: dict[str, dict[str, str]] = {}
    published: str
    published_sd: str | None = None
    reading_error: str | None = None
    statistic: Literal["mean", "median"] = "mean"
    band: Annotated[float, Field(gt=0)]
    step: Annotated[float, Field(ge=0)] = 0.0
    beside: list[str] = []
    notes: list[str] = []


class PaperStatement(_Part):
    """A sentence of a paper: `high` less `low` is above 0, or near 0, if it holds.

    Attributes:
        text: the sentence.
        table: the table whose runs it is about.
        metric: the metric that is compared.
        high: fields of the spec of each group of runs on one side.
        low: the other side.
        equal_within: the sentence says that the sides are equal, up to this difference.
        related_to: the sentence says that `metric` has no positive rank correlation with this
            metric over all rows of the table; there are no sides then.
    """

    text: str
    table: str
    metric: str
    high: list[Options] = []
    low: list[Options] = []
    equal_within: float | None = None
    related_to: str | None = None


class PaperComparison(_Part):
    """Groups of runs beside each other, of which the paper prints pictures and no numbers.

    Attributes:
        name: of the files of our table and figure.
        title: one line.
        runs: fields of the spec that all runs have.
        groups: the name of each group, and the fields of its spec.
        metrics: our metrics to show, and their headings.
        tracks: attribution method whose contributions are drawn side by side.
        patterns: whether to list the matches of the TF-MoDISco patterns.
    """

    name: str
    title: str
    runs: Options
    groups: dict[str, Options]
    metrics: dict[str, str]
    tracks: str
    patterns: bool = False


class Paper(_Part):
    """A published paper.

    Attributes:
        title: authors and year.
        subject: a few words.
        trials: number of trials of the published numbers.
        tables: its tables.
        statements: its statements.
        comparisons: its comparisons without numbers.
    """

    title: str
    subject: str
    trials: int
    tables: list[PaperTable]
    statements: list[PaperStatement] = []
    comparisons: list[PaperComparison] = []

    def parts(self) -> list[PaperTable | PaperComparison]:
        """Return tables and comparisons in the order of a page."""
        return [*self.tables, *self.comparisons]


class PublishedCell(NamedTuple):
    """A published number and the runs that it is compared with.

    Attributes:
        labels: the row's texts by column, as printed.
        options: fields of the spec of the runs.
        metric: our metric.
        value: the number.
        sd: its standard deviation as printed, NaN if none is.
        error: the error of reading it off a figure, 0 for a printed number.
    """

    labels: Mapping[str, str]
    options: Mapping[str, str | int | float]
    metric: str
    value: float
    sd: float
    error: float


def paper_names() -> list[str]:
    """Return the papers that a report can be about; the first one has sections of its own."""
    folders = (one for one in FOLDER.iterdir() if one.is_dir())
    return [PAPER, *sorted(one.name for one in folders if one.joinpath(FILE).is_file())]


@lru_cache
def read_paper(name: str) -> Paper:
    """Return a paper that is described by data.

    Raises:
        UserError: there is no such paper.
    """
    if name not in paper_names()[1:]:
        raise UserError(f"unknown paper {name!r}: {nearest(name, paper_names())}")
    text = FOLDER.joinpath(name, FILE).read_text(encoding="utf-8")
    return Paper.model_validate(yaml.safe_load(text))


def published_cells(name: str, table: PaperTable) -> list[PublishedCell]:
    """Return the numbers of a table of the paper `name`, in the order of its file."""
    text = FOLDER.joinpath(name, table.file).read_text(encoding="utf-8")
    frame = pandas.read_csv(io.StringIO(text))
    columns = [one for one in frame if f"{{{one}}}" in f"{table.metric} {table.options}"]
    return [_cell(table, columns, row) for row in frame.to_dict("records")]


def _cell(table: PaperTable, columns: list[str], row: Mapping[Any, Any]) -> PublishedCell:
    labels = {name: str(row[name]) for name in columns}
    words = {name: table.names.get(name, {}).get(text, text) for name, text in labels.items()}
    own = {key: text.format_map(words) for key, text in table.options.items()}
    return PublishedCell(
        labels,
        {**table.runs, **own},
        table.metric.format_map(words),
        float(row[table.published]),
        float(row[table.published_sd]) if table.published_sd else float("nan"),
        float(row[table.reading_error]) if table.reading_error else 0.0,
    )
