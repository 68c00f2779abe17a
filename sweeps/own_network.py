"""A network of one's own, for `model=sweeps/own_network.py:build`: wide and narrow motifs."""

import keras
from keras import layers, ops


def build(length: int, classes: int, filters: int = 30, pool: int = 25) -> keras.Model:
    """Return the network: one-hot (batch, length, 4) to logits (batch, classes).

    Args:
        length: nt a sequence.
        classes: number of outputs.
        filters: filters of each width.
        pool: window of the max-pool, nt.
    """
    inputs = keras.Input((length, 4))
    maps = []
    for name, width in (("narrow", 9), ("wide", 19)):
        x = layers.Conv1D(filters, width, padding="same", name=name)(inputs)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        maps.append(layers.MaxPooling1D(pool)(x))
    x = layers.Concatenate()(maps)
    x = x * ops.sigmoid(layers.Conv1D(2 * filters, 1)(x))  # a gate at each position
    x = layers.Dense(256, activation="relu")(layers.Dropout(0.1)(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(classes)(layers.Dropout(0.5)(x)))
