"""Convolutions by Winograd's method are the plain ones up to rounding."""

import numpy as np
import pytest
from test_training_pass import EPSILON, ROUNDINGS, by_windows, only_on_jax, slow_gradients

from mlproject.network.fast_pass import winograd


def slow(
    x: np.ndarray, kernel: np.ndarray, upstream: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the convolution, padded to ``same``, and the gradients by x and kernel."""
    windows, matrix = by_windows(x, kernel)
    return windows @ matrix, *slow_gradients(x, kernel, upstream)


@pytest.mark.parametrize(
    ("batch", "positions", "channels", "width", "filters"),
    [
        *((6, 40, 24, 5, 33), (7, 8, 30, 3, 24), (3, 29, 24, 4, 24), (5, 33, 40, 6, 24)),
        *((4, 50, 24, 6, 128), (1, 1001, 24, 5, 24), (130, 16, 24, 5, 24)),
    ],
)
def test_values_and_gradients_are_those_of_the_plain_convolution_in_float64(
    batch: int, positions: int, channels: int, width: int, filters: int
) -> None:
    only_on_jax()
    import jax

    rng = np.random.default_rng(0)
    shapes = (
        (batch, positions, channels),
        (width, channels, filters),
        (batch, positions, filters),
    )
    x, kernel, upstream = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    assert winograd.is_cheaper(x, kernel)

    def both(x: object, kernel: object, upstream: object) -> tuple[object, object, object]:
        y, gradients = jax.vjp(winograd.convolve_winograd, x, kernel)
        return (y, *gradients(upstream))

    exact = [one.astype(np.float64) for one in (x, kernel, upstream)]
    sizes = slow(*(np.abs(one) for one in exact))
    for found, one, size in zip(
        jax.jit(both)(x, kernel, upstream), slow(*exact), sizes, strict=True
    ):
        assert found.shape == one.shape
        assert np.all(np.abs(found - one) <= ROUNDINGS * EPSILON * size)


def test_few_channels_and_kernels_of_other_widths_are_convolved_plainly() -> None:
    for positions, width, channels, filters in ((200, 5, 4, 30), (200, 7, 32, 32), (7, 5, 32, 32)):
        x, kernel = np.zeros((1, positions, channels)), np.zeros((width, channels, filters))
        assert not winograd.is_cheaper(x, kernel)
