"""Parallel convolutions of several widths on the sequence, joined before the first max-pool."""

from collections.abc import Sequence

import keras
from keras import layers


def build(
    length: int,
    classes: int,
    filters: int = 16,
    widths: Sequence[int] = (7, 13, 19),
    pool: int = 10,
    units: int = 128,
    dropout: float = 0.2,
) -> keras.Model:
    """Return the network.

    Args:
        length: nt a sequence.
        classes: number of outputs.
        filters: filters of each width.
        widths: filter widths, nt; the layers are ``conv7``, ``conv13`` and so on.
        pool: window of the max-pool.
        units: units of the dense layer.
        dropout: dropout after the max-pool and the dense layer.
    """
    inputs = keras.Input((length, 4), name="sequence")
    maps = []
    for width in widths:
        x = layers.Conv1D(filters, width, padding="same", use_bias=False, name=f"conv{width}")(
            inputs
        )
        x = layers.BatchNormalization(name=f"conv{width}_bn")(x)
        maps.append(layers.Activation("relu", name=f"conv{width}_relu")(x))
    x = layers.Concatenate(name="joined")(maps) if len(maps) > 1 else maps[0]
    x = layers.MaxPooling1D(pool, padding="same", name="pool")(x)
    x = layers.Flatten(name="flatten")(layers.Dropout(dropout, name="pool_dropout")(x))
    x = layers.Dense(units, activation="relu", name="dense")(x)
    x = layers.Dropout(dropout, name="dense_dropout")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="sigmoid", name="output")(x))
