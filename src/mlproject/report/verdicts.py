"""Whether our trials agree with what the paper prints."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from mlproject.report.published import TRIALS

LEVEL = 0.90
LOWEST_SD = 0.0005
TINY = 1e-9
ONE_DATA_SET = (
    "All trials share one data set: standard deviations and intervals are over initial weights, "
    "dropout and the order of the batches, not over other sequences."
)
BANDS = {"test_auroc": 0.01, "test_aupr": 0.01, "match": 0.10}


class Joint(NamedTuple):
    """Many cells together.

    Attributes:
        cells: how many.
        positive: of how many our mean is higher.
        negative: of how many it is lower.
        z: Stouffer's, NaN of no cells.
        p: two-sided.
    """

    cells: int
    positive: int
    negative: int
    z: float
    p: float


class Comparison(NamedTuple):
    """Our trials beside a printed number.

    Attributes:
        n: number of our trials.
        mean: of our trials, NaN if there are none.
        sd: of our trials, divided by n - 1; NaN below two.
        difference: ours less the printed one.
        low: lower end of its 90 % interval (Welch), NaN below two trials.
        high: upper end.
        verdict: ``agrees``, ``differs``, ``cannot tell (n = ...)``, ``no runs``, or ``""`` where
            nothing is printed.
    """

    n: int
    mean: float
    sd: float
    difference: float
    low: float
    high: float
    verdict: str


def compare(
    values: Sequence[float] | np.ndarray, printed: tuple[float, float] | None, band: float
) -> Comparison:
    """Compare trials with a printed mean and sd.

    Args:
        values: one a trial.
        printed: mean and sd over five trials, divided by five: the sd of a sample is larger by
            sqrt(5/4), and rounding to three digits hides up to 0.0005. None: nothing is printed.
        band: how far the difference may be from 0 to agree.

    Returns:
        The difference agrees if its 90 % interval lies within +-`band`, and differs if the interval
        lies outside altogether. The former is the test of equivalence by two one-sided tests at 5 %
        each (TOST; Schuirmann, J Pharmacokinet Biopharm 15: 657, 1987).
    """
    n = len(values)
    mean = float(np.mean(values)) if n else math.nan
    sd = float(np.std(values, ddof=1)) if n > 1 else math.nan
    if printed is None:
        return Comparison(n, mean, sd, math.nan, math.nan, math.nan, "" if n else "no runs")
    difference = mean - printed[0]
    if n < 2:
        verdict = f"cannot tell (n = {n})" if n else "no runs"
        return Comparison(n, mean, sd, difference, math.nan, math.nan, verdict)
    theirs = printed_sd(printed)
    half = welch_half_width(sd, n, theirs, TRIALS, LEVEL)
    low, high = difference - half, difference + half
    if -band <= low and high <= band:
        verdict = "agrees"
    elif low > band or high < -band:
        verdict = "differs"
    else:
        verdict = f"cannot tell (n = {n})"
    return Comparison(n, mean, sd, difference, low, high, verdict)


def printed_sd(printed: tuple[float, float]) -> float:
    """Return the standard deviation (n - 1) of a printed cell, see `compare`."""
    return max(printed[1] * math.sqrt(TRIALS / (TRIALS - 1)), LOWEST_SD)


def welch(sd1: float, n1: int, sd2: float, n2: int) -> tuple[float, float]:
    """Return standard error and degrees of freedom of a difference of two means.

    Source: Welch, Biometrika 34:28, 1947; degrees of freedom after Satterthwaite.
    """
    one, two = sd1**2 / n1, sd2**2 / n2
    freedom = (one + two) ** 2 / (one**2 / (n1 - 1) + two**2 / (n2 - 1))
    return math.sqrt(one + two), freedom


def welch_half_width(sd1: float, n1: int, sd2: float, n2: int, level: float) -> float:
    """Return half the width of the interval of a difference of two means, variances unequal."""
    error, freedom = welch(sd1, n1, sd2, n2)
    return float(stats.t.ppf((1 + level) / 2, freedom) * error)


def joint(cells: Sequence[tuple[Sequence[float], tuple[float, float]]]) -> Joint:
    """Test whether ours lie higher or lower than what is printed, over all cells together.

    Args:
        cells: our trials (two at least) and the printed mean and sd.

    Returns:
        Each cell's difference becomes a standard normal value by its Welch t test; these are summed
        and divided by the root of their number (Stouffer, The American Soldier, 1949).
    """
    scores = []
    positive = negative = 0
    for values, printed in cells:
        difference = float(np.mean(values)) - printed[0]
        sd = max(float(np.std(values, ddof=1)), LOWEST_SD)
        error, freedom = welch(sd, len(values), printed_sd(printed), TRIALS)
        scores.append(float(stats.norm.isf(stats.t.sf(difference / error, freedom))))
        positive += difference > TINY
        negative += difference < -TINY
    z = sum(scores) / math.sqrt(len(scores)) if scores else math.nan
    return Joint(len(scores), positive, negative, z, 2 * float(stats.norm.sf(abs(z))))


def band_of(metric: str) -> float:
    """Return how far a metric may be from the printed one and still agree."""
    return BANDS["match" if "/match_" in metric else metric]


def p_text(p: float) -> str:
    """Return a p-value as tables show it."""
    return "—" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
