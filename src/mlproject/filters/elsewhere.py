"""Filters that the network needs and that no motif of the chosen databases explains."""

from collections.abc import Sequence
from typing import NamedTuple

from mlproject.fields import parse_databases
from mlproject.filters.ablation import Ablation
from mlproject.filters.reading import LayerReading
from mlproject.motifs.databases import factor, jaspar, title_of
from mlproject.motifs.tomtom import tomtom

OTHERS = ("jaspar2026", "jaspar2026_all", "jaspar2024")


class Unexplained(NamedTuple):
    """A filter that drives classes and matches nothing.

    Attributes:
        filter: its number.
        drives: the classes that lose AUROC without it.
        database: the other database that was searched, as people read it.
        name: factor of its best match there, "" if there is none.
        e_value: of that match, 0 if there is none.
    """

    filter: int
    drives: tuple[str, ...]
    database: str
    name: str
    e_value: float


def unexplained(
    reading: LayerReading, ablation: Ablation, motifs: str, evalue: float = 0.1
) -> list[Unexplained]:
    """Return the filters that drive a class and match nothing, with their best match elsewhere.

    Args:
        reading: the layer.
        ablation: its ablation.
        motifs: the databases of the run.
        evalue: largest E-value of a match.
    """
    matched = {match.query_id for match in reading.matches}
    numbers = {motif.id: number for number, motif in enumerate(reading.motifs)}
    queries = [
        motif
        for motif in reading.clipped
        if motif.id not in matched and ablation.drives(numbers[motif.id])
    ]
    if not queries:
        return []
    other = next(name for name in OTHERS if not _has(parse_databases(motifs), name))
    targets = jaspar(other)
    names = {motif.id: factor(motif) or motif.id for motif in targets}
    best: dict[str, tuple[str, float]] = {}
    for match in tomtom(queries, targets, evalue):
        best.setdefault(match.query_id, (names[match.target_id], match.e_value))
    return [
        Unexplained(
            numbers[motif.id],
            tuple(ablation.drives(numbers[motif.id])),
            title_of(other),
            *best.get(motif.id, ("", 0.0)),
        )
        for motif in queries
    ]


def _has(chosen: Sequence[str], name: str) -> bool:
    """Return whether the chosen databases hold all motifs of another one."""
    return name in chosen or f"{name}_all" in chosen
