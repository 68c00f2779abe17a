"""A data set from a table of sequences with measured values, such as MPRA and STARR-seq give."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlproject.data.clusters import clusters
from mlproject.data.listing import Listing
from mlproject.data.split import SPLITS
from mlproject.data.table_rows import Options, Row, check_options, read_rows
from mlproject.data.table_values import class_names_of, suspected, values_of
from mlproject.data.writing import new_dataset_file
from mlproject.fields import VALUES
from mlproject.sequence import encode
from mlproject.system.errors import UserError, nearest, short_repr

SPLIT_NAMES = {
    "train": "train", "training": "train", "valid": "valid", "val": "valid", "dev": "valid",
    "validation": "valid", "test": "test", "testing": "test",
}  # fmt: skip


class ConvertedTable(NamedTuple):
    """The result of `convert`: the listing, and counts of rows that were not taken as they are.

    Attributes:
        listing: listing of the new data set.
        dropped: rows left out for a missing value.
        unfit: rows left out for their length.
        commented: lines with all columns left out because they begin with ``#``.
        merged: rows merged with an equal sequence.
        together: sequences that share their split with similar ones.
        suspects: sentences on values that may mean that there is none.
    """

    listing: Listing
    dropped: int
    unfit: int
    commented: int
    merged: int
    together: int
    suspects: tuple[str, ...]


def convert(
    file: Path, out: Path, options: Options, relevant: Mapping[str, Sequence[str]] | None = None
) -> ConvertedTable:
    """Write a data set of the rows of a table.

    Without a column for it, the split is random over clusters of similar sequences, see
    `mlproject.data.clusters`.

    Args:
        file: a table with a header, separated by tabs, commas or semicolons, plain or compressed.
        out: the file to write.
        options: how it is read.
        relevant: class or output -> JASPAR ids.

    Raises:
        UserError: a column that is not there; a cell that is no number; an empty split. The message
            names the line.
    """
    check_options(options)
    rows, dropped, unfit, commented = read_rows(file, options)
    values, classes = values_of(file, rows, options)
    suspects = tuple(suspected(values, classes)) if options.task == "regression" else ()
    codes = encode([row.sequence for row in rows])
    split, together = _splits(file, rows, codes, options)
    codes, values, split, merged = _merged(file, rows, codes, values, split, options)
    if options.task in VALUES:
        values = _transformed(file, values, split, options)
    units = options.units if options.task in VALUES else ()
    counts = {name: int((split == number).sum()) for number, name in enumerate(SPLITS)}
    provenance = {
        "source": "table",
        "file": str(file),
        **options._replace(fasta=())._asdict(), "fasta": [str(path) for path in options.fasta],
        "dropped": dropped, "unfit": unfit, "merged": merged,
    }  # fmt: skip
    known = {name: tuple(ids) for name, ids in (relevant or {}).items()}
    with new_dataset_file(
        out, codes.shape[1], counts, classes, known, provenance, options.task, units
    ) as target:
        for number, name in enumerate(SPLITS):
            own = split == number
            target.splits[name].codes[:] = codes[own]
            target.splits[name].labels[:] = values[own]
    assert target.listing is not None
    return ConvertedTable(target.listing, dropped, unfit, commented, merged, together, suspects)


def class_names(file: Path, options: Options) -> list[str]:
    """Return the names of the classes or outputs that `convert` gives."""
    if options.task != "multiclass":
        return [*options.columns]
    check_options(options)
    return class_names_of(file, read_rows(file, options).rows, options)


def _splits(
    file: Path, rows: Sequence[Row], codes: np.ndarray, options: Options
) -> tuple[np.ndarray, int]:
    """Return the split of each row, 0 to 2, and how many are there with similar sequences."""
    if options.split:
        for row in rows:
            if row.group.lower() not in SPLIT_NAMES:
                raise UserError(
                    f"{file}, line {row.line}: `{options.split}` must be train, valid or test: "
                    f"got {short_repr(row.group)}"
                )
        return np.array([SPLITS.index(SPLIT_NAMES[row.group.lower()]) for row in rows]), 0
    if options.chromosome:
        held = [{one.strip() for one in text.split(",")} for text in (options.valid, options.test)]
        known = {row.group for row in rows}
        for name, names in zip(SPLITS[1:], held, strict=True):
            if not names & known and all(map(_is_share, names)):
                raise UserError(
                    f"`{name}` must name chromosomes with `chromosome={options.chromosome}`: got "
                    f"{','.join(sorted(names))}, a share; {nearest('', known)}"
                )
        if both := sorted(held[0] & held[1]):
            raise UserError(f"`valid` and `test` must differ: got {', '.join(both)} in both")
        for name in sorted(held[0] | held[1]):
            if name not in known:
                raise UserError(f"{file}: no row of chromosome {name!r}: {nearest(name, known)}")
        return np.array([1 if r.group in held[0] else 2 if r.group in held[1] else 0
                         for r in rows]), 0  # fmt: skip
    shares = [_share(name, text) for name, text in zip(SPLITS[1:], options[9:11], strict=True)]
    if sum(shares) >= 1:
        raise UserError(f"`valid` and `test` must be below 1 together: got {shares}")
    cluster = clusters(codes)
    sizes = np.bincount(cluster)
    order = np.random.default_rng(options.seed).permutation(len(sizes))
    reached = np.cumsum(sizes[order]) / len(rows)
    of_cluster = np.zeros(len(sizes), np.int64)
    of_cluster[order[reached <= shares[1]]] = 2
    of_cluster[order[(reached > shares[1]) & (reached <= sum(shares))]] = 1
    return of_cluster[cluster], int((sizes[cluster] > 1).sum())


def _is_share(text: str) -> bool:
    """Return whether a text is a number below 1, as of a random split."""
    try:
        return 0 <= float(text) < 1
    except ValueError:
        return False


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise UserError(
            f"`{name}` must be a share between 0 and 1, or chromosomes with `chromosome`: "
            f"got {short_repr(text)}"
        )
    return value


def _merged(
    file: Path,
    rows: Sequence[Row],
    codes: np.ndarray,
    values: np.ndarray,
    split: np.ndarray,
    options: Options,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Merge equal sequences of a split."""
    keyed = np.concatenate([split[:, None].astype(np.uint8), codes], axis=1)
    _, first, owner = np.unique(keyed, axis=0, return_index=True, return_inverse=True)
    owner, merged = owner.reshape(-1), len(codes) - len(first)
    if merged and options.duplicates == "refuse":
        again = int(np.flatnonzero(first[owner] != np.arange(len(codes)))[0])
        raise UserError(
            f"{file}, line {rows[again].line}: the sequence of line "
            f"{rows[int(first[owner[again]])].line} comes again; duplicates=mean takes the mean "
            "of their values, duplicates=first the first"
        )
    chosen = np.sort(first)
    if merged and options.duplicates == "mean":
        if options.task in ("binary", "multiclass"):
            means = np.zeros((len(first), values.shape[1]))
            np.maximum.at(means, owner, values)
            if options.task == "multiclass" and (means.sum(axis=1) > 1).any():
                again = int(first[np.argmax(means.sum(axis=1))])
                raise UserError(
                    f"{file}, line {rows[again].line}: its sequence has another class elsewhere; "
                    "duplicates=first takes the first"
                )
        else:
            sums = np.zeros((len(first), values.shape[1]))
            np.add.at(sums, owner, values)
            means = sums / np.bincount(owner)[:, None]
        values = means[owner]
    return codes[chosen], values[chosen], split[chosen], merged


def _transformed(file: Path, values: np.ndarray, split: np.ndarray, options: Options) -> np.ndarray:
    if options.transform == "standardise":
        own = values[split == 0]
        if not len(own) or not (spread := own.std(axis=0)).all():
            raise UserError(f"{file}: values must vary in the training split to be standardised")
        return (values - own.mean(axis=0)) / spread
    if options.transform in ("log2", "log1p"):
        shifted = values + (options.transform == "log1p")
        if shifted.min() <= 0:
            least = "above 0" if options.transform == "log2" else "above -1"
            raise UserError(
                f"{file}: values must be {least} with transform={options.transform}: got "
                f"{values.min():g}"
            )
        return np.log2(shifted)
    return values
