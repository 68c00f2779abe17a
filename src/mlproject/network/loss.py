"""The training loss of a task; for classes with smoothed labels and weighted classes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from mlproject.data.rows import Rows
from mlproject.data.split import blocks
from mlproject.network.value_scores import SMALLEST_RATE
from mlproject.spec import RunSpec

Loss = Callable[[Any, Any], Any]


def cross_entropy(labels: Any, scores: Any) -> Any:
    """Return the binary cross-entropy of a batch, mean over sequences and classes, nats."""
    return ops.mean(keras.losses.binary_crossentropy(ops.cast(labels, "float32"), scores))


def squared_error(values: Any, predicted: Any) -> Any:
    """Return the mean squared error of a batch over sequences and outputs."""
    return ops.mean(ops.square(ops.cast(values, "float32") - predicted))


def poisson(counts: Any, rates: Any) -> Any:
    """Return the negative Poisson log-likelihood less its constant, mean over all outputs."""
    return ops.mean(rates - ops.cast(counts, "float32") * ops.log(rates + SMALLEST_RATE))


def poisson_multinomial(counts: Any, rates: Any) -> Any:
    """Return the negative log-likelihood of each sequence's total and of its shares.

    The total is Poisson distributed, and the outputs share it by a multinomial distribution. Both
    are divided by the number of outputs.

    Source: Linder et al., Nat Genet 57: 949, 2025; the multinomial part is that of Avsec et al.,
    Nat Genet 53: 354, 2021.
    """
    counts = ops.cast(counts, "float32")
    total = ops.sum(rates, axis=-1)
    whole = total - ops.sum(counts, axis=-1) * ops.log(total + SMALLEST_RATE)
    shares = rates / (total[:, None] + SMALLEST_RATE)
    parts = -ops.mean(counts * ops.log(shares + SMALLEST_RATE), axis=-1)
    return ops.mean(whole / counts.shape[-1] + parts)


def make_loss(spec: RunSpec, labels: Rows, task: str = "binary") -> Loss:
    """Return the training loss of a batch.

    Args:
        spec: `loss`, `label_smoothing` and `class_weight`.
        labels: (sequences, classes), of the training split. With balanced classes a label weighs
            n / (2 m), where m of the n sequences have it.
        task: of the data.
    """
    if task == "regression":
        return squared_error
    if task == "counts":
        return poisson if spec.loss == "auto" else poisson_multinomial
    smoothing = spec.label_smoothing
    if task == "multiclass":
        return _exclusive(smoothing)
    if not smoothing and spec.class_weight == "none":
        return cross_entropy
    balanced = spec.class_weight == "balanced"
    negative, positive = _balanced(labels) if balanced else (np.float32(1.0), np.float32(1.0))

    def loss(labels: Any, scores: Any) -> Any:
        truth = ops.cast(labels, "float32")
        target = truth * (1.0 - smoothing) + smoothing / 2
        return ops.mean(
            ops.where(truth > 0.5, positive, negative) * ops.binary_crossentropy(target, scores)
        )

    return loss


def _exclusive(smoothing: float) -> Loss:
    """Return the cross-entropy of classes that exclude each other, mean over sequences, nats."""

    def loss(labels: Any, scores: Any) -> Any:
        truth = ops.cast(labels, "float32")
        target = truth * (1.0 - smoothing) + smoothing / truth.shape[-1]
        return ops.mean(ops.categorical_crossentropy(target, scores))

    return loss


def _balanced(labels: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the labels 0 and 1, two float32 (classes,)."""
    positives = sum(block.sum(axis=0, dtype=np.int64) for block in blocks(labels))
    counts = np.stack([len(labels) - positives, positives])
    weights = len(labels) / (2.0 * np.maximum(counts, 1))
    return weights[0].astype(np.float32), weights[1].astype(np.float32)
