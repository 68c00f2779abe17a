"""Attributions of one sequence by several runs, as plain data for a page."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Place(NamedTuple):
    """A planted motif in the shown region: first and last + 1 position, and its name."""

    start: int
    stop: int
    name: str


class SequenceScores(NamedTuple):
    """Attributions of one test sequence by several runs.

    Attributes:
        sequence: row of the test split.
        classes: names of its classes.
        method: title of the method.
        first: position of the first shown letter, from 1.
        heights: run id -> (positions, 4), the contribution of each letter.
        marks: the planted motifs.
    """

    sequence: int
    classes: tuple[str, ...]
    method: str
    first: int
    heights: Mapping[str, np.ndarray]
    marks: tuple[Place, ...] = ()
