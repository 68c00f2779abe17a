"""Predictions and attributions at the places of their windows in the genome: BED and bedGraph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlproject.attribution import Attributions

MOST_POSITIONS = 20_000_000


def write_predictions(
    path: Path, windows: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> None:
    """Write the windows of a split with their predictions, sorted, as BED6 and a column a class.

    Column 4 is the class with the highest prediction, column 5 that prediction times 1000, 0 to
    1000. Sequences without a place are left out.

    Args:
        path: the file.
        windows: records of `mlproject.data.dataset.WINDOW`.
        predicted: (windows, classes).
        classes: names of the columns.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        names = "\t".join(" ".join(name.split()) for name in classes)
        file.write(f"#chrom\tstart\tend\tname\tscore\tstrand\t{names}\n")
        for row in np.argsort(windows, order=["chrom", "start"], kind="stable"):
            chromosome, start, end, strand = _place(windows[row])
            if not chromosome:
                continue
            best = int(np.argmax(predicted[row]))
            score = round(1000 * min(max(float(predicted[row, best]), 0.0), 1.0))
            values = "\t".join(f"{value:.5g}" for value in predicted[row])
            name = classes[best].replace(" ", "_")
            file.write(f"{chromosome}\t{start}\t{end}\t{name}\t{score}\t{strand}\t{values}\n")


def write_contributions(
    path: Path, windows: np.ndarray, found: Attributions, classes: Sequence[str]
) -> None:
    """Write the contribution of each nucleotide as bedGraph, a track a class.

    Where windows overlap, a nucleotide has the mean of its contributions. Sequences without a
    place are left out.

    Args:
        path: the file.
        windows: records of `mlproject.data.dataset.WINDOW` of the split.
        found: attributions of some of its sequences.
        classes: names of the classes.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for target in np.unique(found.targets):
            rows = np.flatnonzero(found.targets == target)[: MOST_POSITIONS // found.codes.shape[1]]
            sums: dict[str, dict[int, list[float]]] = {}
            importance = found.importance
            for row in rows:
                chromosome, start, _, strand = _place(windows[found.sequences[row]])
                if chromosome:
                    own = sums.setdefault(chromosome, {})
                    values = importance[row, :: -1 if strand == "-" else 1].tolist()
                    for offset, value in enumerate(values):
                        own.setdefault(start + offset, []).append(value)
            if sums:
                name = f"{found.method} {classes[target]}".replace('"', "")
                file.write(f'track type=bedGraph name="{name}"\n')
            for chromosome in sorted(sums):
                for position, every in sorted(sums[chromosome].items()):
                    mean = sum(every) / len(every)
                    file.write(f"{chromosome}\t{position}\t{position + 1}\t{mean:.5g}\n")


def _place(window: np.void) -> tuple[str, int, int, str]:
    strand = window["strand"].decode() or "."
    return window["chrom"].decode(), int(window["start"]), int(window["end"]), strand
