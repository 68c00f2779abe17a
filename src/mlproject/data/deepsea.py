"""A data set from the DeepSEA bundle, in bounded memory.

Source of the layout: Zhou & Troyanskaya, Nat Methods 12: 931, 2015. Source of the paper's columns
and counts: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, Methods and released code.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlproject.data.bundle import Bundle, open_bundle
from mlproject.data.listing import Listing
from mlproject.data.onehot import codes_of_channels
from mlproject.data.paper import CLASSES
from mlproject.data.rows import Rows
from mlproject.data.split import SPLITS
from mlproject.data.writing import new_dataset_file
from mlproject.names import check_classes
from mlproject.system.errors import UserError, nearest, short_repr
from mlproject.system.numbers import whole_number
from mlproject.system.texts import lines

LETTERS = "AGCT"
PAPER_COLUMNS = dict(
    zip(CLASSES, (592, 602, 344, 345, 635, 636, 349, 642, 359, 361, 661, 369), strict=True)
)
BUNDLE_ROWS = {"train": 4_400_000, "valid": 8_000, "test": 455_024}
PAPER_COUNTS = {"train": 270_382, "test": 23_768}
PIECE_ROWS = 1 << 14
BAND_BYTES = 1 << 27


class ConvertedBundle(NamedTuple):
    """The result of `convert`.

    Attributes:
        listing: listing of the new data set.
        rows: split -> number of rows in the bundle.
        differs: a sentence if the paper reports other counts for this input, else None.
    """

    listing: Listing
    rows: Mapping[str, int]
    differs: str | None


def choose_columns(wanted: str = "paper", names: Path | None = None) -> dict[str, int]:
    """Return class -> label column, from 0.

    Args:
        wanted: ``paper``: the paper's twelve factors. ``all``: all columns of `names`. Else a
            comma-separated list of ``INDEX``, ``NAME`` and ``NAME=INDEX``.
        names: a text file with the name of one column per line.

    Raises:
        UserError: an unknown name, a name of several columns, a column given twice.
    """
    if wanted == "paper":
        return dict(PAPER_COLUMNS)
    listed = [text.strip() for _, text in lines(names)] if names else []
    columns_of: dict[str, list[int]] = {}
    for index, name in enumerate(listed):
        if name:
            columns_of.setdefault(name, []).append(index)
    known = {name: own[0] for name, own in columns_of.items()} or PAPER_COLUMNS
    label_of = dict(enumerate(listed)) if names else {one: name for name, one in known.items()}
    if wanted == "all":
        if not names:
            raise UserError("`columns=all` needs `names`, a file with the name of each column")
        for name in known:
            _check_one(names, name, columns_of)
        return dict(known)
    chosen: dict[str, int] = {}
    for entry in (part.strip() for part in wanted.split(",")):
        name, _, text = entry.rpartition("=")
        number = whole_number(text)
        if number is not None:
            name, index = name or label_of.get(number) or f"column{number}", number
        elif entry in known:
            _check_one(names, entry, columns_of)
            name, index = entry, known[entry]
        else:
            raise UserError(f"no label column {short_repr(entry)}: {nearest(entry, known)}")
        if name in chosen or index in chosen.values():
            raise UserError(f"`columns` must be unique: got {entry} twice")
        chosen[name] = index
    return chosen


def _check_one(names: Path | None, name: str, columns_of: Mapping[str, Sequence[int]]) -> None:
    """Raise a `UserError` if several columns have a name."""
    if len(own := columns_of.get(name, ())) > 1:
        raise UserError(
            f"{names}: a name must be of one column: {short_repr(name)} is in lines "
            f"{own[0] + 1} and {own[1] + 1}; rename one, or give NAME=INDEX (from 0)"
        )


def convert(
    folder: Path,
    out: Path,
    *,
    columns: Mapping[str, int],
    relevant: Mapping[str, Sequence[str]],
) -> ConvertedBundle:
    """Convert ``train.mat``, ``valid.mat`` and ``test.mat``. Rows without a label are dropped.

    Memory is bounded by `mlproject.data.bundle.BLOCK_BYTES` for any number of rows.

    Args:
        folder: the folder of the three files.
        out: the file to write.
        columns: class -> column of the labels.
        relevant: class -> JASPAR ids.

    Raises:
        UserError: see `open_bundle`; missing columns; values other than 0 and 1; a split without
            labelled rows.
    """
    check_classes(list(columns))
    with ExitStack() as stack:
        bundles = {
            split: stack.enter_context(open_bundle(folder / f"{split}.mat", split))
            for split in SPLITS
        }
        for split, bundle in bundles.items():
            if max(columns.values()) >= bundle.columns:
                raise UserError(
                    f"{folder / f'{split}.mat'}: has label columns 0 to {bundle.columns - 1}: "
                    f"got {max(columns.values())}"
                )
        if len({bundle.length for bundle in bundles.values()}) > 1:
            got = ", ".join(f"{bundle.length} in {split}" for split, bundle in bundles.items())
            raise UserError(f"{folder}: sequences must be equally long: got {got}")
        wanted = list(columns.values())
        counts = {
            split: sum(
                int(bundle.labels(block, wanted).any(axis=1).sum()) for block in bundle.row_blocks()
            )
            for split, bundle in bundles.items()
        }
        provenance = {
            "source": "deepsea",
            "folder": str(folder),
            "rows": {split: bundle.rows for split, bundle in bundles.items()},
            "columns": dict(columns),
            "letters": f"{LETTERS} in the bundle",
        }
        length = bundles["train"].length
        with new_dataset_file(out, length, counts, list(columns), relevant, provenance) as target:
            for split, bundle in bundles.items():
                try:
                    _copy(bundle, wanted, *target.splits[split][:2])
                except ValueError as error:
                    if isinstance(error, UserError):
                        raise
                    raise UserError(f"{folder / f'{split}.mat'}: {error}") from error
    assert target.listing is not None
    rows = {split: bundle.rows for split, bundle in bundles.items()}
    return ConvertedBundle(target.listing, rows, _compare(rows, columns, counts))


def _copy(bundle: Bundle, columns: list[int], codes: Rows, labels: Rows) -> None:
    """Copy the rows with a label to `codes` (n, L) and `labels` (n, classes) in the new file.

    Tiles with a part of the positions are collected into bands before they are written, because
    writing short pieces of rows is slow.
    """
    done = 0
    for block in bundle.row_blocks():
        chosen = bundle.labels(block, columns)
        kept = np.flatnonzero(chosen.any(axis=1))
        for rows, span in _pieces(kept, done):
            piece = chosen[rows]
            if not np.isin(piece, (0, 1)).all():
                raise ValueError(f"labels must be 0 or 1 in rows {block.start} to {block.stop - 1}")
            labels[span] = piece.astype(np.uint8)
        del chosen
        band, held = np.empty((len(kept), 0), np.uint8), 0
        for tile in bundle.tiles(block):
            positions = tile.positions
            width = positions.stop - positions.start
            if held + width > band.shape[1]:
                codes[done : done + len(kept), positions.start - held : positions.start] = band[
                    :, :held
                ]
                room = min(BAND_BYTES // max(len(kept), 1), bundle.length - positions.start)
                band, held = np.empty((len(kept), max(width, room)), np.uint8), 0
            for rows, span in _pieces(kept, 0):
                found = _codes(tile.values, rows, block.start, positions.start)
                band[span, held : held + width] = found
            held += width
        codes[done : done + len(kept), bundle.length - held :] = band[:, :held]
        done += len(kept)


def _pieces(rows: np.ndarray, done: int) -> Iterator[tuple[np.ndarray, slice]]:
    """Yield pieces of `rows` and their target rows, which start at `done`."""
    for start in range(0, len(rows), PIECE_ROWS):
        piece = rows[start : start + PIECE_ROWS]
        yield piece, slice(done + start, done + start + len(piece))


def _codes(values: np.ndarray, rows: np.ndarray, first_row: int, first: int) -> np.ndarray:
    """Return codes (rows, positions) of one-hot values (positions, 4, rows)."""
    chosen = values[:, :, rows] if len(rows) < values.shape[2] else values
    try:
        codes = codes_of_channels([chosen[:, letter] for letter in range(4)], LETTERS)
    except ValueError as error:
        position, row = error.args[0]
        raise ValueError(
            f"sequences must be one-hot: row {first_row + rows[row]} is not "
            f"at position {first + position}"
        ) from error
    return np.ascontiguousarray(codes.T)


def _compare(
    rows: Mapping[str, int], columns: Mapping[str, int], counts: Mapping[str, int]
) -> str | None:
    """Describe differences from the paper's counts, for the full bundle and the paper's columns."""
    if dict(rows) != BUNDLE_ROWS or dict(columns) != PAPER_COLUMNS:
        return None
    other = [
        f"{counts[split]:,} in {split}, not {paper:,}"
        for split, paper in PAPER_COUNTS.items()
        if counts[split] != paper
    ]
    return f"the paper reports other numbers of sequences: {'; '.join(other)}" if other else None
