"""What a data set holds, class by class, as the paper's S1 Table lists it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlproject.data.dataset import SPLITS, Dataset, blocks


class Row(NamedTuple):
    """One class.

    Attributes:
        name: the class.
        relevant: ids of its motifs, () if none is known.
        positives: for train, valid and test, sequences with label 1.
        sources: files that its sequences come from, () if unknown.
    """

    name: str
    relevant: tuple[str, ...]
    positives: tuple[int, ...]
    sources: tuple[str, ...]


class Listing(NamedTuple):
    """A data set.

    Attributes:
        rows: one a class.
        counts: for train, valid and test, sequences.
        unlabelled: for train, valid and test, sequences with no label at all.
        length: nt a sequence.
        sha256: hash of its content.
    """

    rows: tuple[Row, ...]
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
        Row(
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
