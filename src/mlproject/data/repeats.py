"""Sequences that a data set has more than once, and classes that have the same sequences."""

from typing import NamedTuple

import numpy as np

from mlproject.data.dataset import Dataset
from mlproject.data.split import Split, blocks
from mlproject.fields import VALUES
from mlproject.sequence import reverse_complement


class Repeats(NamedTuple):
    """Numbers of distinct sequences; a sequence and its reverse complement are one.

    Attributes:
        shared: those of a split that are in an earlier one too. The order is train, valid, test.
        conflicting: those that a split has several times, with other labels; 0 for numbers.
    """

    shared: int
    conflicting: int


def repeats(dataset: Dataset) -> Repeats:
    """Count the sequences that a data set has more than once, block by block."""
    earlier = np.zeros(0, np.int64)
    shared = conflicting = 0
    for split in dataset.splits.values():
        own, labelled = _hashes(split)
        shared += len(np.intersect1d(own, earlier, assume_unique=True))
        if dataset.task not in VALUES:
            conflicting += len(labelled) - len(own)
        earlier = np.union1d(earlier, own)
    return Repeats(shared, conflicting)


def _hashes(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct hashes of sequences, and of sequences with their labels."""
    own, labelled = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for block, labels in zip(blocks(split.codes), blocks(split.labels), strict=True):
        other = reverse_complement(block)
        first = (block != other).argmax(axis=1)
        rows = np.arange(len(block))
        turned = other[rows, first] < block[rows, first]
        texts = [row.tobytes() for row in np.where(turned[:, None], other, block)]
        own.append(np.array([hash(text) for text in texts], np.int64))
        pairs = zip(texts, labels, strict=True)
        labelled.append(np.array([hash(text + one.tobytes()) for text, one in pairs], np.int64))
    return np.unique(np.concatenate(own)), np.unique(np.concatenate(labelled))


def same_sequences(dataset: Dataset) -> list[tuple[str, str]]:
    """Return pairs of classes that have the same sequences, one or more, in all splits."""
    if dataset.task in VALUES:
        return []
    rng = np.random.default_rng(0)
    sums = np.zeros(len(dataset.classes), np.uint64)
    for split in dataset.splits.values():
        for block in blocks(split.labels):
            weights = rng.integers(2**64, size=len(block), dtype=np.uint64)
            sums += weights @ block.astype(np.uint64)
    first: dict[int, str] = {}
    found = []
    for name, total in zip(dataset.classes, sums.tolist(), strict=True):
        if total and (other := first.setdefault(total, name)) != name:
            found.append((other, name))
    return found
