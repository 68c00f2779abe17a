"""The pass of training: equal to the model's own in everything but work."""

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from mlproject.architectures import make_spec
from mlproject.network import backend, random_bits
from mlproject.network.build import build, predict
from mlproject.network.fast_pass import letters, training_pass, wide_pool
from mlproject.network.fast_pass.convolution import paired_convolution, short_convolution
from mlproject.network.fast_pass.pool import LOWEST, window_max
from mlproject.network.inputs import is_letters
from mlproject.network.random_bits import CHUNK
from mlproject.network.steps import make_steps
from mlproject.report.published import published
from mlproject.sequence import one_hot
from mlproject.spec import RunSpec

PLAIN = {"dropout_conv": 0.0, "dropout_dense": 0.0, "bn_momentum": 0.5, "bn_epsilon": 1e-3}
LENGTH, CLASSES = 200, 3
EPSILON = float(np.finfo(np.float32).eps)
ROUNDINGS = 32  # sums are added up in blocks; one by one it would be the number of terms


def stock(model: keras.Model, sequences: object) -> object:
    return model(sequences, training=True)


def codes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (count, LENGTH)).astype(np.uint8)


def built(spec: RunSpec) -> keras.Model:
    """Return a network whose gammas have either sign."""
    model, rng = build(spec, LENGTH, CLASSES), np.random.default_rng(1)
    for variable in model.variables:
        if variable.path.endswith(("gamma", "beta")):
            variable.assign(rng.standard_normal(variable.shape))
    return model


def after_a_step(spec: RunSpec, scores: Callable) -> tuple[list[np.ndarray], float]:
    """Return weights and loss after one step of plain gradient descent: w - gradient."""
    model = built(spec)
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build(model.trainable_variables)
    steps = make_steps(model, optimizer, scores)
    labels = (np.random.default_rng(2).random((1, 8, CLASSES)) < 0.4).astype(np.uint8)
    steps.start()
    steps.run(codes(8)[None], labels)
    loss = steps.finish()
    return [backend.value(one) for one in model.weights], loss


