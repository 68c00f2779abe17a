"""A data set from an HDF5 file of one-hot sequences, see `mlproject.data.onehot`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlproject.data.checks import check_columns
from mlproject.data.listing import Listing
from mlproject.data.onehot import default_classes, find_array, open_splits
from mlproject.data.writing import new_dataset_file
from mlproject.names import check_classes
from mlproject.sequence import LETTERS, reverse_complement
from mlproject.system.errors import UserError
from mlproject.system.hdf5 import hdf5_opened

RULE = "a file of one-hot sequences must be readable HDF5"
MOST_CLASSES = 100_000


def convert(
    path: Path,
    out: Path,
    *,
    names: Sequence[str],
    relevant: Mapping[str, Sequence[str]],
    axes: str = "auto",
    letters: str = LETTERS,
    both_strands: bool = False,
) -> Listing:
    """Write a data set of the one-hot arrays of a file, block by block.

    Args:
        path: see `mlproject.data.onehot.open_splits`.
        out: the file to write.
        names: class names, see `class_names`.
        relevant: class -> JASPAR ids.
        axes: see `open_splits`.
        letters: see `open_splits`.
        both_strands: append the reverse complements of each split to it, with the same labels.

    Raises:
        UserError: invalid options; a file without these arrays; arrays that are not one-hot
            sequences or labels.
    """
    check_classes(names)
    if sorted(letters) != sorted(LETTERS):
        raise UserError(f"`letters` must be an order of {LETTERS}: got {letters!r}")
    if axes != "auto" and sorted(axes) != sorted("NCL"):
        raise UserError(f"`axes` must be auto or an order of N, C and L: got {axes!r}")
    with hdf5_opened(path, RULE) as file:
        splits = open_splits(file, axes, letters)
        check_columns(splits["train"].classes, names, str(path))
        provenance = {
            "source": "h5",
            "files": {name: [str(path)] for name in names},
            "axes": {name: str(split.x.shape) for name, split in splits.items()},
            "letters": letters,
        }
        if both_strands:
            provenance["both_strands"] = "reverse complements appended to each split"
        strands = 2 if both_strands else 1
        counts = {name: strands * split.count for name, split in splits.items()}
        length = splits["train"].length
        with new_dataset_file(out, length, counts, names, relevant, provenance) as target:
            for name, split in splits.items():
                for rows, codes, labels in split.blocks():
                    target.splits[name].codes[rows] = codes
                    target.splits[name].labels[rows] = labels
                    if both_strands:
                        others = slice(rows.start + split.count, rows.stop + split.count)
                        target.splits[name].codes[others] = reverse_complement(codes)
                        target.splits[name].labels[others] = labels
    assert target.listing is not None
    return target.listing


def class_names(path: Path, names: str | None) -> list[str]:
    """Return the class names of a file: `names`, comma-separated, or `default_classes`.

    Raises:
        UserError: see `convert`.
    """
    if names:
        return [name.strip() for name in names.split(",")]
    with hdf5_opened(path, RULE) as file:
        columns = math.prod(find_array(file, "Y", "train").shape[1:])
    if columns > MOST_CLASSES:
        raise UserError(f"{path}: `Y_train` must have at most {MOST_CLASSES:,} columns: {columns}")
    return default_classes(columns)
