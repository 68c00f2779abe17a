"""The methods by name, and what one of them says about some sequences."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np

from mlproject.attribution.deeplift import deeplift
from mlproject.attribution.gradients import (
    expected_gradients,
    integrated_gradients,
    saliency,
    smoothgrad,
)
from mlproject.attribution.mutagenesis import ism, ism_window
from mlproject.attribution.network import Progress, silent
from mlproject.attribution.scores import contributions, magnitude
from mlproject.spec import ATTRIBUTIONS
from mlproject.system.errors import UserError, nearest


class Method(NamedTuple):
    """One way to attribute.

    Attributes:
        title: its name for people.
        function: from a model, codes (N, L), classes (N,) to scores (N, L, 4).
        reading: from scores and codes to one importance a position, (N, L).
        options: what the function is told besides.
        random: whether it needs random numbers.
        hypothetical: whether it has a score for letters that are not there.
    """

    title: str
    function: Callable[..., np.ndarray]
    reading: Callable[[np.ndarray, np.ndarray], np.ndarray] = contributions
    options: Mapping[str, Any] = {}
    random: bool = False
    hypothetical: bool = True


METHODS: Mapping[str, Method] = {
    "saliency": Method("Saliency", saliency, magnitude),
    "gradient_x_input": Method("Gradient × input", saliency),
    "gradient_x_input_raw": Method(
        "Gradient × input, not centred", saliency, options={"correct": False}
    ),
    "smoothgrad": Method("SmoothGrad × input", smoothgrad, random=True),
    "integrated_gradients": Method("Integrated gradients", integrated_gradients),
    "expected_gradients": Method("Expected gradients", expected_gradients, random=True),
    "deeplift": Method("DeepLIFT", deeplift, random=True),
    "ism": Method("In silico mutagenesis", ism),
    "ism_window": Method("Windowed mutagenesis", ism_window, random=True, hypothetical=False),
}
assert tuple(METHODS) == ATTRIBUTIONS


class Attributions(NamedTuple):
    """What a method says about some sequences, each for one of its classes.

    Attributes:
        method: its name.
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
        """How much each position matters, (rows, L): as a rule the contributions."""
        return METHODS[self.method].reading(self.scores, self.codes)


def attribute(
    model: keras.Model,
    method: str,
    codes: np.ndarray,
    targets: np.ndarray,
    *,
    sequences: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Attributions:
    """Attribute the logit of a class of each sequence to its letters.

    Args:
        model: as `mlproject.network.build.build` returns it, or as MLflow loads it.
        method: one of `METHODS`.
        codes: (rows, L) uint8.
        targets: (rows,) class numbers.
        sequences: what the rows are called; None: 0 on.
        seed: of the methods that draw random numbers.
        progress: told how much is done, of how much.

    Raises:
        UserError: an unknown method, or one that has no rule for a layer of the network.
    """
    if method not in METHODS:
        raise UserError(f"unknown method `{method}`: {nearest(method, METHODS)}")
    chosen = METHODS[method]
    options = dict(chosen.options)
    if chosen.random:
        options["rng"] = rng_of(method, seed)
    targets = np.asarray(targets)
    scores = chosen.function(model, codes, targets, progress=progress, **options)
    names = np.arange(len(codes)) if sequences is None else sequences
    return Attributions(method, names, targets, codes, scores)


def rng_of(method: str, seed: int) -> np.random.Generator:
    """Return the random numbers that a method draws from."""
    return np.random.default_rng([seed, *method.encode()])
