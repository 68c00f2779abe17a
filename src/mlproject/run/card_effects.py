"""The card's table of embedded motifs: the change of each class's logit."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A motif's effect on a class.

    Attributes:
        text: the effect, logits.
        title: its 95 % interval.
        sure: whether the interval excludes 0.
        own: whether the motif is the class's own.
        share: the effect as share of the largest one without its sign, -1 to 1.
    """

    text: str
    title: str
    sure: bool
    own: bool
    share: float


class EffectTable(NamedTuple):
    """Effects of motifs (rows) on classes (columns)."""

    classes: list[str]
    rows: list[tuple[str, list[Cell]]]


def effect_table(effects: Sequence[Mapping[str, Any]], owners: Mapping[str, str]) -> EffectTable:
    """Return the rows of ``embedding/effects.csv`` as a table, a row for each motif.

    Args:
        effects: rows with ``motif``, ``class``, ``effect``, ``low`` and ``high``.
        owners: motif -> class, for the classes' own motifs.
    """
    classes = [str(name) for name in dict.fromkeys(row["class"] for row in effects)]
    most = max((abs(row["effect"]) for row in effects), default=0.0) or 1.0
    rows: dict[str, list[Cell]] = {}
    for row in effects:
        name = str(row["motif"])
        cell = Cell(
            _signed(row["effect"]),
            f"{_signed(row['low'])} to {_signed(row['high'])}",
            row["low"] > 0 or row["high"] < 0,
            owners.get(name) == row["class"],
            row["effect"] / most,
        )
        rows.setdefault(name, []).append(cell)
    return EffectTable(classes, list(rows.items()))


def _signed(value: float) -> str:
    return f"{round(value, 2) + 0.0:+.2f}".replace("-", "\u2212")
