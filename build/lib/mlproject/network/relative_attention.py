"""Multi-head self-attention with relative positions, the one layer that Keras does not have.

A saved model that has it loads after ``import mlproject.network.relative_attention``.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

FARTHEST = 64  # positions; larger distances share one bias


@keras.saving.register_keras_serializable(package="mlproject")
class RelativeAttention(layers.Layer):
    """Multi-head self-attention; each head adds a learned bias for the distance of two positions.

    Distances beyond `FARTHEST` positions count as `FARTHEST`.

    Source: Vaswani et al. 2017; the bias is that of Raffel et al., JMLR 21(140), 2020, without
    buckets.
    """

    def __init__(self, heads: int, key: int, **options: Any) -> None:
        """Make the layer.

        Args:
            heads: number of heads.
            key: size of each head's queries, keys and values.
            options: of `keras.layers.Layer`.
        """
        super().__init__(**options)
        self.heads, self.key = heads, key
        self.query_key_value = layers.Dense(3 * heads * key, use_bias=False, name="qkv")

    def build(self, shape: tuple[Any, ...]) -> None:
        """Make the weights for maps of `shape`: (batch, positions, channels)."""
        _, self.positions, channels = shape
        self.query_key_value.build(shape)
        self.output_dense = layers.Dense(channels, name="output")
        self.output_dense.build((None, self.positions, self.heads * self.key))
        self.bias = self.add_weight(
            name="relative_bias", shape=(2 * FARTHEST + 1, self.heads), initializer="zeros"
        )

    def call(self, x: Any) -> Any:
        """Return the attended map (batch, positions, channels)."""
        query, key, value = self.split(x)
        weights = ops.softmax(self.scores(query, key) + self.relative(), axis=-1)
        return self.joined(self.weighted(weights, value))

    def split(self, x: Any) -> list[Any]:
        """Return queries, keys and values, each (batch, positions, heads, key)."""
        shape = (-1, self.positions, 3, self.heads, self.key)
        return list(ops.unstack(ops.reshape(self.query_key_value(x), shape), axis=2))

    def scores(self, query: Any, key: Any) -> Any:
        """Return the scaled products (batch, heads, query positions, key positions)."""
        return ops.einsum("bqhk,bphk->bhqp", query, key) / np.sqrt(self.key)

    def weighted(self, weights: Any, value: Any) -> Any:
        """Return the weighted sums of values, (batch, positions, heads, key)."""
        return ops.einsum("bhqp,bphk->bqhk", weights, value)

    def joined(self, found: Any) -> Any:
        """Return the heads joined by the last dense layer, (batch, positions, channels)."""
        flat = ops.reshape(found, (-1, self.positions, self.heads * self.key))
        return self.output_dense(flat)

    def relative(self) -> Any:
        """Return the bias of each head, query and key position, (heads, positions, positions)."""
        place = np.arange(self.positions)
        distance = np.clip(place[None, :] - place[:, None], -FARTHEST, FARTHEST) + FARTHEST
        return ops.transpose(ops.take(self.bias, distance, axis=0), (2, 0, 1))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the layer again."""
        return {**super().get_config(), "heads": self.heads, "key": self.key}
