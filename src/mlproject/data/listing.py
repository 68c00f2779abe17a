"""The contents of a data set by class, like the paper's S1 Table."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from mlproject.data.dataset import Dataset
from mlproject.data.repeats import Repeats, repeats, same_sequences
from mlproject.data.split import SPLITS, blocks
from mlproject.fields import VALUES


class ClassCounts(NamedTuple):
    """The counts of one class.

    Attributes:
        name: the class.
        relevant: ids of its motifs, () if none is known.
        positives: number of sequences with label 1 in train, valid and test; () for an output
            that is a number.
        sources: files of its sequences, () if unknown.
        values: mean and standard deviation in train, valid and test, of an output.
    """

    name: str
    relevant: tuple[str, ...]
    positives: tuple[int, ...]
    sources: tuple[str, ...]
    values: tuple[tuple[float, float], ...] = ()


class Listing(NamedTuple):
    """The counts of a data set.

    Attributes:
        rows: one per class.
        counts: number of sequences in train, valid and test.
        unlabelled: number of sequences without any label in train, valid and test.
        length: nt per sequence.
        sha256: hash of the content.
        repeats: numbers of sequences that are there more than once.
        same: pairs of classes that have the same sequences.
    """

    rows: tuple[ClassCounts, ...]
    counts: tuple[int, ...]
    unlabelled: tuple[int, ...]
    length: int
    sha256: str
    repeats: Repeats
    same: tuple[tuple[str, str], ...] = ()


def listing(dataset: Dataset) -> Listing:
    """Count the labels of a data set, block by block; describe those that are numbers."""
    if dataset.task in VALUES:
        return _listing_of_values(dataset)
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
        repeats(dataset),
        tuple(same_sequences(dataset)),
    )


def _listing_of_values(dataset: Dataset) -> Listing:
    labels = [np.asarray(split.labels, np.float64) for split in dataset.splits.values()]
    sources = _sources(dataset.provenance)
    rows = [
        ClassCounts(
            name,
            tuple(dataset.relevant.get(name, ())),
            (),
            sources.get(name, ()),
            tuple((float(one[:, column].mean()), float(one[:, column].std())) for one in labels),
        )
        for column, name in enumerate(dataset.classes)
    ]
    counts = tuple(len(one) for one in labels)
    none = (0,) * len(SPLITS)
    return Listing(tuple(rows), counts, none, dataset.length, dataset.sha256, repeats(dataset))


def alike(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of class names that differ only in case, punctuation or two swapped letters."""

    def plain(name: str) -> str:
        return "".join(one for one in name.casefold() if one.isalnum())

    def swapped(one: str, other: str) -> bool:
        differ = [
            place for place, pair in enumerate(zip(one, other, strict=False)) if len(set(pair)) > 1
        ]
        if len(one) != len(other) or len(differ) != 2 or differ[1] != differ[0] + 1:
            return False
        first, second = differ
        return one[first] == other[second] and one[second] == other[first]

    return [
        (one, other)
        for one, other in combinations(names, 2)
        if plain(one) == plain(other) or swapped(plain(one), plain(other))
    ]


def _sources(provenance: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    found = provenance.get("files", {})
    if not isinstance(found, dict):
        return {}
    return {
        name: tuple(map(str, files)) for name, files in found.items() if isinstance(files, list)
    }


def format_listing(found: Listing) -> str:
    """Return a listing as tab-separated lines under a header, then the hash."""
    lines: list[tuple[str, ...]] = [
        ("output" if found.rows[0].values else "class", "relevant", *SPLITS, "files")
    ]
    for row in found.rows:
        counts = [str(one) for one in row.positives]
        counts += [f"{mean:.3g} ± {sd:.3g}" for mean, sd in row.values]
        lines.append((row.name, " ".join(row.relevant) or "-", *counts, _names(row.sources)))
    if any(found.unlabelled):
        lines.append(("(no class)", "-", *map(str, found.unlabelled), "-"))
    lines.append(("(sequences)", "-", *map(str, found.counts), f"{found.length} nt"))
    text = "\n".join("\t".join(line) for line in lines)
    return f"{text}\nsha256 {found.sha256}"


def _names(paths: Sequence[str]) -> str:
    return " ".join(path.replace("\\", "/").rpartition("/")[2] for path in paths) or "-"
