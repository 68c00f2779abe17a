"""Reading the data set file that `mlproject.data.writing` writes, and the released code's files.

Codes of more than `IN_MEMORY` bytes stay in the file.
"""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlproject.data import onehot
from mlproject.data.dataset import Dataset, make_dataset
from mlproject.data.recipes import RECIPES
from mlproject.data.rows import Rows, StoredRows
from mlproject.data.split import SPLITS, WINDOW, Split
from mlproject.motifs.pwm import Motif
from mlproject.system.errors import UserError
from mlproject.system.hdf5 import hdf5_opened, read_array
from mlproject.system.texts import why_no_file

IN_MEMORY = 1 << 25
PLACE = ("chrom", "start", "end")

KEYS = tuple(f"{split}/{name}" for split in SPLITS for name in ("codes", "labels"))


def read(path: Path, *, hashed: bool = False) -> Dataset:
    """Read a data set file in this layout or in that of the paper's released code.

    Args:
        path: the file.
        hashed: whether `sha256` is required. All files of this project have it.

    Raises:
        UserError: the file is missing, not HDF5, cut short, of another layout, or its content is
            invalid or does not match its `sha256`.
    """
    rule = f"a data set must be a recipe ({', '.join(RECIPES)}) or the path of an HDF5 file"
    if found := why_no_file(path):
        raise UserError(f"{rule}: got {path}, {found}")
    with hdf5_opened(path, rule) as file:
        if KEYS[0] not in file and onehot.has_arrays(file) and not hashed:
            return onehot.read(file)
        try:
            return _read(file, hashed)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error


def _require_keys(file: h5py.File) -> None:
    if onehot.has_arrays(file, KEYS):
        return
    names: list[object] = []
    file.visit(names.append)
    found = ", ".join(map(str, names[:12])) + (" ..." if names[12:] else "")
    raise UserError(
        f"a data set needs {', '.join(KEYS)}, or {', '.join(onehot.KEYS)} as in the released "
        f"layout: found {found or 'nothing'}"
    )


def _read(file: h5py.File, hashed: bool) -> Dataset:
    _require_keys(file)
    splits = {}
    for name in SPLITS:
        sites = file.get(f"{name}/sites")
        splits[name] = Split(
            _rows(file[f"{name}/codes"]),
            (_rows if name == "train" else read_array)(file[f"{name}/labels"]),
            None if sites is None else _records(sites),
        )
    dataset = make_dataset(
        splits,
        _attribute(file, "classes", None, list),
        _attribute(file, "relevant", {}, dict),
        _motifs(_records(file["motifs"])) if "motifs" in file else (),
        _attribute(file, "provenance", {}, dict),
        str(file.attrs.get("task", "binary")),
        _attribute(file, "units", [], list),
    )
    sha256 = str(file.attrs.get("sha256", "none" if hashed else dataset.sha256))
    if sha256 != dataset.sha256:
        raise UserError(
            f"`sha256` must be the hash of the content: the file was changed or damaged, "
            f"got {sha256[:64]!r}, content {dataset.sha256}; create the file again"
        )
    return replace(dataset, windows=_windows(file, dataset))


def _windows(file: h5py.File, dataset: Dataset) -> dict[str, np.ndarray]:
    """Return the places of the sequences of each split that has them."""
    found = {}
    for name, split in dataset.splits.items():
        if f"{name}/windows" not in file:
            continue
        raw = _records(file[f"{name}/windows"])
        fields = set(raw.dtype.names or ())
        if raw.shape != (len(split.codes),) or not set(PLACE) <= fields:
            raise UserError(
                f"`{name}/windows` must be records of {', '.join(PLACE)}, one a "
                f"sequence: got {raw.dtype} of {raw.shape}"
            )
        windows = np.zeros(len(raw), WINDOW)
        for key in fields.intersection(WINDOW.names or ()):
            windows[key] = raw[key]
        windows[windows["chrom"] != raw["chrom"]] = np.zeros((), WINDOW)  # a name was cut
        found[name] = windows
    return found


def _rows(array: h5py.Dataset) -> Rows:
    """Return an array in memory if it is small, as rows in the file if it is large and contiguous.

    Arrays written by other programs may be chunked, compressed or of another type. They are read
    into memory.
    """
    offset = array.id.get_offset()
    plain = array.dtype == np.uint8 and array.ndim == 2 and array.chunks is None
    if array.nbytes <= IN_MEMORY or not plain or offset is None or array.file.userblock_size:
        return read_array(array)
    path = Path(os.fsdecode(array.file.filename))
    if offset + array.nbytes > path.stat().st_size:
        raise OSError("cut short")
    return StoredRows(path, offset, array.shape)


def _attribute(file: h5py.File, name: str, default: Any, kind: type) -> Any:
    text = file.attrs.get(name, json.dumps(default))
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        value = text
    if not isinstance(value, kind):
        got = repr(value)[:60]
        raise UserError(f"the attribute `{name}` must be a {kind.__name__} in JSON: got {got}")
    return value


def _records(array: Any) -> np.ndarray:
    if not isinstance(array, h5py.Dataset):
        raise UserError(f"`{array.name}` must be records: got a group")
    return np.asarray(read_array(array))


def _motifs(table: np.ndarray) -> tuple[Motif, ...]:
    fields = {"id", "name", "width", "nsites", "pwm"}
    if table.ndim != 1 or not fields <= set(table.dtype.names or ()):
        wanted = ", ".join(sorted(fields))
        raise UserError(f"`motifs` must be records of {wanted}: got {table.dtype}")
    return tuple(
        Motif(
            row["id"].decode(),
            row["name"].decode(),
            row["pwm"][: row["width"]].copy(),
            float(row["nsites"]),
        )
        for row in table
    )
