"""A data set from files of sequences, one or several per class, with a random split."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from mlproject.data.dataset import SPLITS, blocks
from mlproject.data.layout import new_dataset_file
from mlproject.data.listing import Listing
from mlproject.data.sequence_files import SequenceRecord, read_sequences
from mlproject.data.sources import Files
from mlproject.names import check_classes
from mlproject.sequence import AMBIGUOUS, encode
from mlproject.system.errors import UserError

Fit = Literal["exact", "centre", "drop"]
FITS: tuple[Fit, ...] = ("exact", "centre", "drop")

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
    """

    sequences: list[str]
    labels: np.ndarray
    merged: int
    other_strand: int
    dropped: int


def convert(
    files: Files,
    negatives: Sequence[Path],
    out: Path,
    *,
    relevant: dict[str, tuple[str, ...]],
    length: int | None = None,
    fit: Fit = "exact",
    most: int | None = None,
    valid: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> tuple[Listing, LabelledSequences]:
    """Write a data set of the sequences of files.

    Equal sequences and reverse complements are merged into one sequence with all their labels, so
    that no sequence is in two splits. Sequences that overlap or lie close in the genome may be in
    two splits, because files of sequences have no coordinates.

    Args:
        files: class -> files, see `mlproject.data.sequence_files`. A sequence that its file calls
            not bound gets no class.
        negatives: files of sequences without a class.
        out: the file to write.
        relevant: class -> JASPAR ids.
        length: nt per sequence. None: the length of the first sequence.
        fit: treatment of sequences of another length. ``exact``: an error. ``centre``: longer ones
            are cut around their centre, shorter ones padded with N on both sides. ``drop``: they
            are left out.
        most: sequences per class, taken from its files in turn. None: all.
        valid: share of the validation split.
        test: share of the test split.
        seed: seed of the random split.

    Raises:
        UserError: files of another format, a class or a split without sequences.
    """
    check_classes(list(files))
    if fit not in FITS:
        raise UserError(f"`fit` must be {', '.join(FITS)}: got {fit!r}")
    if not (0 < valid < 1 and 0 < test < 1 and valid + test < 1):
        raise UserError(
            f"`valid` and `test` must be shares above 0, together below 1: got {valid} and {test}"
        )
    found = collect(files, negatives, length, fit, most)
    order = np.random.default_rng(seed).permutation(len(found.sequences))
    counts = {"valid": round(valid * len(order)), "test": round(test * len(order))}
    counts["train"] = len(order) - sum(counts.values())
    provenance = {
        "source": "fasta",
        "files": {name: [str(path) for path in paths] for name, paths in files.items()},
        "negatives": [str(path) for path in negatives],
        "fit": fit,
        "most": most,
        "shares": {"valid": valid, "test": test},
        "seed": seed,
        "merged": found.merged,
        "dropped": found.dropped,
    }
    width = len(found.sequences[0])
    with new_dataset_file(out, width, counts, list(files), relevant, provenance) as target:
        start = 0
        for name in SPLITS:
            rows = np.sort(order[start : start + counts[name]])
            start += counts[name]
            done = 0
            for block in blocks(rows):
                stop = done + len(block)
                codes = encode([found.sequences[row] for row in block])
                target.splits[name].codes[done:stop] = codes
                target.splits[name].labels[done:stop] = found.labels[block]
                done = stop
    assert target.listing is not None
    return target.listing, found


def collect(
    files: Files, negatives: Sequence[Path], length: int | None, fit: Fit, most: int | None
) -> LabelledSequences:
    """Read all sequences, give them equal lengths and merge equal ones, see `convert`.

    Sequences are compared as the network receives them: all ambiguous letters equal N.
    """
    known: dict[str, int] = {}
    sequences: list[str] = []
    owners: list[tuple[int, int]] = []
    merged = other_strand = dropped = 0
    for column, name in [*enumerate(files), (-1, "")]:
        sources = files[name] if name else negatives
        taken = 0
        for record in _in_turn(sources) if most and name else _in_order(sources):
            if name and record.bound and most and taken >= most:
                continue
            length = length or len(record.sequence)
            sequence = _fitted(record, length, fit)
            if sequence is None:
                dropped += 1
                continue
            encoded = sequence.translate(_unknown)
            other = encoded.translate(_complement)[::-1]
            row = known.get(encoded, known.get(other))
            if row is None:
                sequences.append(encoded)
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
    return LabelledSequences(sequences, labels, merged, other_strand, dropped)


def _in_order(paths: Sequence[Path]) -> Iterator[SequenceRecord]:
    return chain.from_iterable(map(read_sequences, paths))


def _in_turn(paths: Sequence[Path]) -> Iterator[SequenceRecord]:
    """Yield the first sequence of each file, then the second of each, and so on."""
    for group in zip_longest(*map(read_sequences, paths)):
        yield from (record for record in group if record is not None)


def _fitted(record: SequenceRecord, length: int, fit: Fit) -> str | None:
    surplus = len(record.sequence) - length
    if not surplus:
        return record.sequence
    if fit == "drop":
        return None
    if fit == "exact":
        raise UserError(
            f"{record.path}, line {record.line}: sequences must be equally long, {length} nt: got "
            f"{len(record.sequence)} nt; fit=centre cuts and pads, fit=drop leaves it out"
        )
    if surplus > 0:
        return record.sequence[surplus // 2 : surplus // 2 + length]
    return ("N" * (-surplus // 2) + record.sequence).ljust(length, "N")
