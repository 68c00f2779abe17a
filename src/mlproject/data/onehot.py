"""One-hot arrays to codes, and the reader of HDF5 files with ``X_train``, ``Y_train`` and so on.

The paper's released code writes such files. Axes and letters may have any order.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import h5py
import numpy as np

from mlproject.data.dataset import Dataset, make_dataset
from mlproject.data.paper import CLASSES, RELEVANT
from mlproject.data.split import BLOCK_ROWS, SPLITS, Split
from mlproject.sequence import LETTERS, OTHER
from mlproject.system.errors import UserError
from mlproject.system.hdf5 import check_size
from mlproject.system.interrupts import check_interrupts
from mlproject.system.progress import watched

KEYS = tuple(f"{name}_{split}" for split in SPLITS for name in "XY")
SUFFIXES = {"train": "train|training", "valid": "valid|val|validation|dev", "test": "test|testing"}

GUESSED = "the paper's, by the number of columns"


def codes_of_channels(channels: Sequence[np.ndarray], letters: str = LETTERS) -> np.ndarray:
    """Return the codes of four channels, arrays of one shape.

    Args:
        channels: arrays of 0 and 1, at most one of them 1 at each place. No 1 gives code 4.
        letters: the letter of each channel.

    Raises:
        ValueError: other numbers, or two letters at one place. Its argument is the first place.
    """
    codes = np.full(channels[0].shape, OTHER, np.uint8)
    wrong = np.zeros(channels[0].shape, bool)
    for letter, channel in zip(letters, channels, strict=True):
        values = channel.view(np.uint8) if channel.dtype == bool else channel
        if values.dtype != np.uint8:
            wrong |= values != (values == 1)
            values = (values == 1).view(np.uint8)
        codes -= values * np.uint8(OTHER - LETTERS.index(letter))
        wrong |= values > 1
    total = sum(channel == 1 for channel in channels[1:]) + (channels[0] == 1).view(np.uint8)
    wrong |= total > 1
    if wrong.any():
        raise ValueError(tuple(int(place) for place in np.argwhere(wrong)[0]))
    return codes


class Axes(NamedTuple):
    """The indices of the axes of sequences, positions and letters in an array."""

    sequence: int
    position: int
    letter: int


@dataclass(frozen=True)
class OneHotSplit:
    """The arrays of one split in an open file.

    Attributes:
        x: one-hot sequences.
        y: labels, (sequences, classes), or (sequences,) for one class.
        axes: the axes of `x`.
        letters: the letters of the channels of `x`.
    """

    x: h5py.Dataset
    y: h5py.Dataset
    axes: Axes
    letters: str

    @property
    def count(self) -> int:
        """Number of sequences."""
        return int(self.x.shape[self.axes.sequence])

    @property
    def length(self) -> int:
        """Length of the sequences, nt."""
        return int(self.x.shape[self.axes.position])

    @property
    def classes(self) -> int:
        """Number of classes."""
        return math.prod(self.y.shape[1:])

    def blocks(self) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Yield blocks of sequences: rows, codes (rows, L) and labels (rows, classes), uint8.

        Raises:
            UserError: sequences that are not one-hot, labels other than 0 and 1.
        """
        for start in watched(range(0, self.count, BLOCK_ROWS), "reading one-hot sequences"):
            check_interrupts()
            rows = slice(start, min(start + BLOCK_ROWS, self.count))
            try:
                codes, labels = self._codes(rows), self._labels(rows)
            except OSError as error:
                raise UserError(f"{_place(self.x)} is damaged: copy the file again") from error
            yield rows, codes, labels

    def _codes(self, rows: slice) -> np.ndarray:
        axes = range(self.x.ndim)
        place = tuple(rows if axis == self.axes.sequence else slice(None) for axis in axes)
        order = (*self.axes, *(axis for axis in axes if axis not in self.axes))
        values = self.x[place].transpose(order)
        values = values.reshape(values.shape[:3])
        try:
            return codes_of_channels([values[..., letter] for letter in range(4)], self.letters)
        except ValueError as error:
            row, position = error.args[0]
            raise UserError(
                f"{_place(self.x)} must be one-hot, at most a single 1 per position and 0 "
                f"otherwise: sequence {rows.start + row} is not at position {position}"
            ) from error

    def _labels(self, rows: slice) -> np.ndarray:
        values = self.y[rows].reshape(-1, self.classes)
        wrong = np.argwhere(~np.isin(values, (0, 1)))
        if len(wrong):
            row, column = wrong[0]
            raise UserError(
                f"{_place(self.y)} must be 0 or 1: got {values[row, column]} in row "
                f"{rows.start + row}"
            )
        return values.astype(np.uint8)


