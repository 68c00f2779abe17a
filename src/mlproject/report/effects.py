"""Effects over seeds: their size, interval and p, and the verdict on a statement."""

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import stats

from mlproject.report.verdicts import LOWEST_SD

LEVEL = 0.95
FIELLER = 1.06  # variance of Fisher's z of a rank correlation, times n - 3
Values: TypeAlias = dict[int, float]


class Effect(NamedTuple):
    """A difference and its uncertainty over seeds.

    Attributes:
        seeds: the paired seeds.
        size: the mean difference, NaN without a seed.
        low: lower end of its interval (paired t, 95 % unless asked), NaN below two seeds.
        high: upper end.
        p: two-sided p-value of a mean of 0; NaN below two seeds.
    """

    seeds: tuple[int, ...]
    size: float
    low: float
    high: float
    p: float


def effect(differences: Values, lowest_sd: float = LOWEST_SD, level: float = LEVEL) -> Effect:
    """Test whether the mean of differences, one a seed, is above 0.

    Args:
        differences: by seed.
        lowest_sd: their standard deviation counts as at least this: match fractions of two trials
            are often equal to the last digit but have an error nevertheless.
        level: of the interval.
    """
    n, values = len(differences), np.array([*differences.values()], float)
    seeds = tuple(sorted(differences))
    if n < 2:
        size = float(values[0]) if n else math.nan
        return Effect(seeds, size, math.nan, math.nan, math.nan)
    size, sd = float(values.mean()), max(float(values.std(ddof=1)), lowest_sd)
    error = sd / math.sqrt(n)
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    p = 2 * float(stats.t.sf(abs(size) / error, n - 1))
    return Effect(seeds, size, size - half, size + half, p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number; NaN values are ignored.

    Source: Holm, Scand J Stat 6: 65, 1979.
    """
    values = np.array(p_values, float)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    values[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return values.tolist()


def verdict_of(size: float, p: float, n: int) -> str:
    """Return the verdict of an effect on a statement.

    Args:
        size: the effect.
        p: corrected for the number of statements, NaN if unknown.
        n: number of seeds.
    """
    if not n:
        return "no runs"
    if not p < 1 - LEVEL:
        return f"cannot tell (n = {n})"
    return "supported" if size > 0 else "contradicted"


def correlation(one: np.ndarray, other: np.ndarray) -> Effect:
    """Return a rank correlation with its interval (Fisher's z) and p; NaN if one is constant."""
    n = len(one)
    if n < 4 or len(set(one)) < 2 or len(set(other)) < 2:
        return Effect((), math.nan, math.nan, math.nan, math.nan)
    found = stats.spearmanr(one, other)
    size = float(found.statistic)
    half = float(stats.norm.ppf((1 + LEVEL) / 2)) * math.sqrt(FIELLER / (n - 3))
    middle = math.atanh(min(max(size, -0.999999), 0.999999))
    return Effect((), size, math.tanh(middle - half), math.tanh(middle + half), float(found.pvalue))
