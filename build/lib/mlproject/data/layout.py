"""The data set file: HDF5 with groups train, valid and test.

Each group has `codes` uint8 (n, L), `labels` uint8 (n, classes) and, for planted motifs, `sites`.
The root has `motifs`, and the attributes `classes`, `relevant`, `provenance` (JSON) and `sha256`.
Arrays are neither compressed nor chunked, so that a batch takes a few short reads. Codes of more
than `IN_MEMORY` bytes stay in the file.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlproject.data import onehot
from mlproject.data.dataset import (
    SPLITS,
    Dataset,
    Split,
    check_task,
    content_sha256,
    label_type,
    make_dataset,
)
from mlproject.data.listing import Listing, listing
from mlproject.data.rows import Rows, StoredRows
from mlproject.motifs.pwm import Motif
from mlproject.names import check_classes
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_hdf5
from mlproject.system.hdf5 import hdf5_opened, read_array

IN_MEMORY = 1 << 25

KEYS = tuple(f"{split}/{name}" for split in SPLITS for name in ("codes", "labels"))


def write(dataset: Dataset, path: Path) -> None:
    """Write a data set atomically. Equal data sets give equal bytes.

    Raises:
        UserError: `sha256` is not that of the content, the folder cannot be written, the disk is
            full.
    """
    sha256 = content_sha256(
        dataset.splits, dataset.classes, dataset.relevant, dataset.motifs,
        dataset.task, dataset.units,
    )  # fmt: skip
    if sha256 != dataset.sha256:
        raise UserError(f"`sha256` must be that of the content, {sha256}: got {dataset.sha256}")
    with atomic_hdf5(path) as file:
        for name, split in dataset.splits.items():
            file[f"{name}/codes"] = split.codes
            file[f"{name}/labels"] = split.labels
            if split.sites is not None:
                file[f"{name}/sites"] = split.sites
        if dataset.motifs:
            file["motifs"] = _motif_table(dataset.motifs)
        _write_attributes(file, dataset)


class NewDatasetFile:
    """A data set file during writing.

    Attributes:
        splits: their codes and labels are arrays in the file, all rows of which must be filled.
        listing: None until the file is complete.
    """

    def __init__(self, splits: dict[str, Split]) -> None:
        self.splits = splits
        self.listing: Listing | None = None


@contextmanager
def new_dataset_file(
    path: Path,
    length: int,
    counts: Mapping[str, int],
    classes: Sequence[str],
    relevant: Mapping[str, Sequence[str]],
    provenance: Mapping[str, Any],
    task: str = "binary",
    units: Sequence[str] = (),
) -> Iterator[NewDatasetFile]:
    """Open a data set file for writing block by block. It appears when its content is checked.

    Args:
        path: the file.
        length: nt per sequence.
        counts: split -> number of sequences.
        classes: see `Dataset`.
        relevant: see `Dataset`.
        provenance: see `Dataset`.
        task: see `Dataset`.
        units: see `Dataset`.

    Raises:
        UserError: a split without sequences, invalid content; see also `atomic_file`.
    """
    check_classes(classes)
    check_task(task, units, classes)
    for name in SPLITS:
        if not counts[name]:
            raise UserError(f"every split needs sequences: got none for {name}; choose others")
    with atomic_hdf5(path) as file:
        target = NewDatasetFile(
            {
                name: Split(
                    file.create_dataset(f"{name}/codes", (counts[name], length), "u1"),
                    file.create_dataset(
                        f"{name}/labels", (counts[name], len(classes)), label_type(task)
                    ),
                )
                for name in SPLITS
            }
        )
        yield target
        made = make_dataset(target.splits, classes, relevant, (), provenance, task, units)
        target.listing = listing(made)
        _write_attributes(file, made)


def _write_attributes(file: h5py.File, dataset: Dataset) -> None:
    for name in ("classes", "relevant", "provenance"):
        file.attrs[name] = json.dumps(getattr(dataset, name))
    if dataset.task != "binary":
        file.attrs["task"] = dataset.task
        file.attrs["units"] = json.dumps(dataset.units)
    file.attrs["sha256"] = dataset.sha256


def read(path: Path, *, hashed: bool = False) -> Dataset:
    """Read a data set file in this layout or in that of the paper's released code.

    Args:
        path: the file.
        hashed: whether `sha256` is required. All files of this project have it.

    Raises:
        UserError: the file is missing, not HDF5, cut short, of another layout, or its content is
            invalid or does not match its `sha256`.
    """
    rule = "a data set must be `synthetic` or the path of an HDF5 file"
    if not os.path.isfile(path):
        found = "a folder" if os.path.isdir(path) else "no such file"
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
    return dataset


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


def _motif_table(motifs: Sequence[Motif]) -> np.ndarray:
    """Return motifs as records. Matrices are padded with zeros to the widest."""
    texts = [(motif.id.encode(), motif.name.encode()) for motif in motifs]
    longest = max(len(text) for pair in texts for text in pair)
    widest = max(motif.width for motif in motifs)
    text = h5py.string_dtype("utf-8", longest)
    fields = [("id", text), ("name", text), ("width", "<u2"), ("nsites", "<f8")]
    table = np.zeros(len(motifs), [*fields, ("pwm", "<f8", (widest, 4))])
    for row, motif, (identifier, name) in zip(table, motifs, texts, strict=True):
        row["id"], row["name"] = identifier, name
        row["width"], row["nsites"] = motif.width, motif.nsites
        row["pwm"][: motif.width] = motif.pwm
    return table


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