def open_splits(
    file: h5py.File, axes: str = "auto", letters: str = LETTERS
) -> dict[str, OneHotSplit]:
    """Find the arrays of an open file and check that their shapes match.

    Args:
        file: with ``X_train Y_train X_valid Y_valid X_test Y_test``, in upper or lower case, also
            with ``val`` and similar names for valid. Axes of size 1 are ignored.
        axes: order of sequences (N), letters (C) and positions (L), such as ``NCL``. ``auto``: the
            first axis has the sequences, the axis of size 4 the letters.
        letters: the letters of the channels, in order.

    Raises:
        UserError: missing arrays, arrays of other shapes or types.
    """
    splits = {}
    for name in SPLITS:
        x, y = (find_array(file, letter, name) for letter in "XY")
        split = splits[name] = OneHotSplit(x, y, _axes(x, axes), letters)
        if not all(x.shape):
            raise UserError(f"{_place(x)} must hold sequences: got {x.shape}")
        if y.shape[0] != split.count or split.classes != splits["train"].classes:
            raise UserError(
                f"{_place(y)} must be ({split.count}, {splits['train'].classes}), sequences "
                f"and classes of the train split: got {y.shape}"
            )
    lengths = {name: split.length for name, split in splits.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{length} nt in {name}" for name, length in lengths.items())
        raise UserError(f"{file.filename}: sequences must be equally long in all splits: got {got}")
    return splits


def has_arrays(file: h5py.File, keys: Sequence[str] = KEYS) -> bool:
    """Return whether a file has some arrays. Default: those of the paper's released code."""
    arrays = [file.get(key) for key in keys]
    return all(isinstance(array, h5py.Dataset) and array.shape for array in arrays)


def read(file: h5py.File) -> Dataset:
    """Read a file of the paper's released code into memory.

    Twelve columns of labels are taken for the paper's twelve factors. Other classes are called
    class0, class1, ... `provenance` records which rule applied.

    Raises:
        UserError: see `open_splits` and `OneHotSplit.blocks`.
    """
    found = open_splits(file)
    splits = {}
    for name, split in found.items():
        _, codes, labels = zip(*split.blocks(), strict=True)
        splits[name] = Split(np.concatenate(codes), np.concatenate(labels))
    columns = found["train"].classes
    paper = columns == len(CLASSES)
    names = GUESSED if paper else "unknown, numbered"
    return make_dataset(
        splits,
        default_classes(columns),
        RELEVANT if paper else {},
        provenance={"source": "released layout", "classes": names, "letters": "taken for A C G T"},
    )


def default_classes(columns: int) -> list[str]:
    """Return the names of `columns` classes: the paper's if there are twelve, else numbered."""
    return [*CLASSES] if columns == len(CLASSES) else [f"class{one}" for one in range(columns)]


def note_on_names(names: object) -> str | None:
    """Return a sentence if the names of the classes are `GUESSED`, from the data's provenance."""
    if names != GUESSED:
        return None
    return (
        f"the file has no names of classes: its {len(CLASSES)} columns of labels are taken for the "
        f"factors of the paper ({', '.join(CLASSES[:2])}, ...); `dataset h5 --names` gives others"
    )


def _place(array: h5py.Dataset) -> str:
    return f"{array.file.filename}: `{array.name.lstrip('/')}`"


def find_array(file: h5py.File, letter: str, split: str) -> h5py.Dataset:
    """Return the sequences (letter X) or labels (Y) of a split, see `open_splits`."""
    pattern = re.compile(f"{letter}_({SUFFIXES[split]})", re.IGNORECASE)
    keys = [key for key in file if pattern.fullmatch(key)]
    if len(keys) != 1 or not isinstance(file[keys[0]], h5py.Dataset):
        has = ", ".join(sorted(file)[:12]) or "nothing"
        raise UserError(f"{file.filename}: must hold one `{letter}_{split}`: found {has}")
    array = file[keys[0]]
    if array.dtype.kind not in "buif" or not array.shape:
        raise UserError(f"{_place(array)} must be an array of numbers: got {array.dtype}")
    check_size(array)
    return array


def _axes(x: h5py.Dataset, wanted: str) -> Axes:
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
        f"{_place(x)} must be one-hot with three axes, one of 4 letters: got {x.shape}; "
        "to give the order of axes, convert the file with `dataset h5 --axes NCL`, NLC, ..."
    )
