"""A copy of a network that computes in float32."""

from typing import Any

import keras


def in_float32(model: keras.Model) -> keras.Model:
    """Return a model that computes in float32 with the same weights: itself, if it does already.

    In bfloat16 the sums of attributions miss the differences of the outputs by percents.
    """
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    config = _float32(keras.saving.serialize_keras_object(model))
    copy = keras.saving.deserialize_keras_object(config, safe_mode=True)
    copy.set_weights(model.get_weights())
    return copy


def _float32(part: Any) -> Any:
    """Return a part of a model's config with float32 for every policy of layers."""
    if isinstance(part, list):
        return [_float32(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("class_name") == "DTypePolicy":
        return part | {"config": {"name": "float32"}}
    return {key: _float32(value) for key, value in part.items()}
