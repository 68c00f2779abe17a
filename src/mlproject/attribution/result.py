"""The result of an attribution method."""

from typing import NamedTuple

import numpy as np

from mlproject.attribution.scores import contributions


class Attributions(NamedTuple):
    """The scores of some sequences by one method, each row for one class.

    Attributes:
        method: name of the method.
        sequences: (rows,) rows of the split.
        targets: (rows,) class numbers.
        codes: (rows, L) uint8.
        scores: (rows, L, 4) float32, contributions of every letter to the logit of the class.
    """

    method: str
    sequences: np.ndarray
    targets: np.ndarray
    codes: np.ndarray
    scores: np.ndarray

    @property
    def contributions(self) -> np.ndarray:
        """The scores of the letters present, (rows, L)."""
        return contributions(self.scores, self.codes)

    @property
    def importance(self) -> np.ndarray:
        """The importance of each position, (rows, L): for most methods the contributions."""
        from mlproject.attribution.methods import METHODS  # which need Keras

        return METHODS[self.method].reading(self.scores, self.codes)
