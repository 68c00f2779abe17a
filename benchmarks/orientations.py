"""What a factor's AUROC loses where first-layer filters hold its motif in no, one or both turns.

``python benchmarks/orientations.py docs/reproduction``

Reads exported runs: networks of whole motifs (pool 10 to 100), protocol `released`. The loss is
the best AUROC that any run there has for the factor, less the run's.
"""

import csv
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from mlproject.data.paper import RELEVANT

NETWORKS = ("CNN-10", "CNN-25", "CNN-50", "CNN-100", "CNN9-25")


def rows(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reproduction")
    runs = rows(folder / "runs.csv")
    best = {name: max(float(run[f"test_auroc/{name}"]) for run in runs) for name in RELEVANT}
    losses: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        if run["arch"] not in NETWORKS or run["protocol"] != "released":
            continue
        place = folder / "runs" / run["spec_sha256"][:16] / "filters" / "conv1_matches.tsv"
        matches = [match for match in rows(place, "\t") if match.get("Orientation")]
        for name, ids in RELEVANT.items():
            turns = {one["Orientation"] for one in matches if one["Target_ID"].split(".")[0] in ids}
            losses[len(turns)].append(best[name] - float(run[f"test_auroc/{name}"]))
    print(f"{'turns of the motif in filters':<30} {'cases':>6} {'mean loss':>10} {'largest':>8}")
    for count, found in sorted(losses.items()):
        mean, largest = statistics.mean(found), max(found)
        print(f"{('none', 'one', 'both')[count]:<30} {len(found):>6} {mean:>10.3f} {largest:>8.3f}")


if __name__ == "__main__":
    main()
