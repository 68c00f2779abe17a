"""The type `Dataset`: three checked splits of labelled sequences, with a hash of their content."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mlproject.data.rows import Rows
from mlproject.fields import TASKS, VALUES, TaskName, canonical_sha256
from mlproject.motifs.pwm import Motif
from mlproject.names import check_classes, metric_names, motif_names
from mlproject.system.errors import UserError, short_repr
from mlproject.system.interrupts import check_interrupts

SPLITS = ("train", "valid", "test")

BLOCK_ROWS = 4096

_FIELDS = {"sequence": "<u4", "start": "<u4", "width": "<u2", "motif": "<u2", "strand": "i1"}
SITE = np.dtype([*_FIELDS.items()])


class Split(NamedTuple):
    """Labelled sequences.

    Attributes:
        codes: (n, L) uint8, A C G T = 0 1 2 3, anything else 4. Large arrays stay in their file and
            are read by rows: a slice or an array of row numbers.
        labels: (n, classes) uint8, 0 or 1; of the task ``multiclass`` with one 1 a row. Large
            arrays of `train` stay in their file too. Of ``regression`` and ``counts``: float32,
            finite; counts are 0 or more.
        sites: the planted motifs as `SITE` records, None if they are unknown. `sequence` is a row
            of `codes`, `start` the first column, `motif` an index of the data set's motifs,
            `strand` 1, or -1 for the reverse complement.
    """

    codes: Rows
    labels: Rows
    sites: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits with their classes and motifs. `make_dataset` creates one.

    Attributes:
        classes: one name per column of the labels.
        relevant: class -> JASPAR ids of its motifs. An id without version stands for all versions.
            A class without an entry has no known motif.
        motifs: the planted motifs, forward strand. Empty if unknown.
        provenance: the origin of the data, for people. It is not part of the identity.
        sha256: the identity, see `content_sha256`.
        task: ``binary``: any of the classes may hold. ``multiclass``: exactly one. ``regression``
            and ``counts``: a column is a measured quantity, an output.
        units: unit of each output, "" if unknown; () for classes.
    """

    train: Split
    valid: Split
    test: Split
    classes: tuple[str, ...]
    relevant: Mapping[str, tuple[str, ...]]
    motifs: tuple[Motif, ...]
    provenance: Mapping[str, Any]
    sha256: str
    task: TaskName = "binary"
    units: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Length of the sequences, nt."""
        return self.train.codes.shape[1]

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name."""
        return {name: getattr(self, name) for name in SPLITS}


