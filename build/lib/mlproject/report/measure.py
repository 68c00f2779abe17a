"""The record of a metric in a table: our trials beside the published number."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas


class Measure(NamedTuple):
    """A metric of the trials of one row.

    NaN: the value is unknown. None: the table does not show this value, and its CSV has no column
    for it.

    Attributes:
        mean: over the trials.
        sd: standard deviation over the trials (n - 1); NaN below two trials.
        n: number of trials.
        published: the published mean.
        published_sd: the published standard deviation.
        difference: ours less published.
        low: lower end of the 90 % interval of the difference (Welch); NaN below two trials.
        high: upper end.
        verdict: ``agrees``, ``differs``, ``cannot tell (n = ...)``, ``no runs``, or ``""`` where
            nothing is published.
        mark: footnote marks of the published number.
        sd_over_classes: standard deviation over the classes, mean over the trials.
    """

    mean: float = math.nan
    sd: float | None = math.nan
    n: int = 0
    published: float | None = None
    published_sd: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str | None = None
    mark: str | None = None
    sd_over_classes: float | None = None

    @property
    def short_verdict(self) -> str:
        """The verdict without the number of trials."""
        return (self.verdict or "").partition(" (")[0]


SUFFIXES = {"mean": ""} | {
    name: f" {name.replace('_', ' ')}" for name in Measure._fields if name not in ("mean", "n")
}


def measure(values: Sequence[float] | np.ndarray | pandas.Series) -> Measure:
    """Return mean and standard deviation (n - 1) of trials; NaN values do not count."""
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    return Measure(
        float(known.mean()) if len(known) else math.nan,
        float(known.std(ddof=1)) if len(known) > 1 else math.nan,
        len(known),
    )


def measure_of(runs: pandas.DataFrame, metric: str) -> Measure:
    """Return mean and standard deviation of a metric of runs, NaN if none has recorded it."""
    return measure(runs.get(metric, []))


def flat_frame(rows: Sequence[Mapping[str, Any]]) -> pandas.DataFrame:
    """Return rows as a frame in which each value of a `Measure` has a column.

    The column ``x`` holds the mean of the measure ``x``, ``x sd`` its standard deviation, and so
    on, see `SUFFIXES`.
    """
    keys = dict.fromkeys(key for row in rows for key in row)
    shown = {
        key: [
            name
            for name in SUFFIXES
            if any(getattr(row.get(key), name, None) is not None for row in rows)
        ]
        if any(isinstance(row.get(key), Measure) for row in rows)
        else None
        for key in keys
    }
    records = []
    for row in rows:
        record: dict[str, Any] = {}
        for key, value in row.items():
            names = shown[key]
            if names is None:
                record[key] = value
            else:
                record |= {f"{key}{SUFFIXES[name]}": getattr(value, name) for name in names}
        records.append(record)
    return pandas.DataFrame(records)
