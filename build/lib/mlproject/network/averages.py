"""Batch norm's statistics, measured again with the weights of an epoch's end.

The moving averages of a training lag behind its weights: with a momentum of 0.99 they cover about
the last hundred steps, which are several epochs of a small data set. Validation and test then see
activations that are scaled as they were some epochs ago.
"""

from collections.abc import Iterator, Mapping

import keras
import numpy as np

from mlproject.data.rows import Rows
from mlproject.network import backend
from mlproject.sequence import one_hot

MOST_BATCHES = 50


def measured_statistics(model: keras.Model, codes: Rows, batch_size: int) -> dict[str, np.ndarray]:
    """Return mean and variance of each batch norm layer's input, by the path of its average.

    Batches of evenly spaced sequences pass the network as in training. The mean is that of the
    batches; the variance is their mean variance, and the variance of their means. The model stays
    as it is, except for the state of its dropout layers.

    Args:
        model: the model.
        codes: uint8 (sequences, length), the training split.
        batch_size: sequences a batch.
    """
    layers = [*batch_norms(model)]
    averages = [one for layer in layers for one in (layer.moving_mean, layer.moving_variance)]
    kept = [backend.value(one) for one in averages]
    count = min(MOST_BATCHES, max(len(codes) // batch_size, 1)) if layers else 0
    rows = np.linspace(0, len(codes) - 1, min(count * batch_size, len(codes))).astype(np.int64)
    means: list[list[np.ndarray]] = [[] for _ in layers]
    variances: list[list[np.ndarray]] = [[] for _ in layers]
    for number in range(count):
        for one in averages:
            one.assign(np.zeros(one.shape, np.float32))  # what is added then is the batch's share
        model(one_hot(codes[rows[number::count]]), training=True)
        for layer, mean, variance in zip(layers, means, variances, strict=True):
            share = 1 - float(layer.momentum)
            mean.append(np.asarray(backend.value(layer.moving_mean), np.float64) / share)
            variance.append(np.asarray(backend.value(layer.moving_variance), np.float64) / share)
    for one, value in zip(averages, kept, strict=True):
        one.assign(value)
    found: dict[str, np.ndarray] = {}
    for layer, mean, variance in zip(layers, means, variances, strict=True):
        whole = np.mean(variance, axis=0) + np.var(mean, axis=0)
        found[layer.moving_mean.path] = np.mean(mean, axis=0).astype(np.float32)
        found[layer.moving_variance.path] = whole.astype(np.float32)
    return found


def batch_norms(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    """Yield the batch norm layers of a model, those within other layers too."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer


def assign(model: keras.Model, values: Mapping[str, np.ndarray]) -> None:
    """Assign values to the model's variables with their paths."""
    for variable in model.weights:
        if variable.path in values:
            variable.assign(values[variable.path])
