"""One-hot arrays of others to codes: any order of letters, any type of number."""

from collections.abc import Sequence

import numpy as np

from mlproject.sequence import LETTERS, OTHER


def codes_of_channels(channels: Sequence[np.ndarray], letters: str = LETTERS) -> np.ndarray:
    """Return the codes of four arrays of one shape that say where each letter is.

    Args:
        channels: four arrays of 0 and 1, at most one of them 1 at each place; none is code 4.
        letters: what each stands for.

    Raises:
        ValueError: other numbers, or two letters at one place; its argument is the first place.
    """
    codes = np.full(channels[0].shape, OTHER, np.uint8)
    wrong = np.zeros(channels[0].shape, bool)
    for letter, channel in zip(letters, channels, strict=True):
        values = channel.view(np.uint8) if channel.dtype == bool else channel
        if values.dtype != np.uint8:
            wrong |= values != (values == 1)
            values = (values == 1).view(np.uint8)
        codes -= values * np.uint8(OTHER - LETTERS.index(letter))
        wrong |= values > 1
    total = sum(channel == 1 for channel in channels[1:]) + (channels[0] == 1).view(np.uint8)
    wrong |= total > 1
    if wrong.any():
        raise ValueError(tuple(int(place) for place in np.argwhere(wrong)[0]))
    return codes
