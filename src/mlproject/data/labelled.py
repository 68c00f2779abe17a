"""Distinct labelled sequences from files: equal ones are merged, with the labels of all."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlproject.data.fitting import Fit, fitted
from mlproject.data.header_places import place_of
from mlproject.data.sequence_files import SequenceRecord, read_sequences
from mlproject.data.sources import Files
from mlproject.data.split import WINDOW
from mlproject.sequence import AMBIGUOUS
from mlproject.system.errors import UserError
from mlproject.system.memory import Room

_complement = str.maketrans("ACGT", "TGCA")
_unknown = str.maketrans(dict.fromkeys(AMBIGUOUS, "N"))


class LabelledSequences(NamedTuple):
    """Distinct sequences of equal length. No sequence is the reverse complement of another.

    Attributes:
        sequences: letters A, C, G, T, and N for all other letters.
        labels: (n, classes) uint8.
        merged: number of sequences merged with an equal one.
        other_strand: number of those merged with their reverse complement.
        dropped: number of sequences left out because of their length.
        places: (n,) records of `mlproject.data.split.WINDOW`, where the headers say it.
    """

    sequences: list[str]
    labels: np.ndarray
    merged: int
    other_strand: int
    dropped: int
    places: np.ndarray


def collect(
    files: Files, negatives: Sequence[Path], length: int | None, fit: Fit, most: int | None
) -> LabelledSequences:
    """Read all sequences, give them equal lengths and merge equal ones, see `convert`.

    Sequences are compared as the network receives them: all ambiguous letters equal N.
    """
    known: dict[str, int] = {}
    sequences: list[str] = []
    places: list[np.ndarray] = []
    owners: list[tuple[int, int]] = []
    merged = other_strand = dropped = 0
    room = Room("sequences", "take fewer or shorter ones, or a smaller `length`")
    for column, name in [*enumerate(files), (-1, "")]:
        sources = files[name] if name else negatives
        taken = 0
        for record in _in_turn(sources) if most and name else _in_order(sources):
            if name and record.bound and most and taken >= most:
                continue
            length = length or len(record.sequence)
            room.require((len(sequences) + 1) * length)
            sequence = fitted(record, length, fit)
            if sequence is None:
                dropped += 1
                continue
            encoded = sequence.translate(_unknown)
            other = _other_strand(encoded)
            row = known.get(encoded, known.get(other))
            if row is None:
                sequences.append(encoded)
                places.append(place_of(record, length))
                row = known[encoded] = len(known)
            else:
                merged += 1
                other_strand += encoded not in known
            if name and record.bound:
                owners.append((row, column))
                taken += 1
        if name and not taken:
            paths = ", ".join(map(str, sources))
            raise UserError(f"class {name} has no sequence: {paths} have none of {length} nt")
    labels = np.zeros((len(sequences), len(files)), np.uint8)
    if owners:
        labels[tuple(np.array(owners).T)] = 1
    where = np.array(places, WINDOW)
    return LabelledSequences(sequences, labels, merged, other_strand, dropped, where)


def _in_order(paths: Sequence[Path]) -> Iterator[SequenceRecord]:
    return chain.from_iterable(map(read_sequences, paths))


def _in_turn(paths: Sequence[Path]) -> Iterator[SequenceRecord]:
    """Yield the first sequence of each file, then the second of each, and so on."""
    for group in zip_longest(*map(read_sequences, paths)):
        yield from (record for record in group if record is not None)


def without(found: LabelledSequences, other: LabelledSequences) -> LabelledSequences:
    """Return `found` without the sequences that `other` has, on either strand."""
    known = {*other.sequences, *(_other_strand(one) for one in other.sequences)}
    kept = [row for row, one in enumerate(found.sequences) if one not in known]
    return found._replace(
        sequences=[found.sequences[row] for row in kept],
        labels=found.labels[kept],
        places=found.places[kept],
    )


def _other_strand(sequence: str) -> str:
    return sequence.translate(_complement)[::-1]
