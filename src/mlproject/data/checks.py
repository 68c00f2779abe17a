"""Checks of the parts of a data set: its task, motifs, codes, labels and sites."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mlproject.data.rows import Rows
from mlproject.data.split import SITE, Split, blocks
from mlproject.fields import TASKS, VALUES, TaskName
from mlproject.motifs.pwm import Motif
from mlproject.names import metric_names, motif_names
from mlproject.system.errors import UserError, short_repr
from mlproject.system.messages import quantity


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


def check_motifs(motifs: Sequence[Motif], relevant: Mapping[str, Sequence[str]]) -> None:
    """Check the planted motifs of a data set.

    Raises:
        UserError: rows that are no probabilities, an id with spaces, names that collide.
    """
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


def checked_split(
    name: str, split: Split, classes: Sequence[str], motifs: Sequence[Motif], task: TaskName
) -> Split:
    """Return a split in the types that `Split` says; `name` is for messages.

    Raises:
        UserError: parts that break the rules of `Split`, or do not match.
    """
    if split.codes.ndim != 2 or not split.codes.size:
        raise UserError(f"the {name} must hold sequences, (n, L): got codes of {split.codes.shape}")
    if split.labels.ndim != 2 or len(split.labels) != len(split.codes):
        raise UserError(
            "every sequence needs one row of labels: got "
            f"{quantity(len(split.codes), 'sequence')} and "
            f"labels of {split.labels.shape} in the {name}"
        )
    check_columns(split.labels.shape[1], classes, f"the {name}")
    return Split(
        _exact_uint8(split.codes, 4, f"codes of the {name}"),
        _checked_labels(split.labels, task, f"labels of the {name}"),
        None if split.sites is None else _checked_sites(split.sites, split.codes, motifs, name),
    )


def check_columns(columns: int, classes: Sequence[str], where: str) -> None:
    """Raise a `UserError` if there are not as many columns of labels as classes."""
    if columns != len(classes):
        raise UserError(
            "every class needs one column of labels: got "
            f"{quantity(len(classes), 'class', 'classes')} and "
            f"{quantity(columns, 'column')} in {where}"
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
    for key, values in site.items():
        sites[key] = values
    return sites
