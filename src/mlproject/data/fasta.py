"""A data set from files of sequences, one or several per class, with a random split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlproject.data.fitting import FITS, Fit
from mlproject.data.labelled import LabelledSequences, collect, without
from mlproject.data.listing import Listing
from mlproject.data.sources import Files
from mlproject.data.split import SPLITS
from mlproject.data.writing import new_dataset_file
from mlproject.names import check_classes
from mlproject.sequence import encode, shuffle_dinucleotides
from mlproject.system.errors import UserError, nearest
from mlproject.system.progress import watched


class TestFiles(NamedTuple):
    """Files whose sequences make the test split.

    Attributes:
        files: class -> files.
        negatives: files of sequences without a class.
    """

    files: Files
    negatives: Sequence[Path] = ()


class ConvertedSequences(NamedTuple):
    """The result of `convert`.

    Attributes:
        listing: listing of the new data set.
        found: the sequences for training and validation, and for the test if it is a random share.
        common: number of sequences left out of these because the test files have them.
    """

    listing: Listing
    found: LabelledSequences
    common: int


class _Rows(NamedTuple):
    """The rows of a split: codes, labels, and records of `WINDOW`."""

    codes: np.ndarray
    labels: np.ndarray
    places: np.ndarray


class _Part(NamedTuple):
    """Sequences and labels that go to some splits: name of the split -> share."""

    found: LabelledSequences
    shares: Mapping[str, float]


def convert(
    files: Files,
    negatives: Sequence[Path],
    out: Path,
    *,
    shuffled: bool = False,
    tested: TestFiles | None = None,
    relevant: dict[str, tuple[str, ...]],
    length: int | None = None,
    fit: Fit = "exact",
    most: int | None = None,
    valid: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
) -> ConvertedSequences:
    """Write a data set of the sequences of files.

    Equal sequences and reverse complements are merged into one sequence with all their labels, so
    that no sequence is in two splits. Sequences that overlap or lie close in the genome may be in
    two splits. Where headers name places, the data set keeps them, see
    `mlproject.data.header_places`.

    Args:
        files: class -> files, see `mlproject.data.sequence_files`. A sequence that its file calls
            not bound gets no class.
        negatives: files of sequences without a class.
        out: the file to write.
        shuffled: add a copy of each sequence of a class with shuffled dinucleotides and without a
            class. It is in the split of its original.
        tested: files of the test split. Their sequences are left out of the other splits. None: a
            random share is for testing.
        relevant: class -> JASPAR ids.
        length: nt per sequence. None: the length of the first sequence.
        fit: treatment of sequences of another length. ``exact``: an error. ``centre``: longer ones
            are cut around their centre, shorter ones padded with N on both sides. ``drop``: they
            are left out.
        most: sequences per class, taken from its files in turn. None: all.
        valid: share of the validation split.
        test: share of the test split; not used with `tested`.
        seed: seed of the random split and of the shuffled copies.

    Raises:
        UserError: files of another format, a class or a split without sequences, `shuffled`
            together with `negatives`, `negatives` without those of `tested`.
    """
    check_classes(list(files))
    if shuffled and negatives:
        raise UserError("`negatives` are files, or shuffle: got both")
    if tested and negatives and not tested.negatives:
        raise UserError(
            "`test_negatives` must be given with `negatives` and `test_files`: the test needs "
            "sequences without a class too; or negatives=shuffle makes them"
        )
    if fit not in FITS:
        raise UserError(f"`fit` must be {', '.join(FITS)}: got {fit!r}")
    if not (0 < valid < 1 and 0 < test < 1 and valid + test < 1):
        raise UserError(
            f"`valid` and `test` must be shares above 0, together below 1: got {valid} and {test}"
        )
    found = collect(files, negatives, length, fit, most)
    width = len(found.sequences[0])
    parts = [_Part(found, {"valid": valid, "test": test})]
    common = 0
    if tested:
        held_out = _collect_test(files, tested, width, fit)
        rest = without(found, held_out)
        common = len(found.sequences) - len(rest.sequences)
        found = rest
        parts = [_Part(rest, {"valid": valid}), _Part(held_out, {"test": 1.0})]
    rng = np.random.default_rng(seed)
    rows = _split_rows(parts, rng, shuffled)
    provenance = {
        "source": "fasta",
        "files": {name: [str(path) for path in paths] for name, paths in files.items()},
        "negatives": "shuffle" if shuffled else [str(path) for path in negatives],
        "fit": fit,
        "most": most,
        "shares": {"valid": valid} if tested else {"valid": valid, "test": test},
        "seed": seed,
        "merged": found.merged,
        "dropped": found.dropped,
    }
    if tested:
        provenance["test_files"] = {
            name: [str(path) for path in paths] for name, paths in tested.files.items()
        }
        provenance["left_out"] = common
    counts = {name: len(own.codes) for name, own in rows.items()}
    with new_dataset_file(out, width, counts, list(files), relevant, provenance) as target:
        for name, own in rows.items():
            target.splits[name].codes[:] = own.codes
            target.splits[name].labels[:] = own.labels
            if (own.places["chrom"] != b"").any():
                target.windows[name] = own.places
    assert target.listing is not None
    return ConvertedSequences(target.listing, found, common)


def _collect_test(files: Files, tested: TestFiles, length: int, fit: Fit) -> LabelledSequences:
    """Return the sequences of the test files, with labels for all classes of `files`.

    Raises:
        UserError: a class of the test files is unknown or has no sequence.
    """
    for name in tested.files:
        if name not in files:
            raise UserError(
                f"`test_files` must name classes of `files`: got {name!r}; {nearest(name, files)}"
            )
    found = collect(tested.files, tested.negatives, length, fit, None)
    labels = np.zeros((len(found.sequences), len(files)), np.uint8)
    columns = [list(files).index(name) for name in tested.files]
    labels[:, columns] = found.labels
    return found._replace(labels=labels)


def _split_rows(
    parts: Sequence[_Part], rng: np.random.Generator, shuffled: bool
) -> dict[str, _Rows]:
    """Return the rows of each split; without a share, sequences are for training."""
    rows: dict[str, _Rows] = {}
    for found, shares in parts:
        order = rng.permutation(len(found.sequences))
        counts = {name: round(share * len(order)) for name, share in shares.items()}
        if sum(shares.values()) < 1:
            counts["train"] = len(order) - sum(counts.values())
        start = 0
        for name in (name for name in SPLITS if name in counts):
            own = order[start : start + counts[name]]  # mixed, as files hold a class after another
            start += counts[name]
            codes = encode([found.sequences[row] for row in own])
            rows[name] = _Rows(codes, found.labels[own], found.places[own])
    if shuffled:
        rows = {name: _with_shuffled(rows[name], rng) for name in SPLITS if name in rows}
    for name in SPLITS:
        if name not in rows or not len(rows[name].codes):
            raise UserError(f"every split needs sequences: got none for {name}; give more")
    return {name: rows[name] for name in SPLITS}


def _with_shuffled(rows: _Rows, rng: np.random.Generator) -> _Rows:
    """Add a copy of each labelled row with shuffled dinucleotides, without labels; mix the rows."""
    own = watched(rows.codes[rows.labels.any(axis=1)], "shuffling dinucleotides")
    copies = [shuffle_dinucleotides(row, rng) for row in own]
    none = np.zeros((len(copies), rows.labels.shape[1]), np.uint8)
    nowhere = np.zeros(len(copies), rows.places.dtype)
    order = rng.permutation(len(rows.codes) + len(copies))
    every = np.concatenate([rows.codes, *([np.stack(copies)] if copies else [])])
    labels = np.concatenate([rows.labels, none])
    return _Rows(every[order], labels[order], np.concatenate([rows.places, nowhere])[order])
