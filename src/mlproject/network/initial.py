"""Initial weights, drawn with numpy: the same numbers on every backend and device.

Keras' own initializers draw different numbers on TensorFlow and on JAX. Sources: Glorot & Bengio,
AISTATS 2010; He et al., ICCV 2015; scaled as Keras scales them.
"""

import math

import numpy as np

TRUNCATED_SD = 0.87962566103423978  # standard deviation of a standard normal cut at +-2


def initial_kernel(init: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the initial kernel of a convolution or dense layer.

    Args:
        init: ``glorot_uniform``, ``glorot_normal``, ``he_uniform`` or ``he_normal``.
        shape: (width, inputs, filters) or (inputs, units).
        seed: of the random numbers.

    Returns:
        float32 of `shape`. Normal weights are cut at twice their standard deviation, as in Keras.
    """
    rng = np.random.default_rng(seed)
    width = math.prod(shape[:-2])
    fan_in, fan_out = width * shape[-2], width * shape[-1]
    variance = 2 / (fan_in + fan_out) if init.startswith("glorot") else 2 / fan_in
    if init.endswith("uniform"):
        limit = math.sqrt(3 * variance)
        return rng.uniform(-limit, limit, shape).astype(np.float32)
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(int(outside.sum()))
    return (values * math.sqrt(variance) / TRUNCATED_SD).astype(np.float32)
