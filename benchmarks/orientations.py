"""What a factor's AUROC loses where first-layer filters hold its motif in no, one or both turns.

``python benchmarks/orientations.py docs/reproduction/koo_eddy_2019``

Reads exported runs: networks of whole motifs (pool 10 to 100), protocol `released`. The loss is
the best AUROC that any run there has for the factor, less the run's. A palindromic motif has one
turn only and is left out: one that correlates with its own reverse complement by 0.85 or more.
"""

import argparse
import csv
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
from arguments import existing

from mlproject.data.paper import FACTORS, RELEVANT
from mlproject.motifs.databases import jaspar_by_id
from mlproject.motifs.pwm import reverse_complement

PALINDROME = 0.85
NETWORKS = ("CNN-10", "CNN-25", "CNN-50", "CNN-100", "CNN9-25")


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def own_turns() -> dict[str, float]:
    """Return how each planted motif correlates with its reverse complement."""
    motifs = jaspar_by_id([factor.jaspar_id for factor in FACTORS])
    return {
        factor.name: float(
            np.corrcoef(motif.pwm.ravel(), reverse_complement(motif.pwm).ravel())[0, 1]
        )
        for factor, motif in zip(FACTORS, motifs, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    paper = "docs/reproduction/koo_eddy_2019"
    parser.add_argument("folder", nargs="?", type=existing, default=paper)
    folder = parser.parse_args().folder
    runs = rows(folder / "runs.csv")
    best = {name: max(float(run[f"test_auroc/{name}"]) for run in runs) for name in RELEVANT}
    similar = own_turns()
    palindromes = [name for name, value in similar.items() if value >= PALINDROME]
    losses: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        if run["arch"] not in NETWORKS or run["protocol"] != "released":
            continue
        place = folder / "runs" / run["spec_sha256"][:16] / "filters" / "conv1_matches.tsv"
        matches = [match for match in rows(place, "\t") if match.get("Orientation")]
        for name, ids in RELEVANT.items():
            if name in palindromes:
                continue
            turns = {one["Orientation"] for one in matches if one["Target_ID"].split(".")[0] in ids}
            losses[len(turns)].append(best[name] - float(run[f"test_auroc/{name}"]))
    left_out = ", ".join(f"{name} {similar[name]:.2f}" for name in palindromes)
    print(f"left out, palindromes (correlation with the reverse complement): {left_out}")
    print(f"{'turns of the motif in filters':<30} {'cases':>6} {'mean loss':>10} {'largest':>8}")
    for count, found in sorted(losses.items()):
        mean, largest = statistics.mean(found), max(found)
        print(f"{('none', 'one', 'both')[count]:<30} {len(found):>6} {mean:>10.3f} {largest:>8.3f}")


if __name__ == "__main__":
    main()
