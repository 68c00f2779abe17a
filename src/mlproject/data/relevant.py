"""The motifs of each class, found by the factor's name or given by id."""

import difflib
import re
from collections.abc import Mapping, Sequence

from mlproject.data.dataset import Dataset
from mlproject.fields import FROM_DATA, JASPAR_2016
from mlproject.motifs.databases import databases, factor, motifs_of, title_of
from mlproject.motifs.pwm import Motif
from mlproject.names import classes_of
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError

AUTO, NONE = "auto", "none"
MOST_NAMED = 5
Relevant = dict[str, tuple[str, ...]]

_jaspar_id = re.compile(r"(MA\d{4})(\.\d+)?").fullmatch


def relevant_motifs(
    classes: Sequence[str],
    wanted: str = AUTO,
    motifs: str = JASPAR_2016,
    known: Mapping[str, Sequence[str]] | None = None,
) -> Relevant:
    """Return class -> ids of its motifs, without the classes that have none.

    Args:
        classes: names of the classes.
        wanted: ``auto``: a class has the motifs of the factor with its name, in any species.
            ``none``: no class has motifs. Exceptions to ``auto`` are given as
            ``CLASS=ITEM+ITEM,CLASS=ITEM``. An item is an id (``MA0466.2``, or ``MA0466`` for any
            version) or a factor's name. ``CLASS=`` gives a class no motif.
        motifs: the databases, see `mlproject.motifs.databases.databases`.
        known: ids that replace ``auto`` for some classes.

    Raises:
        UserError: unknown database, class, id or factor's name.
    """
    targets, title = databases(motifs), title_of(motifs)
    base, exceptions = _parsed(wanted, classes, (AUTO, NONE))
    names = _ids_by_factor(targets)
    found: Relevant = {}
    if base != NONE:
        found = {
            name: tuple((known or {}).get(name) or names.get(_plain(name), ())) for name in classes
        }
    return _excepted(found, exceptions, targets, title)


def run_relevant(spec: RunSpec, data: Dataset) -> Relevant:
    """Return class -> ids of its motifs in a run, without the classes that have none.

    With the default of `relevant`, ``data``, a class has the ids of the data set; if `motifs` names
    other databases than the default, also those of the factor with the name of the class there.

    Raises:
        UserError: as `relevant_motifs`.
    """
    if spec.relevant == FROM_DATA and spec.motifs == JASPAR_2016:
        return {name: tuple(ids) for name, ids in data.relevant.items()}
    base, exceptions = _parsed(spec.relevant, data.classes, (FROM_DATA, AUTO, NONE))
    targets = motifs_of(spec)
    names = _ids_by_factor(targets)
    found: Relevant = {}
    for name in data.classes:
        recorded = tuple(data.relevant.get(name, ())) if base == FROM_DATA else ()
        by_name = names.get(_plain(name), ())
        if base == NONE or (base == FROM_DATA and spec.motifs == JASPAR_2016):
            by_name = ()
        found[name] = tuple(dict.fromkeys((*recorded, *by_name)))
    return _excepted(found, exceptions, targets, title_of(spec.motifs))


def unmatchable(relevant: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the ids that JASPAR 2016 lacks, so that no filter can match them."""
    ids = {
        one for motif in databases(JASPAR_2016) for one in (motif.id, motif.id.partition(".")[0])
    }
    return sorted({one for group in relevant.values() for one in group} - ids)


def without_motif(
    classes: Sequence[str], relevant: Mapping[str, Sequence[str]], motifs: str = JASPAR_2016
) -> str | None:
    """Return a sentence on the classes without a motif, None if each has one."""
    targets = databases(motifs)
    known = {name for motif in targets for name in classes_of(motif.id, relevant)}
    names = {factor(motif) for motif in targets} - {""}
    plain = {_plain(name) for name in names}
    without = [name for name in classes if name not in known]
    unwanted = [name for name in without if _plain(name) in plain]
    absent = [name for name in without if _plain(name) not in plain]
    said = []
    if absent:
        listed = [
            f"{name} (similar names: {similar})" if (similar := _similar(name, names)) else name
            for name in absent[:MOST_NAMED]
        ]
        said.append(
            f"no motif in {title_of(motifs)} for {_some(listed, len(absent))}: left out of "
            "match_relevant; `relevant` or another database in `motifs` may give one"
        )
    if unwanted:
        said.append(
            f"`relevant` gives no motif to {_some(unwanted, len(unwanted))}: left out of "
            "match_relevant"
        )
    return "; ".join(said) or None


def _some(names: Sequence[str], count: int) -> str:
    more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _parsed(
    wanted: str, classes: Sequence[str], bases: tuple[str, ...]
) -> tuple[str, dict[str, list[str]]]:
    """Return the rule for all classes, and class -> items of the exceptions to it."""
    entries = [entry.strip() for entry in wanted.split(",")]
    base = entries.pop(0) if entries[0] in bases else bases[0]
    exceptions: dict[str, list[str]] = {}
    for entry in entries:
        name, equals, items = entry.partition("=")
        if not equals or name not in classes:
            raise UserError(
                f"`relevant` must be {', '.join(bases)}, or CLASS=ID+ID,CLASS=ID of the classes "
                f"{', '.join(classes)}: got {entry!r}"
            )
        exceptions[name] = [item.strip() for item in items.split("+") if item.strip()]
    return base, exceptions


def _excepted(
    found: Relevant, exceptions: Mapping[str, Sequence[str]], targets: Sequence[Motif], title: str
) -> Relevant:
    for name, items in exceptions.items():
        ids = [_ids(item, targets, title) for item in items]
        found[name] = tuple(dict.fromkeys(one for group in ids for one in group))
    return {name: ids for name, ids in found.items() if ids}


def _ids(item: str, targets: Sequence[Motif], title: str) -> tuple[str, ...]:
    ids = {motif.id for motif in targets}
    if item in ids:
        return (item,)
    if match := _jaspar_id(item):
        if match[1] not in {one.partition(".")[0] for one in ids}:
            raise UserError(f"no motif {item!r} in {title}: ids look like {min(ids)}")
        return (item,)
    names = _ids_by_factor(tuple(targets))
    if _plain(item) not in names:
        similar = _similar(item, {factor(motif) for motif in targets})
        hint = f"did you mean {similar}?" if similar else "give an id, or another database"
        raise UserError(f"no factor {item!r} in {title}: {hint}")
    return names[_plain(item)]


def _ids_by_factor(targets: tuple[Motif, ...]) -> dict[str, tuple[str, ...]]:
    """Return factor, in lower case -> ids; those of JASPAR without version."""
    found: dict[str, list[str]] = {}
    for motif in targets:
        match = _jaspar_id(motif.id)
        found.setdefault(_plain(factor(motif)), []).append(match[1] if match else motif.id)
    found.pop("", None)
    return {name: tuple(dict.fromkeys(ids)) for name, ids in found.items()}


def _similar(name: str, names: set[str]) -> str:
    """Return up to three similar names, "" if there are none."""
    lower = {one.casefold(): one for one in sorted(names)}
    close = difflib.get_close_matches(name.casefold(), lower, n=3, cutoff=0.6)
    return ", ".join(lower[one] for one in close)


def _plain(name: str) -> str:
    return name.strip().casefold()
