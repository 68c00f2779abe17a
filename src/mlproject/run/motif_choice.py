"""The motifs that a user names: of classes, factors, databases, filters, or as letters."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from mlproject.data import Dataset
from mlproject.data.relevant import run_relevant
from mlproject.filters.baseline import class_motifs
from mlproject.motifs.databases import factor, meme_database, motifs_of
from mlproject.motifs.pwm import Motif
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest

AUTO, NONE = "auto", "none"
MOST = 60
LETTERS = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT",
    "M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip

FiltersOf: TypeAlias = Callable[[str], Sequence[Motif]]
"""The filters of a layer as motifs, named ``filter0`` and so on, those that are dead left out."""

_sequence = re.compile(rf"[{''.join(LETTERS)}]{{2,}}").fullmatch
_filter = re.compile(r"(?:([A-Za-z0-9_.-]+)/)?(filter\d+)").fullmatch


def check_motifs(spec: RunSpec, data: Dataset) -> None:
    """Raise a `UserError` for an item of `embedded` that `choose_motifs` would refuse.

    Filters are left out: they exist after the training.
    """
    items = [item for item in spec.embedded.split(",") if not _filter(item)]
    if items and spec.embedded != NONE:
        choose_motifs(",".join(items), spec, data, lambda layer: ())


def choose_motifs(
    text: str, spec: RunSpec, data: Dataset, filters_of: FiltersOf, first_layer: str = ""
) -> tuple[list[Motif], dict[str, str]]:
    """Return the motifs that a user names, each with its own name, and motif -> class of those.

    Args:
        text: items, comma-separated. An item is ``auto`` (the first motif of each class), a
            class, a factor or an id of the run's databases, letters such as ``GATAA`` or
            ``TGANTCA``, a filter of the run (``filter3``, ``conv2/filter3``), or a MEME file.
        spec: the run's spec.
        data: its data set.
        filters_of: the run's filters.
        first_layer: the layer of a filter that is named without one.

    Raises:
        UserError: an unknown item, no motif, too many, or one that is wider than the sequences.
    """
    relevant = run_relevant(spec, data)
    known = class_motifs(data, relevant, motifs_of(spec))
    of_class = {name: own[0] for name, own in known.items() if own}
    found: dict[str, Motif] = {}
    owners: dict[str, str] = {}
    for item in (part.strip() for part in text.split(",")):
        if item == AUTO:
            if not of_class:
                raise UserError(
                    "`auto` embeds the motifs of the classes, and no class has one: name motifs, "
                    "or run with `relevant`"
                )
            found |= {name: motif._replace(name=name) for name, motif in of_class.items()}
            owners |= {name: name for name in of_class}
            continue
        for motif in _item(item, spec, of_class, filters_of, first_layer):
            name = motif.name
            if name in found and not np.array_equal(found[name].pwm, motif.pwm):
                name = f"{motif.name} {motif.id}"
            while name in found and not np.array_equal(found[name].pwm, motif.pwm):
                name += "_"
            found[name] = motif._replace(name=name)
            if item in of_class:
                owners[name] = item
    if len(found) > MOST:
        raise UserError(f"at most {MOST} motifs can be embedded: got {len(found)}")
    for name, motif in found.items():
        if motif.width > data.length:
            raise UserError(
                f"a motif must fit into the sequences of {data.length} nt: {name[:60]} has "
                f"{motif.width}; leave it out"
            )
    return list(found.values()), owners


def _item(
    item: str,
    spec: RunSpec,
    of_class: dict[str, Motif],
    filters_of: FiltersOf,
    first_layer: str,
) -> Sequence[Motif]:
    """Return the motifs of one item; their names are those of figures and tables."""
    if item in of_class:
        return [of_class[item]._replace(name=item)]
    if match := _filter(item):
        layer = match[1] or first_layer
        own = [motif for motif in filters_of(layer) if motif.id == match[2]]
        if not own:
            raise UserError(
                f"{layer} of the run has no {match[2]}, or it is dead: name another filter"
            )
        return [own[0]._replace(name=item)]
    if Path(item).suffix in (".meme", ".gz", ".txt"):
        return [motif._replace(name=motif.name or motif.id) for motif in meme_database(Path(item))]
    targets = motifs_of(spec)
    for motif in targets:
        if item in (motif.id, motif.id.partition(".")[0]):
            return [motif._replace(name=factor(motif) or motif.id)]
    for motif in targets:
        if factor(motif).casefold() == item.casefold() and item:
            return [motif._replace(name=factor(motif))]
    if _sequence(item.upper()):
        return [Motif(item.upper(), item.upper(), consensus_pwm(item.upper()), 1.0)]
    names = {factor(motif) for motif in targets} | {*of_class} - {""}
    raise UserError(
        "a motif to embed must be a class, a factor, an id, letters, a filter or a MEME file: got "
        f"{item!r}; {nearest(item, names) if len(names) < 100 else _close(item, names)}"
    )


def consensus_pwm(letters: str) -> np.ndarray:
    """Return letters, IUPAC's included, as probabilities (width, 4)."""
    rows = [["ACGT".index(one) for one in LETTERS[letter]] for letter in letters]
    pwm = np.zeros((len(rows), 4))
    for number, row in enumerate(rows):
        pwm[number, row] = 1 / len(row)
    return pwm


def _close(item: str, names: set[str]) -> str:
    hint = nearest(item, names)
    return hint if hint.startswith("did you") else "write GATAA for letters"
