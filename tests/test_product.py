"""Products of matrices in faster forms: those of float64 up to rounding."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from mlproject.network import backend
from mlproject.network.fast_pass import training_pass
from mlproject.network.fast_pass.product import FEW, product

EPSILON = float(np.finfo(np.float32).eps)
ROUNDINGS = 32  # sums are added up in blocks; one by one it would be the number of terms


@pytest.mark.parametrize("columns", [1, 12, FEW, FEW + 7])
@pytest.mark.parametrize(("rows", "numbers"), [(100, 256), (7, 3), (1, 1)])
def test_a_product_and_its_gradients_are_those_of_float64(
    rows: int, numbers: int, columns: int
) -> None:
    if backend.name() != "jax":
        pytest.skip("its gradient is for JAX only")
    import jax

    rng = np.random.default_rng(0)
    x, factor, upstream = (
        rng.standard_normal(shape).astype(np.float32)
        for shape in ((rows, numbers), (numbers, columns), (rows, columns))
    )

    def loss(x: object, factor: object) -> object:
        return ops.sum(product(x, factor) * upstream)

    found = jax.jit(product)(x, factor), *jax.jit(jax.grad(loss, argnums=(0, 1)))(x, factor)
    pairs = ((x, factor), (upstream, factor.T), (x.T, upstream))
    for one, pair in zip(found, pairs, strict=True):
        left, right = (matrix.astype(np.float64) for matrix in pair)
        size = np.abs(left) @ np.abs(right)
        assert np.all(np.abs(one - left @ right) <= ROUNDINGS * EPSILON * size)


def test_dense_layers_of_any_kind_give_what_the_model_gives() -> None:
    inputs = keras.Input((40, 4))
    x = layers.Conv1D(6, 5, padding="same")(inputs)
    x = layers.MaxPooling1D(4, padding="same")(layers.BatchNormalization()(x))
    x = layers.Dense(7, activation="tanh")(x)  # of each position
    x = layers.Dense(9, use_bias=False)(layers.Flatten()(x))
    adapted = layers.Dense(8, activation="relu", kernel_regularizer="l2")
    x = adapted(layers.LeakyReLU()(x))
    model = keras.Model(inputs, layers.Dense(3, activation="sigmoid")(x))
    adapted.enable_lora(2)
    for one in adapted.trainable_weights:
        one.assign(np.random.default_rng(1).standard_normal(one.shape))
    sequences = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (5, 40))]
    found, own = training_pass(model, sequences), model(sequences, training=True)
    np.testing.assert_allclose(backend.value(found), backend.value(own), rtol=1e-4, atol=1e-5)
