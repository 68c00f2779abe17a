"""The training loss: binary cross-entropy with smoothed labels and weighted classes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from mlproject.data.dataset import blocks
from mlproject.data.rows import Rows
from mlproject.spec import RunSpec

Loss = Callable[[Any, Any], Any]


def cross_entropy(labels: Any, scores: Any) -> Any:
    """Return the binary cross-entropy of a batch, mean over sequences and classes, nats."""
    return ops.mean(keras.losses.binary_crossentropy(ops.cast(labels, "float32"), scores))


def make_loss(spec: RunSpec, labels: Rows) -> Loss:
    """Return the training loss of a batch: `cross_entropy` unless the spec says otherwise.

    Args:
        spec: `label_smoothing` and `class_weight`.
        labels: uint8 (sequences, classes), of the training split. With balanced classes a label
            weighs n / (2 m), where m of the n sequences have it.
    """
    smoothing = spec.label_smoothing
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


def _balanced(labels: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of the labels 0 and 1, two float32 (classes,)."""
    positives = sum(block.sum(axis=0, dtype=np.int64) for block in blocks(labels))
    counts = np.stack([len(labels) - positives, positives])
    weights = len(labels) / (2.0 * np.maximum(counts, 1))
    return weights[0].astype(np.float32), weights[1].astype(np.float32)
