"""Completeness: the sum of contributions against the difference of sequence and reference logit."""

import keras
import numpy as np

from mlproject.attribution.deeplift import REFERENCES
from mlproject.attribution.logits import logit_model
from mlproject.attribution.methods import Attributions, rng_of
from mlproject.attribution.references import UNIFORM, shuffled
from mlproject.network.build import predict
from mlproject.network.precision import in_float32
from mlproject.sequence import OTHER


def completeness_error(model: keras.Model, found: Attributions, seed: int) -> float | None:
    """Return the error of the sums of contributions, relative to the differences of the logits.

    Args:
        model: the network.
        found: the attributions.
        seed: the seed that they were computed with.

    Returns:
        The mean absolute error of the sums, as a share of the mean absolute difference of the
        logits. None for methods that do not promise a sum, and if every sequence has an unknown
        letter.
    """
    known = (found.codes != OTHER).all(axis=1)
    if found.method not in ("integrated_gradients", "deeplift") or not known.any():
        return None
    inner = logit_model(in_float32(model))
    if found.method == "deeplift":
        others = shuffled(found.codes, REFERENCES, rng_of(found.method, seed))
        scores = predict(inner, others.reshape(-1, found.codes.shape[1]))
        start = scores.reshape(len(others), REFERENCES, -1).mean(axis=1)
    else:
        uniform = np.full((1, found.codes.shape[1], 4), UNIFORM, np.float32)
        scores = keras.ops.convert_to_numpy(inner([uniform], training=False))
        start = np.repeat(scores, len(found.codes), axis=0)
    rows = np.arange(len(found.codes))
    wanted = (predict(inner, found.codes) - start)[rows, found.targets][known]
    errors = found.contributions.sum(axis=1)[known] - wanted
    return float(np.abs(errors).mean() / max(float(np.abs(wanted).mean()), 1e-12))
