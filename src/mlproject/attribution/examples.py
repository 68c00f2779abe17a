"""The contributions of a few sequences as text, so that runs can be compared without their arrays.

The rows are the same in all runs on the same data set, since they do not depend on the network.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas

from mlproject.attribution.result import Attributions
from mlproject.sequence import LETTERS

COUNT = 6
UNKNOWN = "N"


class Example(NamedTuple):
    """The contributions of the letters of one sequence to one class.

    Attributes:
        sequence: row of the test split.
        target: name of the class.
        codes: (L,) uint8.
        contributions: (L,) float64 of three digits.
    """

    sequence: int
    target: str
    codes: np.ndarray
    contributions: np.ndarray


def example_rows(targets: np.ndarray, count: int = COUNT) -> np.ndarray:
    """Return up to `count` rows, in turn the next row of each class.

    Args:
        targets: (rows,) class numbers.
        count: number of rows.
    """
    rank = np.zeros(len(targets), np.int64)
    for target in np.unique(targets):
        own = np.flatnonzero(targets == target)
        rank[own] = np.arange(len(own))
    return np.lexsort((targets, rank))[:count]


def example_table(found: Attributions, classes: Sequence[str]) -> pandas.DataFrame:
    """Return one line for each example: sequence, class, letters, contributions."""
    rows = example_rows(found.targets)
    chosen = found._replace(codes=found.codes[rows], scores=found.scores[rows])
    alphabet = np.array([*LETTERS, UNKNOWN])
    return pandas.DataFrame(
        {
            "sequence": found.sequences[rows],
            "class": [classes[target] for target in found.targets[rows]],
            "letters": ["".join(alphabet[np.minimum(one, 4)]) for one in chosen.codes],
            "contributions": [
                " ".join(f"{value:.3g}" for value in one) for one in chosen.importance
            ],
        }
    )


def parse_examples(table: pandas.DataFrame) -> Iterable[Example]:
    """Yield the examples of a table of `example_table`.

    Raises:
        ValueError: a line has another number of letters than of contributions.
    """
    known = {letter: code for code, letter in enumerate((*LETTERS, UNKNOWN))}
    for line in table.to_dict("records"):
        codes = np.array([known[letter] for letter in str(line["letters"])], np.uint8)
        values = np.array(str(line["contributions"]).split(), float)
        if len(codes) != len(values) or not np.isfinite(values).all():
            raise ValueError(f"sequence {line['sequence']}: {len(codes)} letters, {values}")
        yield Example(int(line["sequence"]), str(line["class"]), codes, values)
