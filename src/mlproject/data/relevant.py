"""The JASPAR motifs of each class, found by the factor's name or given by id."""

import re
from collections.abc import Mapping, Sequence

from mlproject.motifs.databases import JASPAR_2016, jaspar
from mlproject.system.errors import UserError, nearest

_id = re.compile(r"MA\d{4}(\.\d+)?")


def relevant_motifs(
    classes: Sequence[str],
    wanted: str = "auto",
    release: str = JASPAR_2016,
    known: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Return class -> ids of its motifs, without the classes that have none.

    Args:
        classes: names of the classes.
        wanted: ``auto``: a class has the motifs of the factor with its name, in any species.
            ``none``: no class has motifs. Exceptions to ``auto`` are given as
            ``CLASS=ITEM+ITEM,CLASS=ITEM``. An item is an id (``MA0466.2``, or ``MA0466`` for any
            version) or a factor's name. ``CLASS=`` gives a class no motif.
        release: the JASPAR release for factors' names, one of those in `pyjaspar`.
        known: ids that replace ``auto`` for some classes.

    Raises:
        UserError: unknown release, class, id or factor's name.
    """
    names = _ids_by_name(release)
    if wanted == "none":
        return {}
    found = {
        name: tuple((known or {}).get(name) or names.get(_plain(name), ())) for name in classes
    }
    for entry in [] if wanted == "auto" else wanted.split(","):
        name, equals, items = entry.strip().partition("=")
        if not equals or name not in classes:
            raise UserError(
                f"`relevant` must be auto, none, or CLASS=ID+ID,CLASS=ID of the classes "
                f"{', '.join(classes)}: got {entry!r}"
            )
        ids = [_ids(item.strip(), names, release) for item in items.split("+") if item.strip()]
        found[name] = tuple(dict.fromkeys(identifier for group in ids for identifier in group))
    return {name: ids for name, ids in found.items() if ids}


def unmatchable(relevant: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the ids that are not in JASPAR 2016, so that no filter can match them."""
    ids = {motif.id for motif in jaspar()}
    ids |= {identifier.partition(".")[0] for identifier in ids}
    return sorted({one for group in relevant.values() for one in group} - ids)


def _ids(item: str, names: Mapping[str, tuple[str, ...]], release: str) -> tuple[str, ...]:
    if _id.fullmatch(item):
        bases = {identifier for group in names.values() for identifier in group}
        if item.partition(".")[0] not in bases:
            raise UserError(f"no motif {item!r} in {release}: ids look like MA0466.2")
        return (item,)
    if _plain(item) not in names:
        raise UserError(f"no factor {item!r} in {release}: {nearest(item, names)}")
    return names[_plain(item)]


def _ids_by_name(release: str) -> dict[str, tuple[str, ...]]:
    """Return factor, in lower case and without ``(var.2)``, -> ids without version."""
    found: dict[str, list[str]] = {}
    for motif in jaspar(release):
        found.setdefault(_plain(motif.name), []).append(motif.id.partition(".")[0])
    return {name: tuple(dict.fromkeys(ids)) for name, ids in found.items()}


def _plain(name: str) -> str:
    return re.sub(r"\(var\.\d+\)$", "", name).strip().casefold()
