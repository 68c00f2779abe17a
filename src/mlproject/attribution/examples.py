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


def in_turn(targets: np.ndarray) -> np.ndarray:
    """Return the order of rows that takes from each class in turn its next row.

    Args:
        targets: (rows,) class numbers.
    """
    return np.lexsort((targets, pandas.Series(targets).groupby(targets).cumcount()))


def example_table(found: Attributions, classes: Sequence[str]) -> pandas.DataFrame:
    """Return one line for each example: sequence, class, letters, contributions."""
    rows = in_turn(found.targets)[:COUNT]
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
