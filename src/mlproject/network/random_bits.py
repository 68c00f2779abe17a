"""Random numbers that a compiled program draws from a seed, on either backend."""

import math
from typing import Any

from mlproject.network.backend import name

MASK_LEVELS = 65_536  # 16 random bits a value


def keep_mask(seed: Any, shape: tuple[int, ...], rate: float) -> Any:
    """Return a bool array, each value false with probability `rate`, from 16 random bits each.

    Args:
        seed: seed of the backend's stateless generator, from `keras.random.SeedGenerator.next`.
        shape: shape of the result; TensorFlow may not know the first dimension.
        rate: a multiple of 1 / `MASK_LEVELS`.
    """
    limit = round(rate * MASK_LEVELS)
    if name() == "jax":
        import jax

        count = math.prod(shape)
        words = jax.random.bits(seed, (-(-count // 2),), "uint32")
        bits = jax.lax.bitcast_convert_type(words, "uint16").reshape(-1)[:count]
        return bits.reshape(shape) >= limit
    import tensorflow as tf

    shape = tf.shape(tf.zeros(shape)) if None not in shape else shape
    count = tf.reduce_prod(shape)
    words = tf.random.stateless_uniform(
        [(count + 1) // 2], tf.cast(seed, tf.int32), None, None, tf.uint32
    )
    bits = tf.reshape(tf.bitcast(words, tf.uint16), [-1])[:count]
    return tf.reshape(bits, shape) >= tf.constant(limit, tf.uint16)


def normal(seed: Any, shape: tuple[int, ...]) -> Any:
    """Return float32 standard normal numbers of a seed, an int32 scalar tensor."""
    if name() == "jax":
        import jax

        return jax.random.normal(jax.random.key(seed), shape)
    import tensorflow as tf

    return tf.random.stateless_normal(shape, tf.stack([seed, tf.constant(0)]))
