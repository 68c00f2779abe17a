"""The type `Dataset`: three checked splits of labelled sequences, with a hash of their content."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlproject.data.checks import check_motifs, check_task, checked_split
from mlproject.data.split import SITE, SPLITS, Split, blocks, label_type
from mlproject.fields import TaskName, canonical_sha256
from mlproject.motifs.pwm import Motif
from mlproject.names import check_classes
from mlproject.system.errors import UserError


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
        windows: split -> where its sequences lie in the genome, as `WINDOW` records; {} if unknown.
            They are not part of the identity.
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
    windows: Mapping[str, np.ndarray] = field(default_factory=dict)

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
    check_motifs(motifs, relevant)
    known = check_task(task, units, classes)
    checked = {
        name: checked_split(f"{name} split", splits[name], classes, motifs, known)
        for name in SPLITS
    }
    lengths = {name: split.codes.shape[1] for name, split in checked.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{length} nt in {name}" for name, length in lengths.items())
        raise UserError(f"sequences must be equally long in all splits: got {got}")
    named = {name: tuple(ids) for name, ids in relevant.items()}
    return Dataset(
        train=checked["train"],
        valid=checked["valid"],
        test=checked["test"],
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


def _array_sha256(array: Any, dtype: np.dtype) -> str:
    digest = hashlib.sha256()
    for block in blocks(array):
        digest.update(np.ascontiguousarray(block, dtype).tobytes())
    return f"{'x'.join(map(str, array.shape))}:{digest.hexdigest()}"
