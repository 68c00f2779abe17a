"""The residual network of Koo & Ploenzke, Nat Mach Intell 3: 258, 2021, for ZBED2 ChIP-seq.

Convolution of 24 x 19, batch norm, activation, dropout 0.1; a residual block of two convolutions;
max-pool 10; convolutions of 48 x 7 and 64 x 3 with max-pools 5 and 4; a dense layer of 96 units.
"""

from typing import Any

import keras
from keras import layers

SHORTEST = 300  # nt; the max-pools leave less than a filter of shorter sequences
L2 = 1e-6


def build(length: int, classes: int, activation: str = "relu") -> keras.Model:
    """Return the network.

    Args:
        length: nt a sequence, at least `SHORTEST`.
        classes: number of outputs.
        activation: of the first layer: relu, exponential, or another of Keras.
    """
    inputs = keras.Input((length, 4), name="sequence")
    x = _convolution(24, 19, "same", "conv1")(inputs)
    x = layers.BatchNormalization(name="conv1_bn")(x)
    x = layers.Activation(activation, name="conv1_activation")(x)
    x = layers.Dropout(0.1)(x)
    x = layers.MaxPooling1D(10)(_residual(x))
    for filters, width, padding, rate, pool in ((48, 7, "same", 0.3, 5), (64, 3, "valid", 0.4, 4)):
        x = _convolution(filters, width, padding)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.MaxPooling1D(pool)(layers.Dropout(rate)(x))
    x = layers.Dense(96, use_bias=False, kernel_regularizer=_l2())(layers.Flatten()(x))
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(classes, activation="sigmoid")(layers.Dropout(0.5)(x)))


def _residual(x: Any) -> Any:
    """Return a map plus two convolutions of it, after an activation."""
    y = x
    for number in (1, 2):
        y = layers.Conv1D(
            24, 5, padding="same", use_bias=False, activation="relu",
            kernel_initializer="he_normal", kernel_regularizer=_l2(), name=f"residual{number}",
        )(y)  # fmt: skip
        y = layers.BatchNormalization()(y)
        y = layers.Activation("relu")(y) if number == 1 else y
    return layers.Activation("relu")(layers.Add()([x, y]))


def _convolution(filters: int, width: int, padding: str, name: str | None = None) -> keras.Layer:
    return layers.Conv1D(
        filters, width, padding=padding, use_bias=False, kernel_regularizer=_l2(), name=name
    )


def _l2() -> keras.regularizers.Regularizer:
    return keras.regularizers.L2(L2)
