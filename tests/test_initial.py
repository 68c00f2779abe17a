"""Initial weights: distributed as Keras draws them, the same on every backend."""

import keras
import numpy as np
import pytest

from mlproject.architectures import make_spec
from mlproject.network.build import build, stream_seed
from mlproject.network.initial import initial_kernel

HE_NORMAL = np.array(
    [
        [0.001398000051267445, 0.3396280109882355, -0.3116529881954193],
        [-1.0124670267105103, -0.5168910026550293, -1.1273510456085205],
    ]
)
INITS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal")


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("shape", [(19, 4, 300), (5, 30, 128), (256, 512)])
def test_weights_have_the_spread_and_the_bounds_of_keras(init: str, shape: tuple[int, ...]) -> None:
    ours = initial_kernel(init, shape, 0)
    initializer = keras.initializers.get({"class_name": init, "config": {"seed": 0}})
    theirs = keras.ops.convert_to_numpy(initializer(shape))
    assert ours.dtype == np.float32
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)
    assert abs(ours.mean()) < 0.05 * ours.std()


@pytest.mark.parametrize("init", INITS)
def test_a_network_starts_from_numpys_weights_whatever_the_backend(init: str) -> None:
    model = build(make_spec({"init": init, "seed": 3, "units": 16}), 200, 12)
    for name in ("conv1", "conv2", "dense", "output"):
        kernel = keras.ops.convert_to_numpy(model.get_layer(name).kernel)
        wanted = initial_kernel(init, kernel.shape, stream_seed(3, name))
        assert np.array_equal(kernel, wanted)


def test_the_numbers_hold_for_ever() -> None:
    assert initial_kernel("he_normal", (2, 3), 7) == pytest.approx(HE_NORMAL, abs=1e-6)
