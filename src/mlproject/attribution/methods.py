"""The attribution methods by name, and the result of one of them."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import keras
import numpy as np

from mlproject.attribution.deeplift import deeplift
from mlproject.attribution.gradients import saliency, smoothgrad
from mlproject.attribution.logits import Progress, silent
from mlproject.attribution.mutagenesis import ism, ism_window
from mlproject.attribution.path_gradients import (
    expected_gradients,
    integrated_gradients,
    integrated_shuffled,
)
from mlproject.attribution.result import Attributions
from mlproject.attribution.scores import Method, magnitude
from mlproject.fields import ATTRIBUTIONS
from mlproject.network.precision import in_float32
from mlproject.system.errors import UserError, nearest

PROBABILITY: Mapping[str, Any] = {"output": "probability"}
_ROWS: Mapping[str, Method] = {
    "saliency": Method(saliency, magnitude),
    "gradient_x_input": Method(saliency),
    "gradient_x_input_raw": Method(saliency, options={"correct": False}),
    "smoothgrad": Method(smoothgrad, random=True),
    "integrated_gradients": Method(integrated_gradients),
    "expected_gradients": Method(expected_gradients, random=True),
    "deeplift": Method(deeplift, random=True),
    "ism": Method(ism),
    "gradient_x_input_probability": Method(saliency, options={"correct": False, **PROBABILITY}),
    "integrated_gradients_probability": Method(
        integrated_shuffled, random=True, options=PROBABILITY
    ),
    "deeplift_probability": Method(deeplift, random=True, options={"present": True, **PROBABILITY}),
    "ism_probability": Method(ism, magnitude, options={"correct": False, **PROBABILITY}),
    "ism_window": Method(ism_window, random=True, hypothetical=False),
}
METHODS: Mapping[str, Method] = {
    name: _ROWS[name] if name in _ROWS else import_module(f"{__package__}.{name}").METHOD
    for name in ATTRIBUTIONS
}
"""The methods of `ATTRIBUTIONS`; one without a row here has a module of its name with `METHOD`."""


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
    """Attribute the logit of a class of each sequence to its letters, in float32.

    Args:
        model: as `mlproject.network.build.build` returns it, or as MLflow loads it.
        method: one of `METHODS`.
        codes: (rows, L) uint8.
        targets: (rows,) class numbers.
        sequences: numbers of the rows in their split; None: 0, 1, 2, ...
        seed: seed of the methods that draw random numbers.
        progress: called with the number of rows done and their total.

    Raises:
        UserError: an unknown method, or a method without a rule for a layer of the network.
    """
    if method not in METHODS:
        raise UserError(f"unknown method `{method}`: {nearest(method, METHODS)}")
    chosen = METHODS[method]
    options = dict(chosen.options)
    if chosen.random:
        options["rng"] = rng_of(method, seed)
    targets = np.asarray(targets)
    scores = chosen.function(in_float32(model), codes, targets, progress=progress, **options)
    names = np.arange(len(codes)) if sequences is None else sequences
    return Attributions(method, names, targets, codes, scores)


def rng_of(method: str, seed: int) -> np.random.Generator:
    """Return the random generator of a method."""
    return np.random.default_rng([seed, *method.encode()])
