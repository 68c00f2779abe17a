"""CPU seconds of Tomtom against JASPAR 2016: ``python benchmarks/tomtom.py``.

Queries are noisy windows of JASPAR motifs, as wide as clipped filters are (7 to 19 columns).
"""

import os
import statistics

import numpy as np

from mlproject.motifs.databases import jaspar
from mlproject.motifs.pwm import Motif
from mlproject.motifs.tomtom import tomtom

REPEATS = 7
LIMIT = "3 s for 30 filters"


def filters(count: int) -> list[Motif]:
    """Return `count` made-up filters: JASPAR motifs mixed with noise, cut or filled up."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        motif = jaspar()[rng.integers(len(jaspar()))]
        width = int(rng.integers(7, 20))
        pwm = rng.dirichlet(np.ones(4) * 5, size=width)
        shared = min(width, motif.width)
        pwm[:shared] = 0.8 * motif.pwm[:shared] + 0.2 * pwm[:shared]
        made.append(Motif(f"filter{number}", "", pwm, float(width)))
    return made


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def measure(count: int) -> str:
    """Return one row of the table."""
    queries = filters(count)
    seconds = []
    for _ in range(REPEATS):
        start = cpu_seconds()
        matches = tomtom(queries, jaspar())
        seconds.append(cpu_seconds() - start)
    matched = len({match.query_id for match in matches})
    columns = sum(query.width for query in queries)
    return f"{count:>7} {columns:>8} {statistics.median(seconds):>11.2f} {matched:>8}"


if __name__ == "__main__":
    tomtom(filters(1), jaspar())
    print(f"limit: {LIMIT}; CPU seconds: median of {REPEATS}, imports and JASPAR already loaded")
    print(f"{'filters':>7} {'columns':>8} {'CPU seconds':>11} {'matched':>8}")
    print(measure(30))
    print(measure(128))
