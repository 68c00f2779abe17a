"""The motifs that a user names: of classes, factors, databases, filters, or as letters."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlproject import results
from mlproject.data import Dataset
from mlproject.data.relevant import run_relevant
from mlproject.filters.baseline import class_motifs
from mlproject.motifs.databases import factor, meme_database, motifs_of
from mlproject.motifs.pwm import Motif
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest

AUTO = "auto"
MOST = 60
LETTERS = {
    "A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT",
    "M": "AC", "B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT",
}  # fmt: skip

_sequence = re.compile(rf"[{''.join(LETTERS)}]{{2,}}").fullmatch
_filter = re.compile(r"(?:([A-Za-z0-9_.-]+)/)?(filter\d+)").fullmatch


def choose_motifs(
    text: str, run_id: str, spec: RunSpec, data: Dataset
) -> tuple[list[Motif], dict[str, str]]:
    """Return the motifs that a user names, each with its own name, and motif -> class of those.

    Args:
        text: ``auto``, the first motif of each class; or items, comma-separated. An item is a
            class, a factor or an id of the run's databases, letters such as ``GATAA`` or
            ``TGANTCA``, a filter of the run (``filter3``, ``conv2/filter3``), or a MEME file.
        run_id: the run.
        spec: its spec.
        data: its data set.

    Raises:
        UserError: an unknown item, no motif, too many, or one that is wider than the sequences.
    """
    relevant = run_relevant(spec, data)
    known = class_motifs(data, relevant, motifs_of(spec))
    of_class = {name: own[0] for name, own in known.items() if own}
    found: dict[str, Motif] = {}
    owners: dict[str, str] = {}
    if text == AUTO:
        if not of_class:
            raise UserError(
                "`--motifs auto` takes the motifs of the classes, and no class has one: name "
                "motifs, or run with `relevant`"
            )
        for name, motif in of_class.items():
            found[name] = motif._replace(name=name)
            owners[name] = name
    for item in [] if text == AUTO else [part.strip() for part in text.split(",")]:
        for motif in _item(item, run_id, spec, of_class):
            name = motif.name
            if name in found and not np.array_equal(found[name].pwm, motif.pwm):
                name = f"{motif.name} {motif.id}"
            found[name] = motif._replace(name=name)
            if item in of_class:
                owners[name] = item
    if len(found) > MOST:
        raise UserError(f"`--motifs` takes at most {MOST} motifs: got {len(found)}")
    for name, motif in found.items():
        if motif.width > data.length:
            raise UserError(
                f"a motif must fit into the sequences of {data.length} nt: {name} has "
                f"{motif.width}; leave it out"
            )
    return list(found.values()), owners


def _item(item: str, run_id: str, spec: RunSpec, of_class: dict[str, Motif]) -> Sequence[Motif]:
    """Return the motifs of one item; their names are those of figures and tables."""
    if item in of_class:
        return [of_class[item]._replace(name=item)]
    if match := _filter(item):
        layer = match[1] or spec.layers.split(",")[0].replace("first", "conv1")
        clipped = results.filters(run_id, layer).clipped
        own = [motif for motif in clipped if motif.id == match[2]]
        if not own:
            raise UserError(f"`--motifs`: {layer} of the run has no active {match[2]}")
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
        f"`--motifs` must name classes, factors, ids, letters, filters or MEME files: got "
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
