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


def stream_seed(seed: int, *key: int | str) -> int:
    """Return a 31-bit seed for one stream of random numbers of a run.

    Args:
        seed: the run's seed.
        key: what the stream is for, for example ``"conv1"`` or ``7, "conv1_dropout"``.
    """
    words = [word for part in key for word in ([part] if isinstance(part, int) else part.encode())]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0] >> 1)