def make_dataset(
    splits: Mapping[str, Split],
    classes: Sequence[str],
    relevant: Mapping[str, Sequence[str]],
    motifs: Sequence[Motif] = (),
    provenance: Mapping[str, Any] | None = None,
    task: str = "binary",
    units: Sequence[str] = (),
) -> Dataset:
    """Check the parts of a data set and combine them.

    Args:
        splits: train, valid and test. Codes and labels may have any numeric type.
        classes: see `Dataset`.
        relevant: see `Dataset`.
        motifs: see `Dataset`.
        provenance: see `Dataset`.
        task: see `Dataset`.
        units: see `Dataset`.

    Raises:
        UserError: parts that break the rules of `Split` and `Dataset`, or do not match.
    """
    check_classes(classes)
    for name, ids in relevant.items():
        if name not in classes:
            raise UserError(f"`relevant` must name classes, {', '.join(classes)}: got {name!r}")
        if not isinstance(ids, list | tuple) or not all(
            isinstance(one, str) and one for one in ids
        ):
            raise UserError(f"`relevant` must list JASPAR ids for {name}: got {ids!r}")
    _check_motifs(motifs, relevant)
    known = check_task(task, units, classes)
    checked = {
        name: _checked(f"{name} split", splits[name], classes, motifs, known) for name in SPLITS
    }
    lengths = {name: split.codes.shape[1] for name, split in checked.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{length} nt in {name}" for name, length in lengths.items())
        raise UserError(f"sequences must be equally long in all splits: got {got}")
    named = {name: tuple(ids) for name, ids in relevant.items()}
    return Dataset(
        **checked,
        classes=tuple(classes),
        relevant=named,
        motifs=tuple(motifs),
        provenance=dict(provenance or {}),
        sha256=content_sha256(checked, classes, named, motifs, known, units),
        task=known,
        units=tuple(units),
    )


def content_sha256(
    splits: Mapping[str, Split],
    classes: Sequence[str],
    relevant: Mapping[str, Sequence[str]],
    motifs: Sequence[Motif],
    task: str = "binary",
    units: Sequence[str] = (),
) -> str:
    """Return the SHA-256 of the content without provenance, the same on every platform.

    It combines one hash per array. Arrays larger than memory are hashed in blocks. The task and
    the units enter it unless the task is ``binary``, so that earlier hashes hold.
    """
    hashes = {
        name: [
            _array_sha256(split.codes, np.dtype("u1")),
            _array_sha256(split.labels, label_type(task)),
            None if split.sites is None else _array_sha256(split.sites, SITE),
        ]
        for name, split in splits.items()
    }
    truth = [
        [motif.id, motif.name, float(motif.nsites), _array_sha256(motif.pwm, np.dtype("<f8"))]
        for motif in motifs
    ]
    return canonical_sha256(
        {
            "splits": hashes,
            "classes": list(classes),
            "relevant": {name: list(ids) for name, ids in relevant.items()},
            "motifs": truth,
            **({} if task == "binary" else {"task": task, "units": list(units)}),
        }
    )


def label_type(task: str) -> np.dtype:
    """Return the type of a task's labels: uint8, or float32 for numbers."""
    return np.dtype("<f4" if task in VALUES else "u1")


def check_task(task: object, units: Sequence[object], classes: Sequence[str]) -> TaskName:
    """Return the task of a data set.

    Raises:
        UserError: it is unknown, or the units do not fit it.
    """
    found = next((one for one in TASKS if one == task), None)
    if found is None:
        raise UserError(f"`task` must be {', '.join(TASKS)}: got {short_repr(task)}")
    if found == "multiclass" and len(classes) < 2:
        raise UserError(f"`task=multiclass` needs two classes at least: got {len(classes)}")
    wanted = len(classes) if found in VALUES else 0
    texts = all(isinstance(one, str) and one.isprintable() and len(one) <= 60 for one in units)
    if units and (len(units) != wanted or not texts):
        raise UserError(
            f"`units` must have a text for each of the {wanted} outputs of task={found}: "
            f"got {short_repr(list(units))}"
        )
    return found


def blocks(array: Any, rows: int = BLOCK_ROWS) -> Iterator[np.ndarray]:
    """Yield an array, in memory or in a file, in blocks of `rows` rows."""
    for start in range(0, len(array), rows):
        check_interrupts()
        yield array[start : start + rows]


def _array_sha256(array: Any, dtype: np.dtype) -> str:
    digest = hashlib.sha256()
    for block in blocks(array):
        digest.update(np.ascontiguousarray(block, dtype).tobytes())
    return f"{'x'.join(map(str, array.shape))}:{digest.hexdigest()}"


def _check_motifs(motifs: Sequence[Motif], relevant: Mapping[str, Sequence[str]]) -> None:
    for motif in motifs:
        pwm = motif.pwm
        fine = pwm.ndim == 2 and pwm.shape[0] > 0 and pwm.shape[1] == 4 and (pwm >= 0).all()
        if not (fine and np.allclose(pwm.sum(axis=1), 1.0) and math.isfinite(motif.nsites)):
            raise UserError(
                f"a motif must have rows of probabilities that sum to 1: {motif.id} has not"
            )
        if len(motif.id.split()) != 1:
            raise UserError(f"a motif needs an id without spaces: got {motif.id!r}")
    metric_names(motif_names([motif.id for motif in motifs], relevant))


def _checked(
    name: str, split: Split, classes: Sequence[str], motifs: Sequence[Motif], task: TaskName
) -> Split:
    if split.codes.ndim != 2 or not split.codes.size:
        raise UserError(f"the {name} must hold sequences, (n, L): got codes of {split.codes.shape}")
    if split.labels.ndim != 2 or len(split.labels) != len(split.codes):
        raise UserError(
            f"every sequence needs one row of labels: got {len(split.codes)} sequences "
            f"and labels of {split.labels.shape} in the {name}"
        )
    if split.labels.shape[1] != len(classes):
        raise UserError(
            f"every class needs one column of labels: got {len(classes)} classes "
            f"and {split.labels.shape[1]} columns in the {name}"
        )
    return Split(
        _exact_uint8(split.codes, 4, f"codes of the {name}"),
        _checked_labels(split.labels, task, f"labels of the {name}"),
        None if split.sites is None else _checked_sites(split.sites, split.codes, motifs, name),
    )


def _checked_labels(labels: Rows, task: TaskName, what: str) -> Rows:
    """Return labels in the type of their task; see `Split`."""
    if task in VALUES:
        return _values(labels, 0.0 if task == "counts" else -math.inf, what)
    exact = _exact_uint8(labels, 1, what)
    if task == "multiclass":
        done = 0
        for block in blocks(exact):
            wrong = np.flatnonzero(block.sum(axis=1) != 1)
            if len(wrong):
                raise UserError(
                    f"{what} must have one 1 in each row with task=multiclass: "
                    f"got {int(block[wrong[0]].sum())} in row {done + int(wrong[0])}"
                )
            done += len(block)
    return exact


def _values(array: Rows, least: float, what: str) -> Rows:
    """Return finite numbers as float32. A float32 array is returned itself."""
    if array.dtype.kind not in "buif":
        raise UserError(f"{what} must be numbers: got type {array.dtype}")
    done = 0
    for block in blocks(array):
        with np.errstate(over="ignore"):
            wrong = ~(np.isfinite(block.astype(np.float32)) & (block >= least))
        if wrong.any():
            first = tuple(np.argwhere(wrong)[0])
            rule = "finite" if least < 0 else "finite, 0 or more"
            raise UserError(f"{what} must be {rule}: got {block[first]} in row {done + first[0]}")
        done += len(block)
    return array if array.dtype == np.float32 else np.asarray(array).astype(np.float32)


def _exact_uint8(array: Rows, most: int, what: str) -> Rows:
    """Return integers from 0 to `most` as uint8. A uint8 array is returned itself."""
    if array.dtype.kind not in "buif":
        raise UserError(f"{what} must be integers from 0 to {most}: got type {array.dtype}")
    done = 0
    for block in blocks(array):
        wrong = ~((block >= 0) & (block <= most))
        if array.dtype.kind == "f":
            wrong |= block != np.rint(block)
        if wrong.any():
            first = tuple(np.argwhere(wrong)[0])
            raise UserError(
                f"{what} must be integers from 0 to {most}: "
                f"got {block[first]} in row {done + first[0]}"
            )
        done += len(block)
    return array if array.dtype == np.uint8 else np.asarray(array).astype(np.uint8)


def _checked_sites(raw: np.ndarray, codes: Rows, motifs: Sequence[Motif], name: str) -> np.ndarray:
    fields = SITE.names or ()
    if raw.ndim != 1 or not set(fields) <= set(raw.dtype.names or ()):
        raise UserError(
            f"sites must be records of {', '.join(fields)}: got {raw.dtype} of {raw.shape} "
            f"in the {name}"
        )
    site = {field: raw[field].astype(np.int64) for field in fields}
    widths = np.array([*(motif.width for motif in motifs), 0])
    valid = (
        (site["sequence"] >= 0)
        & (site["sequence"] < len(codes))
        & (site["start"] >= 0)
        & (site["start"] + site["width"] <= codes.shape[1])
        & (site["motif"] >= 0)
        & (site["motif"] < len(motifs))
        & (site["width"] == widths[np.clip(site["motif"], 0, len(motifs))])
        & (np.abs(site["strand"]) == 1)
    )
    if not valid.all():
        wrong = {field: int(values[~valid][0]) for field, values in site.items()}
        raise UserError(
            f"a site must name a motif of the data set and lie in a sequence: got {wrong} "
            f"in the {name}"
        )
    sites = np.empty(len(raw), SITE)
    for field, values in site.items():
        sites[field] = values
    return sites
