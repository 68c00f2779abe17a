"""Comparisons of our trials with published numbers."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from mlproject.report.measure import Measure, measure
from mlproject.report.published import TRIALS

LEVEL = 0.90
LOWEST_SD = 0.0005
OF_MEDIAN = math.sqrt(math.pi / 2)  # standard error of a median, in units of that of a mean
TINY = 1e-9
ONE_DATA_SET = (
    "All trials share one data set: standard deviations and intervals are over initial weights, "
    "dropout and the order of the batches, not over other sequences."
)
BANDS = {"test_auroc": 0.01, "test_aupr": 0.01, "match": 0.10}


class Joint(NamedTuple):
    """A test over many cells.

    Attributes:
        cells: number of cells.
        positive: number of cells in which our mean is higher.
        negative: number of cells in which it is lower.
        z: Stouffer's z, NaN without cells.
        p: two-sided.
    """

    cells: int
    positive: int
    negative: int
    z: float
    p: float


def compare(
    values: Sequence[float] | np.ndarray,
    printed: tuple[float, float] | None,
    band: float,
    *,
    trials: int = TRIALS,
    reading: float = 0.0,
    median: bool = False,
    lowest_sd: float = 0.0,
) -> Measure:
    """Compare trials with a published mean and standard deviation, or with a published median.

    Args:
        values: one a trial.
        printed: mean and standard deviation over `trials` trials. The papers divide by their
            number n: the standard deviation of a sample is larger by sqrt(n / (n - 1)), and
            rounding to three digits hides up to 0.0005. A standard deviation of NaN is unknown:
            the interval is then that of our trials. None: nothing is published.
        band: the largest absolute difference that counts as agreement.
        trials: number of published trials.
        reading: error with which the mean was read off a figure; it widens the interval.
        median: whether ours and the published number are medians. The standard error is then that
            of a median of many normal values, which is too large rather than too small for few.
        lowest_sd: our standard deviation counts as at least this, see `rounded_sd`.

    Returns:
        The verdict is ``agrees`` if the 90 % interval of the difference lies within +-`band`: the
        test of equivalence by two one-sided tests at 5 % each (TOST; Schuirmann, J Pharmacokinet
        Biopharm 15: 657, 1987). It is ``differs`` if the interval lies outside the band.
    """
    ours = measure(values)
    n = ours.n
    if printed is None:
        return ours._replace(
            published=math.nan, published_sd=math.nan, difference=math.nan, low=math.nan,
            high=math.nan, verdict="" if n else "no runs",
        )  # fmt: skip
    middle = float(np.median(values)) if median and n else ours.mean
    difference = middle - printed[0]
    low = high = math.nan
    verdict = f"cannot tell (n = {n})" if n else "no runs"
    if n > 1 and ours.sd is not None:
        half = _half_width(max(ours.sd, lowest_sd), n, printed, trials)
        half = reading + half * (OF_MEDIAN if median else 1)
        low, high = difference - half, difference + half
        if -band <= low and high <= band:
            verdict = "agrees"
        elif low > band or high < -band:
            verdict = "differs"
    return ours._replace(
        mean=middle, published=printed[0], published_sd=printed[1], difference=difference, low=low,
        high=high, verdict=verdict,
    )  # fmt: skip


def _half_width(sd: float, n: int, printed: tuple[float, float], trials: int) -> float:
    if math.isnan(printed[1]):
        return float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * max(sd, LOWEST_SD) / math.sqrt(n)
    return welch_half_width(sd, n, printed_sd(printed, trials), trials, LEVEL)


def rounded_sd(step: float) -> float:
    """Return the standard deviation of the error of rounding to multiples of `step`."""
    return step / math.sqrt(12)


def printed_sd(printed: tuple[float, float], trials: int = TRIALS) -> float:
    """Return the standard deviation (n - 1) of a published cell, see `compare`."""
    return max(printed[1] * math.sqrt(trials / (trials - 1)), LOWEST_SD)


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
    """Test over all cells whether our means are higher or lower than the published ones.

    Args:
        cells: our trials (two at least) and the published mean and standard deviation.

    Returns:
        The difference of each cell becomes a standard normal value by its Welch t test. The sum of
        these values is divided by the root of their number (Stouffer, The American Soldier, 1949).
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
    """Return the largest absolute difference of a metric that counts as agreement."""
    return BANDS["match" if "/match_" in metric else metric]


def p_text(p: float) -> str:
    """Return a p-value as text."""
    return "—" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
