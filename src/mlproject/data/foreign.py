"""HDF5 files of others, with ``X_train``, ``Y_train`` and so on, to a data set file."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from mlproject.data.dataset import BLOCK_ROWS, SPLITS
from mlproject.data.layout import new_dataset_file
from mlproject.data.listing import Listing
from mlproject.data.onehot import codes_of_channels
from mlproject.data.paper import CLASSES
from mlproject.names import check_classes
from mlproject.sequence import LETTERS
from mlproject.system.errors import UserError
from mlproject.system.hdf5 import check_size, hdf5_opened

RULE = "a file of one-hot sequences must be readable HDF5"
MOST_CLASSES = 100_000
SUFFIXES = {"train": "train|training", "valid": "valid|val|validation|dev", "test": "test|testing"}


class Axes(NamedTuple):
    """Where sequences, positions and letters are among the axes of an array."""

    sequence: int
    position: int
    letter: int


def convert(
    path: Path,
    out: Path,
    *,
    names: Sequence[str],
    relevant: Mapping[str, Sequence[str]],
    axes: str = "auto",
    letters: str = LETTERS,
) -> Listing:
    """Write a data set of the one-hot arrays of a file, in blocks.

    Args:
        path: HDF5 with ``X_train Y_train X_valid Y_valid X_test Y_test``, in any case, ``val`` and
            the like for valid. Axes of 1 do not count; labels are (sequences, classes) or, of one
            class, (sequences,).
        out: the file to write.
        names: class names, see `class_names`.
        relevant: class -> JASPAR ids.
        axes: order of sequences, letters (channels) and positions, such as ``NCL``; ``auto``: the
            first are sequences, those of 4 letters.
        letters: which letters the channels are.

    Raises:
        UserError: a file without these arrays, arrays that are no one-hot sequences or labels.
    """
    check_classes(names)
    if sorted(letters) != sorted(LETTERS):
        raise UserError(f"`letters` must be an order of {LETTERS}: got {letters!r}")
    if axes != "auto" and sorted(axes) != sorted("NCL"):
        raise UserError(f"`axes` must be auto or an order of N, C and L: got {axes!r}")
    with hdf5_opened(path, RULE) as file:
        arrays = _arrays(file, path)
        layouts = {split: _axes(x, axes, path) for split, (x, _) in arrays.items()}
        shapes = {split: arrays[split][0].shape for split in SPLITS}
        counts = {split: shapes[split][layouts[split].sequence] for split in SPLITS}
        lengths = {shapes[split][layouts[split].position] for split in SPLITS}
        if len(lengths) > 1:
            got = " and ".join(map(str, sorted(lengths)))
            raise UserError(f"{path}: sequences must be equally long in all splits: got {got} nt")
        for split, (x, y) in arrays.items():
            if math.prod(y.shape) != counts[split] * len(names) or len(y) != counts[split]:
                raise UserError(
                    f"{path}: {y.name} must be ({counts[split]}, {len(names)}), sequences of "
                    f"{x.name} and classes {', '.join(names)}: got {y.shape}"
                )
        provenance = {
            "source": "h5",
            "files": {name: [str(path)] for name in names},
            "axes": {split: str(shape) for split, shape in shapes.items()},
            "letters": letters,
        }
        with new_dataset_file(out, lengths.pop(), counts, names, relevant, provenance) as target:
            for split, (x, y) in arrays.items():
                codes, labels = target.splits[split][:2]
                for start in range(0, counts[split], BLOCK_ROWS):
                    rows = slice(start, min(start + BLOCK_ROWS, counts[split]))
                    codes[rows] = _codes(x, rows, layouts[split], letters, path)
                    labels[rows] = _labels(y, rows, len(names), path)
    assert target.listing is not None
    return target.listing


def class_names(path: Path, names: str | None) -> list[str]:
    """Return the class names of a file: those given, the paper's if it has twelve, numbered ones.

    Raises:
        UserError: see `convert`.
    """
    if names:
        return [name.strip() for name in names.split(",")]
    with hdf5_opened(path, RULE) as file:
        y = _arrays(file, path)["train"][1]
        columns = math.prod(y.shape[1:])
    if columns > MOST_CLASSES:
        raise UserError(f"{path}: `Y_train` must have at most {MOST_CLASSES:,} columns: {columns}")
    return [*CLASSES] if columns == len(CLASSES) else [f"class{one}" for one in range(columns)]


def _arrays(file: h5py.File, path: Path) -> dict[str, tuple[h5py.Dataset, h5py.Dataset]]:
    found = {}
    for split in SPLITS:
        pair = []
        for letter in "xy":
            pattern = re.compile(f"{letter}_({SUFFIXES[split]})", re.IGNORECASE)
            keys = [key for key in file if pattern.fullmatch(key)]
            if len(keys) != 1 or not isinstance(file[keys[0]], h5py.Dataset):
                has = ", ".join(sorted(file)[:12]) or "nothing"
                raise UserError(f"{path}: must hold one `{letter.upper()}_{split}`: found {has}")
            array = file[keys[0]]
            if array.dtype.kind not in "buif" or not array.shape:
                raise UserError(f"{path}: {keys[0]} must be numbers: got {array.dtype}")
            check_size(array)
            pair.append(array)
        found[split] = (pair[0], pair[1])
    return found


def _axes(x: h5py.Dataset, wanted: str, path: Path) -> Axes:
    real = [axis for axis, size in enumerate(x.shape) if size != 1 or not axis]
    if len(real) == 3:
        if wanted != "auto":
            order = Axes(*(real[wanted.index(name)] for name in "NLC"))
            if x.shape[order.letter] == 4:
                return order
        else:
            fours = [axis for axis in real[1:] if x.shape[axis] == 4]
            if len(fours) == 1:
                other = real[1] if fours[0] == real[2] else real[2]
                return Axes(real[0], other, fours[0])
    raise UserError(
        f"{path}: {x.name} must be one-hot, three axes of which one is 4 letters: got {x.shape}; "
        "name the order with axes=NCL, NLC, ..."
    )


def _codes(x: h5py.Dataset, rows: slice, axes: Axes, letters: str, path: Path) -> np.ndarray:
    place = tuple(rows if axis == axes.sequence else slice(None) for axis in range(x.ndim))
    values = x[place].transpose(*axes, *(axis for axis in range(x.ndim) if axis not in axes))
    values = values.reshape(values.shape[:3])
    try:
        return codes_of_channels([values[..., letter] for letter in range(4)], letters)
    except ValueError as error:
        row, position = error.args[0]
        raise UserError(
            f"{path}: {x.name} must be one-hot: sequence {rows.start + row} is not "
            f"at position {position}"
        ) from error


def _labels(y: h5py.Dataset, rows: slice, columns: int, path: Path) -> np.ndarray:
    values = y[rows].reshape(-1, columns)
    if not np.isin(values, (0, 1)).all():
        raise UserError(f"{path}: {y.name} must be 0 or 1: got others from row {rows.start} on")
    return values.astype(np.uint8)
