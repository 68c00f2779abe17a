"""The axes of a set of runs: the parameters in which its settings differ."""

from typing import Any

import pandas

from mlproject.report.trials import varying

GIVEN_BY_OTHERS = ("dataset_sha256", "metric_version", "training_version", "model_sha256")


def axes_of(frame: pandas.DataFrame) -> list[str]:
    """Return the parameters in which runs differ, without the seed.

    A parameter that another one decides (``pool2`` of ``pool1``) is left out; so is a parameter
    that every run has at another value than the rest only because a file was moved.
    """
    if frame.empty:
        return []
    names = [name for name in varying(frame) if name not in GIVEN_BY_OTHERS and name in frame]
    order = {name: place for place, name in enumerate(frame.columns)}
    names.sort(key=lambda name: (-_count(frame, [name]), order[name]))
    kept: list[str] = []
    for name in names:
        if not kept or _count(frame, [*kept, name]) > _count(frame, kept):
            kept.append(name)
    for name in [*kept]:  # an early one may be decided by several later ones
        rest = [one for one in kept if one != name]
        if rest and _count(frame, rest) == _count(frame, kept):
            kept.remove(name)
    return sorted(kept, key=order.__getitem__)


def value_text(value: Any) -> str:
    """Return a value of an axis as text: ``25``, ``0.001``, ``relu``, ``-`` where it is absent."""
    if value is None or pandas.isna(value):
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _count(frame: pandas.DataFrame, keys: list[str]) -> int:
    return int(frame.groupby(keys, dropna=False).ngroups)
