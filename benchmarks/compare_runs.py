"""Compare two sets of exported runs cell by cell: mean ± sd over the trials of each.

    git show e2894cf:docs/reproduction/runs.csv > old.csv
    python benchmarks/compare_runs.py old.csv docs/reproduction/koo_eddy_2019/runs.csv

Each file is the ``runs.csv`` that `python -m mlproject export` writes. Cells that are in one file
only, or have the same runs in both, are left out. Welch's t test compares the means; p is not
corrected.
"""

import argparse
import math

import pandas
from arguments import existing
from scipy import stats

METRICS = ("test_auroc", "conv1/match_relevant")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("old", type=existing)
    parser.add_argument("new", type=existing)
    options = parser.parse_args()
    old, new = (pandas.read_csv(path) for path in (options.old, options.new))
    old = old[~old["spec_sha256"].isin(new["spec_sha256"])]
    print("| network | protocol | n | AUROC before | AUROC | p | relevant before | relevant | p |")
    print("|---|---|---|---|---|---|---|---|---|")
    cells = {
        name: dict([*frame.groupby(["arch", "protocol"])])
        for name, frame in (("old", old), ("new", new))
    }
    for key in sorted(cells["old"].keys() & cells["new"].keys()):
        before, after = cells["old"][key], cells["new"][key]
        parts = []
        for metric in METRICS:
            one, two = before[metric].dropna(), after[metric].dropna()
            p = (
                stats.ttest_ind(one, two, equal_var=False).pvalue
                if len(one) > 1 < len(two)
                else float("nan")
            )
            parts += [f"{x.mean():.3f} ± {x.std():.3f}" for x in (one, two)]
            parts.append("—" if math.isnan(p) else f"{p:.2f}")
        print(f"| {key[0]} | {key[1]} | {len(before)}, {len(after)} | {' | '.join(parts)} |")


if __name__ == "__main__":
    main()
