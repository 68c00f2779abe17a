"""Initial weights, drawn with numpy: equal on every backend and device.

Keras' initializers draw different numbers on TensorFlow and on JAX. The scale is the same as in
Keras. Sources: Glorot & Bengio, AISTATS 2010; He et al., ICCV 2015.
"""

import math

import numpy as np

TRUNCATED_SD = 0.87962566103423978  # standard deviation of a standard normal truncated at +-2


def initial_kernel(init: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return the initial kernel of a convolution or dense layer.

    Args:
        init: ``glorot_uniform``, ``glorot_normal``, ``he_uniform`` or ``he_normal``.
        shape: (width, inputs, filters) or (inputs, units).
        seed: seed of the random numbers.

    Returns:
        float32 of `shape`. Normal weights are truncated at two standard deviations, as in Keras.
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