@pytest.mark.parametrize(
    ("arch", "filters1", "filters2"),
    [
        *((arch, 6, 8) for arch in ("CNN-1", "CNN-2", "CNN-25", "CNN-50-2", "CNN3-50", "CNN9-4")),
        *(("CNN-25", 12, 8), ("CNN3-50", 12, 8), ("CNN-1", 6, 24)),  # through `wide_pool`
        *(("CNN-2", 24, 24), ("CNN-1-1-100", 24, 24)),  # through `winograd`
    ],
)
def test_a_step_changes_every_weight_and_moving_average_as_the_models_own_does(
    arch: str, filters1: int, filters2: int
) -> None:
    sizes = {"units": 16, "filters1": filters1, "filters2": filters2}
    spec = make_spec({"arch": arch, **sizes, **PLAIN})
    (ours, loss), (own, own_loss) = after_a_step(spec, training_pass), after_a_step(spec, stock)
    assert loss == pytest.approx(own_loss, rel=1e-5)
    for one, other in zip(ours, own, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


def only_on_jax() -> None:
    if backend.name() != "jax":
        pytest.skip("used on JAX only")


def by_windows(x: np.ndarray, kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return windows (batch, positions, width * channels) under a kernel, and it as a matrix."""
    width, before = len(kernel), (len(kernel) - 1) // 2
    padded = np.pad(x, [(0, 0), (before, width - 1 - before), (0, 0)])
    windows = [padded[:, place : place + x.shape[1]] for place in range(width)]
    return np.concatenate(windows, axis=2), kernel.reshape(-1, kernel.shape[2])


def slow_gradients(
    x: np.ndarray, kernel: np.ndarray, upstream: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of a convolution, padded to ``same``, by x and kernel."""
    width, positions = len(kernel), x.shape[1]
    first = (width - 1) // 2
    by_x = np.zeros((len(x), positions + width - 1, x.shape[2]))
    for place in range(width):
        by_x[:, place : place + positions] += upstream @ kernel[place].T
    by_kernel = np.einsum("npk,npf->kf", by_windows(x, kernel)[0], upstream)
    return by_x[:, first : first + positions], by_kernel.reshape(kernel.shape)


def slow_pooled(
    x: np.ndarray, kernel: np.ndarray, window: int, factors: list[np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Maxima, mean, variance and the gradients of their weighted sum by x and kernel, in float64.

    Each comes with its size: the sum of the absolute values of the terms it is made of, with each
    channel of x centred. A float32 sum is good to some roundings of its size.
    """
    x, kernel = x.astype(np.float64), kernel.astype(np.float64)
    (batch, positions, _), (width, _, filters) = x.shape, kernel.shape
    windows, matrix = by_windows(x, kernel)
    centre = x.mean(axis=(0, 1))
    around = np.abs(windows - np.tile(centre, width))
    y, y_size = windows @ matrix, np.abs(windows) @ np.abs(matrix)
    spread = around @ np.abs(matrix)
    count, pools = -(-positions // window), factors[0]
    before = max(count * window - positions, 0) // 2
    by_y, by_y_size = np.zeros_like(y), np.zeros_like(y)
    maxima, maxima_size = np.zeros((batch, count, filters)), np.zeros((batch, count, filters))
    for number in range(count):
        start = max(number * window - before, 0)
        part = y[:, start : (number + 1) * window - before]
        place = part.argmax(axis=1)[:, None] + start
        maxima[:, number] = np.take_along_axis(y, place, 1)[:, 0]
        maxima_size[:, number] = np.take_along_axis(y_size, place, 1)[:, 0]
        np.put_along_axis(by_y, place, pools[:, number][:, None], 1)
        np.put_along_axis(by_y_size, place, np.abs(pools[:, number])[:, None], 1)
    by_places, total = by_y_size.copy(), batch * positions
    mean, variance = y.mean(axis=(0, 1)), y.var(axis=(0, 1))
    by_y += factors[1] / total + factors[2] * 2 * (y - mean) / total
    by_y_size += np.abs(factors[1]) / total + np.abs(factors[2]) * 2 * spread / total
    by_x, by_kernel = slow_gradients(x, kernel, by_y)
    by_x_size, _ = slow_gradients(x, np.abs(kernel), by_y_size)
    moments = by_y_size - by_places  # from centred windows, which are not 0 where a window is
    gathered = np.einsum("npk,npf->kf", np.abs(windows), by_places)
    gathered += np.einsum("npk,npf->kf", np.maximum(np.abs(windows), around), moments)
    gathered = gathered.reshape(kernel.shape)
    return [
        (maxima, maxima_size), (mean, y_size.mean(axis=(0, 1))),
        (variance, np.square(spread).mean(axis=(0, 1))),
        (by_x, by_x_size), (by_kernel, gathered),
    ]  # fmt: skip


@pytest.mark.parametrize("offset", [0.0, 3.0, 30.0])
@pytest.mark.parametrize("channels", [3, 5])  # sums of windows by blocks and by distances
@pytest.mark.parametrize(
    ("positions", "width", "window"),
    [(200, 5, 100), (130, 4, 64), (9, 9, 9), (70, 2, 70), (100, 30, 25), (100, 1, 50)],
)
def test_values_and_gradients_before_a_wide_pool_are_those_of_the_map_in_float64(
    positions: int, width: int, window: int, channels: int, offset: float
) -> None:
    only_on_jax()
    rng = np.random.default_rng(0)
    shifts = offset * np.array([1.0, -0.5, 0.25, -1.0, 0.5])[:channels]
    x = (rng.standard_normal((4, positions, channels)) + shifts).astype(np.float32)
    kernel = rng.standard_normal((width, channels, 12)).astype(np.float32)
    check_pooled(x, kernel, window, letters=False)


def check_pooled(x: np.ndarray, kernel: np.ndarray, window: int, letters: bool) -> None:
    """Compare `wide_pool.pooled` and its gradients with float64."""
    import jax

    filters, rng = kernel.shape[2], np.random.default_rng(1)
    shapes = ((len(x), -(-x.shape[1] // window), filters), (filters,), (filters,))
    factors = [rng.standard_normal(shape) for shape in shapes]

    def values(x: object, kernel: object) -> tuple[object, ...]:
        return wide_pool.pooled(x, kernel, window, letters=letters)

    def loss(x: object, kernel: object) -> object:
        weighted = zip(values(x, kernel), factors, strict=True)
        return sum(ops.sum(one * ops.cast(by, "float32")) for one, by in weighted)

    found = [*jax.jit(values)(x, kernel), *jax.jit(jax.grad(loss, argnums=(0, 1)))(x, kernel)]
    for one, (slow, size) in zip(found, slow_pooled(x, kernel, window, factors), strict=True):
        assert np.all(np.abs(one - slow) <= ROUNDINGS * EPSILON * size)


def some_letters(positions: int) -> np.ndarray:
    """Return four one-hot sequences in which one letter of six is unknown."""
    drawn = np.random.default_rng(0).integers(0, 6, (4, positions))
    return np.eye(6, dtype=np.float32)[drawn][..., :4]


@pytest.mark.parametrize(
    ("positions", "width", "window", "filters"),
    [
        *((200, 19, 25, 30), (200, 19, 100, 16), (130, 4, 64, 20), (9, 9, 9, 16), (70, 2, 70, 17)),
        *((100, 30, 25, 40), (61, 7, 10, 33), (12, 20, 10, 16), (50, 3, 12, 129)),
        *((200, 9, 200, 16), (100, 1, 50, 16), (202, 19, 4, 30)),
    ],
)
def test_letters_before_a_wide_pool_give_what_the_map_gives_in_float64(
    positions: int, width: int, window: int, filters: int
) -> None:
    only_on_jax()
    kernel = np.random.default_rng(2).standard_normal((width, 4, filters)).astype(np.float32)
    assert letters.is_cheaper(kernel, before_pool=True)
    maxima, places = letters.maxima_and_places(some_letters(positions), kernel, window)
    slow, _ = by_windows(some_letters(positions).astype(np.float64), kernel)
    y = np.pad(slow @ kernel.reshape(-1, filters).astype(np.float64), pool_edges(positions, window),
               constant_values=-np.inf)  # fmt: skip
    y = y.reshape(4, -1, window, filters)
    np.testing.assert_allclose(maxima, y.max(axis=2), atol=ROUNDINGS * EPSILON * 4 * width)
    taken = np.take_along_axis(y, np.asarray(places)[:, :, None], 2)[:, :, 0]
    np.testing.assert_allclose(taken, y.max(axis=2), atol=ROUNDINGS * EPSILON * 4 * width)
    if width <= positions:
        check_pooled(some_letters(positions), kernel, window, letters=True)


def pool_edges(positions: int, window: int) -> list[tuple[int, int]]:
    missing = -positions % window
    return [(0, 0), (missing // 2, missing - missing // 2), (0, 0)]


def test_letters_that_dropout_drops_before_a_wide_pool_are_not_its_maxima() -> None:
    only_on_jax()
    import jax

    rng, x = np.random.default_rng(3), some_letters(60)
    kernel, kept = rng.standard_normal((9, 4, 20)).astype(np.float32), rng.random((4, 60, 20)) > 0.8
    kept[:, :20] = False

    def maxima(kernel: object, letters: bool) -> object:
        return wide_pool.pooled(x, kernel, 20, kept, letters=letters)[0]

    def loss(kernel: object, letters: bool) -> object:
        found = maxima(kernel, letters)
        return ops.sum(ops.where(found == LOWEST, 0.0, ops.square(found)))

    for way in (maxima, jax.grad(loss)):
        tables, plain = (way(kernel, letters) for letters in (True, False))
        np.testing.assert_allclose(np.asarray(tables), np.asarray(plain), rtol=1e-4, atol=1e-4)
    assert (np.asarray(maxima(kernel, True))[:, 0] == LOWEST).all()


@pytest.mark.parametrize(
    ("positions", "width", "filters"), [(200, 19, 30), (13, 8, 16), (5, 9, 70)]
)
def test_a_convolution_of_letters_is_the_convolution(
    positions: int, width: int, filters: int
) -> None:
    only_on_jax()
    import jax

    x = some_letters(positions)
    kernel = np.random.default_rng(4).standard_normal((width, 4, filters)).astype(np.float32)
    windows, matrix = by_windows(x.astype(np.float64), kernel.astype(np.float64))
    found = jax.jit(letters.convolve_letters)(x, kernel)
    size = np.abs(windows) @ np.abs(matrix)
    assert np.all(np.abs(found - windows @ matrix) <= ROUNDINGS * EPSILON * size)
    upstream = np.random.default_rng(5).standard_normal(found.shape).astype(np.float32)
    by_kernel = jax.grad(lambda kernel: ops.sum(letters.convolve_letters(x, kernel) * upstream))
    slow = np.einsum("npk,npf->kf", windows, upstream.astype(np.float64)).reshape(kernel.shape)
    gathered = np.einsum("npk,npf->kf", np.abs(windows), np.abs(upstream)).reshape(kernel.shape)
    assert np.all(np.abs(by_kernel(kernel) - slow) <= ROUNDINGS * EPSILON * gathered)


@pytest.mark.parametrize("arch", ["CNN-25", "CNN-2", "CNN-4", "CNN-50-2", "CNN3-50"])
def test_a_step_on_letters_changes_the_weights_as_the_models_own_does(arch: str) -> None:
    spec = make_spec({"arch": arch, "filters1": 16, "filters2": 8, "units": 16, **PLAIN})
    ours, loss = after_a_step(spec, partial(training_pass, letters=True))
    own, own_loss = after_a_step(spec, stock)
    assert loss == pytest.approx(own_loss, rel=1e-5)
    for one, other in zip(ours, own, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


def test_sequences_with_noise_or_adversarial_ones_are_not_letters() -> None:
    assert is_letters(make_spec({"arch": "CNN-25"}))
    assert is_letters(
        make_spec({"arch": "CNN-25", "augment": "evoaug", "augmentations": "mutation"})
    )
    assert not is_letters(
        make_spec({"arch": "CNN-25", "augment": "evoaug", "augmentations": "noise"})
    )
    assert not is_letters(make_spec({"arch": "CNN-25", "adversarial": 0.1}))


def test_a_map_that_is_not_a_number_leaves_other_memory_alone() -> None:
    only_on_jax()
    import jax

    x, kernel = np.full((2, 70, 3), np.nan, np.float32), np.ones((5, 3, 12), np.float32)
    by_x = jax.jit(jax.grad(lambda x: ops.sum(wide_pool.pooled(x, kernel, 64)[0])))(x)
    assert by_x.shape == x.shape


@pytest.mark.parametrize(("positions", "width"), [(200, 19), (20, 8), (6, 5), (2, 1), (4, 2)])
def test_a_convolution_of_pairs_is_the_convolution(positions: int, width: int) -> None:
    only_on_jax()
    import jax

    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, positions, 4)).astype(np.float32)
    kernel = rng.standard_normal((width, 4, 6)).astype(np.float32)
    ways = (paired_convolution, lambda x, kernel: ops.conv(x, kernel, padding="same"))
    ours, slow = (jax.jit(way)(x, kernel) for way in ways)
    np.testing.assert_allclose(ours, slow, rtol=1e-5, atol=1e-5)
    gradients = [
        jax.grad(lambda *both, way=way: ops.sum(ops.square(way(*both))), argnums=(0, 1))(x, kernel)
        for way in ways
    ]
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("activation", ["relu", "exponential", "elu", "softplus", "tanh"])
def test_every_activation_may_come_after_the_pool(activation: str) -> None:
    spec = make_spec({"arch": "CNN-10", "activation": activation, "units": 16, **PLAIN})
    model, sequences = built(spec), ops.convert_to_tensor(one_hot(codes(6)))
    ours = ops.convert_to_numpy(training_pass(model, sequences))
    own = ops.convert_to_numpy(stock(model, sequences))
    np.testing.assert_allclose(ours, own, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arch", sorted(set(published()["arch"])))
def test_the_scores_of_each_of_the_papers_networks_are_the_models_own(arch: str) -> None:
    model = built(make_spec({"arch": arch, **PLAIN}))
    sequences = ops.convert_to_tensor(one_hot(codes(4)))
    ours = ops.convert_to_numpy(training_pass(model, sequences))
    np.testing.assert_allclose(ours, ops.convert_to_numpy(stock(model, sequences)), atol=5e-6)


@pytest.mark.parametrize(
    ("length", "window", "stride"),
    [(200, 25, 25), (200, 50, 2), (201, 6, 3), (13, 5, 2), (7, 3, 1), (9, 4, 4), (5, 8, 2)],
)
@pytest.mark.parametrize("stored", [False, True])
def test_window_max_is_max_pool_with_same_padding(
    length: int, window: int, stride: int, stored: bool
) -> None:
    x = np.random.default_rng(0).standard_normal((2, length, 3)).astype(np.float32) - 5
    found = ops.convert_to_numpy(window_max(ops.convert_to_tensor(x), window, stride, stored))
    count = -(-length // stride)
    before = max((count - 1) * stride + window - length, 0) // 2
    for number in range(count):
        start = number * stride - before
        slow = x[:, max(start, 0) : start + window].max(axis=1)
        np.testing.assert_array_equal(found[:, number], slow)


@pytest.mark.skipif(backend.name() != "jax", reason="TensorFlow's own max-pool is used there")
@pytest.mark.parametrize("stored", [False, True])
def test_the_first_of_equal_values_in_a_window_gets_its_gradient(stored: bool) -> None:
    import jax

    x = np.array([[1, 1, 0, 1, 0, 2, 2, 2, -3, -3, -3, -3]], np.float32)[:, :, None]
    weights = np.array([5, 7, 11], np.float32)[:, None]
    gradient = jax.grad(lambda x: (window_max(x, 4, 4, stored) * weights).sum())(x)
    np.testing.assert_array_equal(gradient[0, :, 0], [5, 0, 0, 0, 0, 7, 0, 0, 11, 0, 0, 0])


@pytest.mark.skipif(backend.name() != "jax", reason="TensorFlow's own max-pool is used there")
@pytest.mark.parametrize(
    ("length", "window", "stride"), [(200, 50, 2), (40, 4, 2), (33, 6, 2), (13, 7, 1), (24, 12, 4)]
)
def test_in_windows_that_overlap_the_first_of_equal_values_gets_the_gradient(
    length: int, window: int, stride: int
) -> None:
    import jax

    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (2, length, 3)).astype(np.float32)
    count = -(-length // stride)
    weights = rng.integers(1, 9, (2, count, 3)).astype(np.float32)
    before = max((count - 1) * stride + window - length, 0) // 2
    slow = np.zeros_like(x)
    for (one, number, channel), weight in np.ndenumerate(weights):
        start = max(number * stride - before, 0)
        seen = x[one, start : number * stride - before + window, channel]
        slow[one, start + seen.argmax(), channel] += weight
    found = jax.grad(lambda x: (window_max(x, window, stride, stored=True) * weights).sum())(x)
    np.testing.assert_array_equal(found, slow)


def test_among_equal_maxima_the_first_gets_the_gradient() -> None:
    spec = make_spec({"arch": "CNN-25", "units": 16, **PLAIN})
    same = np.zeros((1, 8, LENGTH), np.uint8)
    labels = np.ones((1, 8, CLASSES), np.uint8)
    found = []
    for scores in (training_pass, stock):
        model = built(spec)
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(model.trainable_variables)
        steps = make_steps(model, optimizer, scores)
        steps.start()
        steps.run(same, labels)
        steps.finish()
        found.append(backend.value(model.get_layer("output").kernel))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-5)


@pytest.mark.skipif(backend.name() != "jax", reason="of JAX's generator")
@pytest.mark.parametrize("count", [1, 5, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_the_unrolled_generator_draws_the_words_of_jax(count: int) -> None:
    import jax

    for key in ([0, 0], [123, 456], [2**32 - 1, 2**31]):
        words = np.array(key, np.uint32)
        ours = np.asarray(jax.jit(random_bits.threefry_words, static_argnums=1)(words, count))
        np.testing.assert_array_equal(ours, np.asarray(jax.random.bits(words, (count,), "uint32")))


def test_coins_fall_at_their_rate_and_follow_their_seed() -> None:
    seed, other = (np.array([value, 1], np.uint32) for value in (5, 6))
    shape, rate = (100, 41, 5), 6554 / random_bits.MASK_LEVELS
    kept = ops.convert_to_numpy(random_bits.keep_mask(ops.convert_to_tensor(seed), shape, rate))
    again = ops.convert_to_numpy(random_bits.keep_mask(ops.convert_to_tensor(seed), shape, rate))
    different = ops.convert_to_numpy(
        random_bits.keep_mask(ops.convert_to_tensor(other), shape, rate)
    )
    assert kept.shape == shape and kept.dtype == bool
    assert abs(1 - kept.mean() - rate) < 4 * (rate * (1 - rate) / kept.size) ** 0.5
    np.testing.assert_array_equal(kept, again)
    assert (kept != different).any()
    neighbours = np.corrcoef(kept.reshape(-1)[:-1], kept.reshape(-1)[1:])[0, 1]
    assert abs(neighbours) < 0.03


def test_dropout_keeps_the_mean_and_drops_a_tenth_of_the_pooled_map() -> None:
    spec = make_spec({"arch": "CNN-1", "units": 16, **PLAIN, "dropout_conv": 0.1})
    model = built(spec)
    inputs = ops.convert_to_tensor(one_hot(codes(2)))
    first = [ops.convert_to_numpy(training_pass(model, inputs)) for _ in range(2)]
    assert not np.allclose(first[0], first[1]), "each step must draw its own mask"
    scores = predict(model, codes(2))
    np.testing.assert_array_equal(scores, predict(model, codes(2)))


@pytest.mark.parametrize("count", [1, 3])
def test_many_batches_a_launch_train_as_one_by_one(count: int) -> None:
    only_on_jax()  # TensorFlow takes one batch at a time
    spec = make_spec({"arch": "CNN-25", "units": 16, "dropout_dense": 0.3})
    labels = (np.random.default_rng(2).random((count, 8, CLASSES)) < 0.4).astype(np.uint8)
    batches = codes(8 * count).reshape(count, 8, LENGTH)
    weights = []
    for launch in (1, 4):
        model = built(spec)
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(model.trainable_variables)
        steps = make_steps(model, optimizer, stock)
        steps.launch = launch
        steps.start()
        for start in range(0, count, launch):
            steps.run(batches[start : start + launch], labels[start : start + launch])
        steps.finish()
        weights.append([backend.value(one) for one in model.weights])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("width", [5, 6])
@pytest.mark.parametrize("positions", [1, 2, 4])
def test_a_short_convolution_is_the_padded_one(positions: int, width: int) -> None:
    rng = np.random.default_rng(positions)
    x = rng.standard_normal((3, positions, 2)).astype("float32")
    kernel = rng.standard_normal((width, 2, 7)).astype("float32")
    expected = ops.convert_to_numpy(ops.conv(x, kernel, padding="same"))
    found = ops.convert_to_numpy(short_convolution(x, kernel))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
