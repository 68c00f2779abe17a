"""Logits of sequences from the network of a run."""

import keras
import numpy as np

from mlproject.attribution.logits import logit_model
from mlproject.insilico.embedding import Score
from mlproject.network.build import predictor
from mlproject.system.errors import UserError

BATCH = 250
SMALLEST = 1e-7  # float32 knows no probability nearer to 1


def logit_score(model: keras.Model) -> Score:
    """Return the function from codes (N, L) to logits (N, classes), compiled once.

    A network that does not end in a sigmoid of a dense layer gives the logits of its probabilities,
    which are cut off at about 16 in both directions.

    Raises:
        UserError: by the function, if the network gives no probabilities.
    """
    try:
        return predictor(logit_model(model), BATCH)
    except UserError:
        scores = predictor(model, BATCH)
        return lambda codes: logit(_probabilities(scores(codes)))


def _probabilities(values: np.ndarray) -> np.ndarray:
    """Return the outputs of a network; raise a `UserError` if they are no probabilities."""
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise UserError(
            "a network must end in a dense layer, or give probabilities: got outputs from "
            f"{values.min():g} to {values.max():g}; end it in a dense layer"
        )
    return values


def logit(probabilities: np.ndarray) -> np.ndarray:
    """Return log(p / (1 - p)) of probabilities, float64, p at least `SMALLEST` from 0 and 1."""
    p = np.clip(probabilities.astype(np.float64), SMALLEST, 1 - SMALLEST)
    return np.log(p) - np.log1p(-p)
