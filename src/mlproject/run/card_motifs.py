"""The motifs at the top of a card: those of the classes, and the filters that match them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlproject.draw.svg import single
from mlproject.fields import VALUES
from mlproject.filters.reading import LayerReading, classes_of, filters_by_class
from mlproject.motifs.pwm import Motif


class _Shown(NamedTuple):
    """A box: its title, its class, its motif, None if unknown, and the ids that count."""

    name: str
    owner: str
    motif: Motif | None
    ids: tuple[str, ...]


def card_motifs(
    task: str,
    relevant: Mapping[str, Sequence[str]],
    known: Sequence[Motif],
    readings: Sequence[LayerReading],
) -> list[dict[str, Any]]:
    """Return the logo of each class with relevant motifs, and the filters that match it.

    The motifs of an output that is a number act each in its own way: each has a box of its own.

    Args:
        task: of the data.
        relevant: class -> ids of its motifs.
        known: the planted motifs, then those of the database.
        readings: the layers.
    """
    boxes: list[_Shown] = []
    for name, ids in relevant.items():
        own = [motif for motif in known if name in classes_of(motif.id, relevant)]
        if task in VALUES and len(ids) > 1:
            boxes += [_single(name, one, own) for one in ids]
        elif ids:
            boxes.append(_Shown(name, name, own[0] if own else None, tuple(ids)))
    columns = max((box.motif.width for box in boxes if box.motif), default=1)
    rows = []
    for box in boxes:
        found = [
            (reading.layer, filters_by_class(reading, {box.name: box.ids})[box.name])
            for reading in readings
        ]
        motif = box.motif
        logo = single(motif.pwm, f"Motif {motif.id}", columns) if motif else ""
        rows.append(
            {"name": box.name, "owner": box.owner, "motif": motif, "logo": logo}
            | {"filters": found, "found": any(filters for _, filters in found)}
        )
    return rows


def _single(owner: str, identifier: str, own: Sequence[Motif]) -> _Shown:
    """Return the box of one motif of an output."""
    fitting = [one for one in own if identifier in (one.id, one.id.partition(".")[0])]
    motif = fitting[0] if fitting else None
    return _Shown(motif.name or identifier if motif else identifier, owner, motif, (identifier,))
