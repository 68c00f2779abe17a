"""The axes of a set of runs: the parameters in which its settings differ."""

from typing import Any

import pandas

from mlproject.fields import jaspar_names, parse_databases
from mlproject.report.trials import varying

DATABASES = "motifs"  # the column that names the motif databases of the runs
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


def database_names(frame: pandas.DataFrame) -> list[str]:
    """Return the name of each run's motif databases: ``jaspar2016``, ``own.meme``.

    Equal contents have one name, wherever their files are. Files of one name that differ get the
    start of their SHA-256: ``own.meme (1a2b3c4d)``.
    """
    known = set(jaspar_names())
    contents: list[tuple[str, ...]] = []
    names: dict[tuple[str, ...], str] = {}
    for motifs, sha256 in zip(frame["motifs"], frame["motifs_sha256"], strict=True):
        hashes = iter(str(sha256).split(","))
        databases = parse_databases(str(motifs))
        content = tuple(one if one in known else next(hashes, "") or one for one in databases)
        contents.append(content)
        files = [one.replace("\\", "/").rpartition("/")[2] for one in databases]
        names.setdefault(content, ",".join(files))
    shared = [*names.values()]
    for content, name in names.items():
        if shared.count(name) > 1:
            starts = ", ".join(one[:8] for one in content if one not in known)
            names[content] = f"{name} ({starts})"
    return [names[content] for content in contents]


def _count(frame: pandas.DataFrame, keys: list[str]) -> int:
    return int(frame.groupby(keys, dropna=False).ngroups)
