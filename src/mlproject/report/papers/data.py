"""Papers as data: a folder of ``published`` with tables, and a file that says what they mean.

``published/NAME/paper.yaml`` has a title, tables and statements. A table is a CSV file with a
published number in each row; `PaperTable` says which runs and which metric it is. A statement
compares groups of runs. A further paper is a further folder.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

RESERVED = ("statements", "runs", "cost", "histories", "custom")
Options = dict[str, str | int | float]
Name = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_]{0,39}$")]
Text = Annotated[str, Field(min_length=1, max_length=400)]


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

    name: Name
    title: Text
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+\.csv$")]
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

    text: Text
    table: str
    metric: str
    high: list[Options] = []
    low: list[Options] = []
    equal_within: Annotated[float, Field(gt=0)] | None = None
    related_to: str | None = None

    @model_validator(mode="after")
    def _check_sides(self) -> "PaperStatement":
        if bool(self.high) != bool(self.low) or bool(self.high) == bool(self.related_to):
            raise ValueError("a statement has either `high` and `low`, or `related_to`")
        return self


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

    name: Name
    title: Text
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

    title: Text
    subject: Text
    trials: Annotated[int, Field(ge=2)]
    tables: Annotated[list[PaperTable], Field(min_length=1)]
    statements: list[PaperStatement] = []
    comparisons: list[PaperComparison] = []

    @model_validator(mode="after")
    def _check_names(self) -> "Paper":
        names = Counter(one.name for one in self.parts())
        for name, count in names.items():
            if count > 1 or name in RESERVED:
                taken = "another table" if count > 1 else "a table of every report"
                raise ValueError(f"`name: {name}` is the name of {taken}: choose another")
        for one in self.statements:
            if one.table not in {table.name for table in self.tables}:
                raise ValueError(f"a statement is about the unknown table `{one.table}`")
        return self

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
