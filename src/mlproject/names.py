"""Names of classes, and the parts of metric names that are made of them."""

import re
from collections.abc import Iterable, Mapping, Sequence

from mlproject.system.errors import UserError

LONGEST = 150
"""Most characters of a class name: a metric's name has 250 in MLflow, its other parts up to 100."""


def metric_name(name: str) -> str:
    """Return a class name in the letters that a metric name may have: ``A-Za-z0-9_.-``.

    Every other character becomes ``_``; so do dots with nothing else, which would mean folders.
    """
    reduced = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return reduced if reduced.strip(".") else "_" * max(1, len(reduced))


def metric_names(classes: Iterable[str]) -> list[str]:
    """Return the metric names of classes.

    Raises:
        UserError: two classes would share one.
    """
    owners: dict[str, str] = {}
    for name in classes:
        reduced = metric_name(name)
        if reduced in owners:
            raise UserError(
                f"class names must differ in A-Za-z0-9_.-, of which metric names are made: got "
                f"{owners[reduced]!r} and {name!r}, both {reduced}; rename one"
            )
        owners[reduced] = name
    return list(owners)


def check_classes(classes: Sequence[object]) -> None:
    """Raise a `UserError` for class names under which results could not be recorded."""
    names = [name for name in classes if isinstance(name, str) and name.strip()]
    if len(set(names)) != len(classes) or not names:
        raise UserError(f"`classes` must have names that differ: got {str(list(classes))[:200]}")
    for name in names:
        if len(name) > LONGEST or not name.isprintable():
            raise UserError(
                f"a class name must be one line of at most {LONGEST} characters: "
                f"got {len(name)}, {name[:40]!r}"
            )
    metric_names(names)


def classes_of(target_id: str, relevant: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the classes that a target is relevant for.

    Args:
        target_id: such as ``MA0466.2``.
        relevant: class -> ids; one without a version (``MA0466``) stands for every version.
    """
    names = {target_id, target_id.partition(".")[0]}
    return tuple(name for name, ids in relevant.items() if names.intersection(ids))


def motif_names(ids: Sequence[str], relevant: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a name for each planted motif: its class if no other motif is of that class alone."""
    owners = [classes_of(identifier, relevant) for identifier in ids]
    names = [own[0] if len(own) == 1 else "" for own in owners]
    return [
        name if name and names.count(name) == 1 else identifier
        for name, identifier in zip(names, ids, strict=True)
    ]
