"""Random numbers that a compiled program draws from a seed, on either backend."""

import math
from typing import Any

from mlproject.network.backend import name

MASK_LEVELS = 65_536  # 16 random bits a value
CHUNK = 16_384  # words; a loop over chunks keeps XLA from computing them again where they are read
TURNS = 2  # of that loop at least, since XLA unrolls a loop of one turn
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


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
        words = threefry_words(seed, -(-count // 2))
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


def threefry_words(key: Any, count: int) -> Any:
    """Return `jax.random.bits` of a key, bit for bit, several times as fast on a processor.

    JAX computes the rounds in a loop that writes all words to memory each time. Here they are
    unrolled, so that XLA computes them for a few words at a time in registers.

    Args:
        key: uint32 (2,).
        count: number of words, at most 2^32.

    Returns:
        uint32 (count,).

    Source: Threefry-2x32 with 20 rounds, Salmon et al., SC 2011; the words are counted as in JAX
    with `jax_threefry_partitionable`.
    """
    import jax
    import jax.numpy as jnp

    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(0x1BD11BDA))
    places = jnp.arange(min(-(-count // TURNS), CHUNK), dtype=jnp.uint32)

    def chunk(first: Any) -> Any:
        left, right = keys[0], first + places + keys[1]
        for group in range(5):
            for turn in ROTATIONS[group % 2]:
                left = left + right
                right = ((right << turn) | (right >> (32 - turn))) ^ left
            left = left + keys[(group + 1) % 3]
            right = right + keys[(group + 2) % 3] + jnp.uint32(group + 1)
        return left ^ right

    firsts = jnp.arange(0, count, len(places), dtype=jnp.uint32)
    return jax.lax.map(chunk, firsts).reshape(-1)[:count]


def normal(seed: Any, shape: tuple[int, ...]) -> Any:
    """Return float32 standard normal numbers of a seed, an int32 scalar tensor."""
    if name() == "jax":
        import jax

        return jax.random.normal(jax.random.key(seed), shape)
    import tensorflow as tf

    return tf.random.stateless_normal(shape, tf.stack([seed, tf.constant(0)]))
