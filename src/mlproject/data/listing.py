"""The contents of a data set by class, like the paper's S1 Table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlproject.data.dataset import SPLITS, Dataset, blocks


class ClassCounts(NamedTuple):
    """The counts of one class.

    Attributes:
        name: the class.
        relevant: ids of its motifs, () if none is known.
        positives: number of sequences with label 1 in train, valid and test.
        sources: files of its sequences, () if unknown.
    """

    name: str
    relevant: tuple[str, ...]
    positives: tuple[int, ...]
    sources: tuple[str, ...]


class Listing(NamedTuple):
    """The counts of a data set.

    Attributes:
        rows: one per class.
        counts: number of sequences in train, valid and test.
        unlabelled: number of sequences without any label in train, valid and test.
        length: nt per sequence.
        sha256: hash of the content.
    """

    rows: tuple[ClassCounts, ...]
    counts: tuple[int, ...]
    unlabelled: tuple[int, ...]
    length: int
    sha256: str


def listing(dataset: Dataset) -> Listing:
    """Count the labels of a data set, block by block."""
    positives, unlabelled = {}, {}
    for name, split in dataset.splits.items():
        positives[name] = np.zeros(len(dataset.classes), np.int64)
        unlabelled[name] = 0
        for block in blocks(split.labels):
            positives[name] += block.sum(axis=0, dtype=np.int64)
            unlabelled[name] += int((block.max(axis=1) == 0).sum())
    sources = _sources(dataset.provenance)
    rows = [
        ClassCounts(
            name,
            tuple(dataset.relevant.get(name, ())),
            tuple(int(positives[split][column]) for split in SPLITS),
            sources.get(name, ()),
        )
        for column, name in enumerate(dataset.classes)
    ]
    counts = tuple(len(dataset.splits[split].codes) for split in SPLITS)
    return Listing(
        tuple(rows),
        counts,
        tuple(unlabelled[split] for split in SPLITS),
        dataset.length,
        dataset.sha256,
    )


def _sources(provenance: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    found = provenance.get("files", {})
    if not isinstance(found, dict):
        return {}
    return {
        name: tuple(map(str, files)) for name, files in found.items() if isinstance(files, list)
    }


def format_listing(found: Listing) -> str:
    """Return a listing as tab-separated lines under a header, then the hash."""
    lines: list[tuple[str, ...]] = [("class", "relevant", *SPLITS, "files")]
    for row in found.rows:
        counts = map(str, row.positives)
        lines.append((row.name, " ".join(row.relevant) or "-", *counts, _names(row.sources)))
    if any(found.unlabelled):
        lines.append(("(no class)", "-", *map(str, found.unlabelled), "-"))
    lines.append(("(sequences)", "-", *map(str, found.counts), f"{found.length} nt"))
    text = "\n".join("\t".join(line) for line in lines)
    return f"{text}\nsha256 {found.sha256}"


def _names(paths: Sequence[str]) -> str:
    return " ".join(path.replace("\\", "/").rpartition("/")[2] for path in paths) or "-"
