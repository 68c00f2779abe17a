"""Writing the data set file, at once or block by block; `mlproject.data.reading` reads it.

Each of the HDF5 groups train, valid and test has `codes` uint8 (n, L), `labels` (n, classes) and,
for planted motifs, `sites`. The root has `motifs`, and the attributes `classes`, `relevant`,
`provenance` (JSON) and `sha256`. Arrays are neither compressed nor chunked, so that a batch takes a
few short reads.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mlproject.data.checks import check_task
from mlproject.data.dataset import Dataset, content_sha256, make_dataset
from mlproject.data.listing import Listing, listing
from mlproject.data.split import SPLITS, Split, label_type
from mlproject.motifs.pwm import Motif
from mlproject.names import check_classes
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_hdf5


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
            if name in dataset.windows:
                file[f"{name}/windows"] = dataset.windows[name]
        if dataset.motifs:
            file["motifs"] = _motif_table(dataset.motifs)
        _write_attributes(file, dataset)


class NewDatasetFile:
    """A data set file during writing.

    Attributes:
        splits: their codes and labels are arrays in the file, all rows of which must be filled.
        listing: None until the file is complete.
        windows: split -> `WINDOW` records, for data from a genome.
    """

    def __init__(self, splits: dict[str, Split]) -> None:
        self.splits = splits
        self.windows: dict[str, np.ndarray] = {}
        self.listing: Listing | None = None


def check_counts(counts: Mapping[str, int]) -> None:
    """Raise a `UserError` if a split has no sequences."""
    for name in SPLITS:
        if not counts[name]:
            raise UserError(f"every split needs sequences: got none for {name}; choose others")


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
    check_counts(counts)
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
        for name, windows in target.windows.items():
            file[f"{name}/windows"] = windows
        _write_attributes(file, made)


def _write_attributes(file: h5py.File, dataset: Dataset) -> None:
    for name in ("classes", "relevant", "provenance"):
        file.attrs[name] = json.dumps(getattr(dataset, name))
    if dataset.task != "binary":
        file.attrs["task"] = dataset.task
        file.attrs["units"] = json.dumps(dataset.units)
    file.attrs["sha256"] = dataset.sha256


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
