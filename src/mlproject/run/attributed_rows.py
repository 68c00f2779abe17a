"""The rows to attribute: some test sequences, each for some of its classes."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from mlproject.attribution.examples import in_turn
from mlproject.data import Dataset
from mlproject.fields import VALUES
from mlproject.network.build import predict
from mlproject.system.errors import UserError, nearest


class Choice(NamedTuple):
    """The test sequences to attribute, and the classes to attribute each of them for.

    Attributes:
        sequences: the number of sequences, drawn evenly over the classes: from each class in turn
            the next sequence; None: all.
        above: attribute the classes or outputs whose prediction exceeds this; None: the classes
            that the labels give, and all outputs that are numbers.
        classes: attribute these classes only; () = all.
    """

    sequences: int | None = 300
    above: float | None = None
    classes: tuple[str, ...] = ()

    def rows(self, models: Sequence[keras.Model], data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Return the sequence and the class of each row to attribute, ordered by sequence.

        Args:
            models: the networks, whose mean predictions `above` compares.
            data: their data set.

        Raises:
            UserError: a class is unknown, or no row remains.
        """
        for name in self.classes:
            if name not in data.classes:
                raise UserError(f"unknown class {name!r}: {nearest(name, data.classes)}")
        marked = np.asarray(data.test.labels) == 1
        if data.task in VALUES:
            marked = np.ones_like(marked)
        if self.above is not None:
            marked = np.mean([predict(one, data.test.codes) for one in models], axis=0) > self.above
        if self.classes:
            marked &= np.isin(data.classes, self.classes)
        chosen = drawn(marked, self.sequences)
        rows, targets = np.nonzero(marked[chosen])
        sequences = chosen[rows]
        if not len(sequences):
            raise UserError(
                f"there must be sequences to attribute: of {len(marked)} test sequences none has "
                + ("a label of 1" if self.above is None else f"a score above {self.above}")
                + (f" for {', '.join(self.classes)}" if self.classes else "")
            )
        return sequences, targets


def drawn(marked: np.ndarray, count: int | None) -> np.ndarray:
    """Return rows with a mark, ascending: in turn the next one of each column.

    Args:
        marked: (rows, columns) bool.
        count: number of rows; None: all rows with a mark.
    """
    if count is None:
        return np.flatnonzero(marked.any(axis=1))
    rows, columns = np.nonzero(marked)
    order = rows[in_turn(columns)].tolist()
    return np.sort(np.array(list(dict.fromkeys(order))[:count], dtype=np.int64))
