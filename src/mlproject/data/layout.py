"""The data set file: HDF5 with groups train, valid and test.

Each group holds `codes` uint8 (n, L), `labels` uint8 (n, classes) and, where the truth is known,
`sites`; the root holds `motifs`, and as attributes `classes`, `relevant`, `provenance` (JSON) and
`sha256`. Arrays are neither compressed nor chunked: a batch is one short read.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlproject.data import released
from mlproject.data.dataset import SITE, SPLITS, Dataset, Split, content_sha256, make_dataset
from mlproject.errors import UserError
from mlproject.files import hdf5_written_whole
from mlproject.motifs import Motif

__all__ = ["SITE", "Dataset", "Split", "content_sha256", "read", "write"]

KEYS = tuple(f"{split}/{name}" for split in SPLITS for name in ("codes", "labels"))


def write(dataset: Dataset, path: Path) -> None:
    """Write a data set, whole or not at all; equal data sets give equal bytes.

    Raises:
        UserError: a `sha256` that is not the content's; a folder that cannot be written; a full
            disk.
    """
    sha256 = content_sha256(dataset.splits, dataset.classes, dataset.relevant, dataset.motifs)
    if sha256 != dataset.sha256:
        raise UserError(f"`sha256` must be that of the content, {sha256}: got {dataset.sha256}")
    with hdf5_written_whole(path) as file:
        for name, split in dataset.splits.items():
            file[f"{name}/codes"] = split.codes
            file[f"{name}/labels"] = split.labels
            if split.sites is not None:
                file[f"{name}/sites"] = split.sites
        if dataset.motifs:
            file["motifs"] = _motif_table(dataset.motifs)
        for name in ("classes", "relevant", "provenance"):
            file.attrs[name] = json.dumps(getattr(dataset, name))
        file.attrs["sha256"] = dataset.sha256


def read(path: Path) -> Dataset:
    """Read a data set file in this layout or in that of the paper's released code.

    Raises:
        UserError: no such file, not HDF5, cut short, of another layout, or with content that does
            not fit together or does not fit its `sha256`.
    """
    rule = "a data set must be `synthetic` or the path of an HDF5 file"
    if not os.path.isfile(path):
        found = "a folder" if os.path.isdir(path) else "no such file"
        raise UserError(f"{rule}: got {path}, {found}")
    try:
        with h5py.File(path, "r") as file:
            return _read(file)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except PermissionError as error:
        raise UserError(f"cannot read {path}: permission denied") from error
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        state = "damaged or cut short" if h5py.is_hdf5(path) else "no HDF5"
        raise UserError(f"{rule}: got {path}, which is {state}") from error


def _read(file: h5py.File) -> Dataset:
    if _holds(file, KEYS):
        return _read_own(file)
    if _holds(file, released.KEYS):
        return released.read(file)
    names: list[object] = []
    file.visit(names.append)
    found = ", ".join(map(str, names[:12])) + (" ..." if names[12:] else "")
    raise UserError(
        f"a data set needs {', '.join(KEYS)}, or {', '.join(released.KEYS)} as in the released "
        f"layout: found {found or 'nothing'}"
    )


def _holds(file: h5py.File, keys: Sequence[str]) -> bool:
    arrays = [file.get(key) for key in keys]
    return all(isinstance(array, h5py.Dataset) and array.shape for array in arrays)


def _read_own(file: h5py.File) -> Dataset:
    splits = {}
    for name in SPLITS:
        sites = file.get(f"{name}/sites")
        splits[name] = Split(
            file[f"{name}/codes"][()],
            file[f"{name}/labels"][()],
            None if sites is None else sites[()],
        )
    dataset = make_dataset(
        splits,
        _attribute(file, "classes", None, list),
        _attribute(file, "relevant", {}, dict),
        _motifs(file["motifs"][()]) if "motifs" in file else (),
        _attribute(file, "provenance", {}, dict),
    )
    sha256 = file.attrs.get("sha256", dataset.sha256)
    if sha256 != dataset.sha256:
        raise UserError(
            f"the content does not fit its `sha256`, so it was changed or damaged: "
            f"got {sha256}, content {dataset.sha256}; make the file again"
        )
    return dataset


def _attribute(file: h5py.File, name: str, default: Any, kind: type) -> Any:
    text = file.attrs.get(name, json.dumps(default))
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        value = text
    if not isinstance(value, kind):
        got = repr(value)[:60]
        raise UserError(f"the attribute `{name}` must be a {kind.__name__} in JSON: got {got}")
    return value


def _motif_table(motifs: Sequence[Motif]) -> np.ndarray:
    """Return motifs as records, matrices filled up with zeros to the widest."""
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


def _motifs(table: np.ndarray) -> tuple[Motif, ...]:
    return tuple(
        Motif(
            row["id"].decode(),
            row["name"].decode(),
            row["pwm"][: row["width"]].copy(),
            float(row["nsites"]),
        )
        for row in table
    )
