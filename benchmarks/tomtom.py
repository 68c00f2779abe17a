"""CPU seconds of Tomtom: ``python benchmarks/tomtom.py``.

With ``--filters 1024 --motifs jaspar2026_all --repeats 1``: many filters against a large database.
Queries are noisy windows of JASPAR motifs, as wide as clipped filters are (7 to 19 columns).
"""

import argparse
import os
import statistics

import numpy as np
from arguments import at_least

from mlproject.motifs.databases import databases, jaspar
from mlproject.motifs.pwm import Motif
from mlproject.motifs.tomtom import tomtom
from mlproject.system.errors import UserError

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


def measure(count: int, targets: tuple[Motif, ...], repeats: int) -> str:
    """Return one row of the table."""
    queries = filters(count)
    seconds = []
    for _ in range(repeats):
        start = cpu_seconds()
        matches = tomtom(queries, targets)
        seconds.append(cpu_seconds() - start)
    matched = len({match.query_id for match in matches})
    columns = sum(query.width for query in queries)
    return f"{count:>7} {columns:>8} {statistics.median(seconds):>11.2f} {matched:>8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--filters", type=at_least(1), nargs="+", default=[30, 128])
    parser.add_argument("--motifs", default="jaspar2016", help="as `train --motifs`")
    parser.add_argument("--repeats", type=at_least(1), default=7)
    options = parser.parse_args()
    try:
        targets = databases(options.motifs)
    except UserError as error:
        parser.error(f"argument --motifs: {error}")
    tomtom(filters(1), targets)
    print(f"{len(targets):,} motifs of {options.motifs}; limit: {LIMIT}, JASPAR 2016")
    print(f"CPU seconds: median of {options.repeats}, imports and motifs already loaded")
    print(f"{'filters':>7} {'columns':>8} {'CPU seconds':>11} {'matched':>8}")
    for count in options.filters:
        print(measure(count, targets, options.repeats))


if __name__ == "__main__":
    main()
