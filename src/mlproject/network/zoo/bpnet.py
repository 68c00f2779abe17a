"""The trunk of BPNet with its head of counts: dilated convolutions, each added to the map.

Source: Avsec et al., Nature Genetics 53, 354-366 (2021), Methods, "BPNet architecture".
"""

import keras
from keras import layers


def build(
    length: int, classes: int, filters: int = 64, width: int = 25, dilated: int = 9
) -> keras.Model:
    """Return the network: one-hot (batch, length, 4) to logits (batch, classes).

    Args:
        length: nt a sequence.
        classes: number of outputs.
        filters: filters of each convolution.
        width: width of the first convolution's filters, nt; its layer is ``conv1``.
        dilated: most dilated convolutions, at distances of 2, 4, 8 nt and so on, as far as these
            are shorter than the sequence.
    """
    inputs = keras.Input((length, 4), name="sequence")
    x = layers.Conv1D(filters, width, padding="same", activation="relu", name="conv1")(inputs)
    for number in range(1, dilated + 1):
        if 2**number >= length:
            break
        inner = layers.Conv1D(
            filters, 3, padding="same", dilation_rate=2**number, activation="relu",
            name=f"dilated{number}",
        )(x)  # fmt: skip
        x = layers.Add(name=f"sum{number}")([x, inner])
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(classes, name="output")(x))
