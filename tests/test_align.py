"""The scan and the alignment against loops that follow the text word by word."""

from collections.abc import Iterator

import numpy as np
import pytest

from mlproject.filters.align import Aligned, align
from mlproject.filters.scan import scan
from mlproject.geometry import ReceptiveField, Window

FILTERS = 5


def random_activations(
    rng: np.random.Generator, sequences: int, positions: int, filters: int = FILTERS
) -> np.ndarray:
    values = np.maximum(rng.normal(size=(sequences, positions, filters)), 0).astype(np.float32)
    values[..., -1] = 0
    return values


def random_codes(rng: np.random.Generator, sequences: int, length: int) -> np.ndarray:
    return rng.choice(5, p=[0.24, 0.24, 0.24, 0.24, 0.04], size=(sequences, length)).astype(
        np.uint8
    )


def batches(values: np.ndarray, size: int = 7) -> Iterator[np.ndarray]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def slow_pwm(
    sites: list[tuple[int, int, float]], codes: np.ndarray, field: ReceptiveField, window: int
) -> np.ndarray:
    """Weighted letter counts of one filter; sites are (sequence, position, weight)."""
    counts = np.zeros((window, 4))
    for sequence, position, weight in sites:
        for column in range(window):
            nt = position * field.step + field.start(window) + column
            if 0 <= nt < codes.shape[1] and codes[sequence, nt] < 4:
                counts[column, codes[sequence, nt]] += weight
    rows = [row / row.sum() if row.sum() > 0 else np.full(4, 0.25) for row in counts]
    return np.array(rows)


def slow_released(
    values: np.ndarray, codes: np.ndarray, field: ReceptiveField, window: int, threshold: float
) -> Aligned:
    pwms, nsites = [], []
    for number in range(values.shape[2]):
        largest = values[:, :, number].max()
        sites = [
            (sequence, position, float(values[sequence, position, number]))
            for sequence in range(values.shape[0])
            for position in range(values.shape[1])
            if values[sequence, position, number] > np.float32(threshold) * largest
        ]
        pwms.append(slow_pwm(sites, codes, field, window))
        nsites.append(len(sites))
    return Aligned(np.array(pwms), np.array(nsites), np.empty(0), values.max(axis=(0, 1)))


def slow_paper(
    values: np.ndarray,
    codes: np.ndarray,
    field: ReceptiveField,
    window: int,
    limits: np.ndarray,
) -> Aligned:
    pwms, nsites = [], []
    for number in range(values.shape[2]):
        sites = []
        for sequence in range(values.shape[0]):
            position = int(values[sequence, :, number].argmax())
            largest = values[sequence, position, number]
            start = position * field.step + field.start(window)
            high = largest > 0 and largest >= limits[number]
            if high and start >= 0 and start + window <= codes.shape[1]:
                sites.append((sequence, position, 1.0))
        pwms.append(slow_pwm(sites, codes, field, window))
        nsites.append(len(sites))
    return Aligned(np.array(pwms), np.array(nsites), np.empty(0), values.max(axis=(0, 1)))


def slow_exponential(
    values: np.ndarray, codes: np.ndarray, field: ReceptiveField, window: int, threshold: float
) -> Aligned:
    """As the authors' notebook: start > 0 and end < length, two sites at least, plain means."""
    pwms, nsites = [], []
    for number in range(values.shape[2]):
        largest = values[:, :, number].max()
        sites = []
        for sequence in range(values.shape[0]):
            for position in range(values.shape[1]):
                start = position * field.step + field.start(window)
                high = values[sequence, position, number] > np.float32(threshold) * largest
                if high and start > 0 and start + window < codes.shape[1]:
                    sites.append((sequence, position, 1.0))
        sites = sites if len(sites) > 1 else []
        pwms.append(slow_pwm(sites, codes, field, window))
        nsites.append(len(sites))
    return Aligned(np.array(pwms), np.array(nsites), np.empty(0), values.max(axis=(0, 1)))


def assert_same(one: Aligned, other: Aligned) -> None:
    np.testing.assert_array_equal(one.nsites, other.nsites)
    np.testing.assert_allclose(one.pwms, other.pwms, atol=1e-12)
    np.testing.assert_array_equal(one.maximum, other.maximum)


@pytest.mark.parametrize("window", [1, 3, 4, 9, 19, 20])
@pytest.mark.parametrize(
    "field",
    [
        ReceptiveField(19, 9),
        ReceptiveField(9, 4),
        ReceptiveField(3, 1),
        ReceptiveField(1, 0),
        ReceptiveField(6, 2),
    ],
)
def test_all_alignments_equal_the_loops(field: ReceptiveField, window: int) -> None:
    rng = np.random.default_rng(window)
    values, codes = random_activations(rng, 40, 30), random_codes(rng, 40, 30)
    possible = values.max(axis=(0, 1)) * np.float32(1.2)
    found = scan(batches(values), released=0.5, paper=0.6, possible=possible)
    assert_same(
        align(found, "released", codes, field, window),
        slow_released(values, codes, field, window, 0.5),
    )
    assert_same(
        align(found, "paper", codes, field, window),
        slow_paper(values, codes, field, window, np.float32(0.6) * possible),
    )
    assert_same(
        align(found.above(0.7), "exponential", codes, field, window),
        slow_exponential(values, codes, field, window, 0.7),
    )


def test_a_window_of_20_begins_10_nt_left_of_the_position_as_in_the_second_paper() -> None:
    assert ReceptiveField(19, 9).start(20) == -10
    values, codes = np.zeros((1, 40, 2), np.float32), np.zeros((1, 40), np.uint8)
    values[0, [11, 20], 0] = 1.0
    values[0, [10, 20], 1] = 1.0  # a window that touches the end is dropped; one site is too few
    found = align(scan([values]), "exponential", codes, ReceptiveField(19, 9), 20)
    assert found.nsites.tolist() == [2, 0]
    assert (found.pwms[1] == 0.25).all()


@pytest.mark.parametrize("step", [2, 3])
def test_a_stride_moves_the_window(step: int) -> None:
    rng = np.random.default_rng(step)
    positions = -(-31 // step)
    values, codes = random_activations(rng, 30, positions), random_codes(rng, 30, 31)
    field, window = ReceptiveField(7, 2, step), 11
    found = scan(batches(values), paper=0.5)
    assert_same(
        align(found, "released", codes, field, window),
        slow_released(values, codes, field, window, 0.5),
    )
    assert_same(
        align(found, "paper", codes, field, window),
        slow_paper(values, codes, field, window, np.float32(0.5) * values.max(axis=(0, 1))),
    )


@pytest.mark.parametrize("kept_sites", [0, 1, 50, 400])
def test_sites_are_the_same_when_they_do_not_fit_into_memory(kept_sites: int) -> None:
    values = random_activations(np.random.default_rng(3), 100, 40)
    one, other = scan(batches(values)), scan(batches(values), kept_sites=kept_sites)
    assert len(one.released) > 400
    np.testing.assert_array_equal(one.released, other.released)
    np.testing.assert_array_equal(one.paper, other.paper)


def test_a_file_of_candidates_may_end_up_without_a_site() -> None:
    values = np.full((20, 10, 1), np.nan, np.float32)
    values[:10] = 1
    found = scan(batches(values), kept_sites=1)
    assert len(found.released) == 0


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_the_order_of_the_sequences_does_not_matter(order: str) -> None:
    rng = np.random.default_rng(4)
    values, codes = random_activations(rng, 50, 20), random_codes(rng, 50, 20)
    peak = values.max(axis=(1, 2)).argsort()
    index = {"rising": peak, "falling": peak[::-1], "mixed": np.arange(50)}[order]
    found = scan(batches(values[index], size=3))
    expected = slow_released(values, codes, ReceptiveField(9, 4), 9, 0.5)
    assert_same(align(found, "released", codes[index], ReceptiveField(9, 4), 9), expected)


def test_columns_beyond_the_end_rest_on_less_weight() -> None:
    values = np.zeros((1, 4, 1), np.float32)
    values[0, 0, 0] = 2
    codes = np.array([[0, 1, 2, 3]], np.uint8)
    found = scan([values])
    released = align(found, "released", codes, ReceptiveField(3, 1))
    np.testing.assert_array_equal(released.weights, [[0, 2, 2]])
    np.testing.assert_array_equal(released.pwms[0], [[0.25] * 4, [1, 0, 0, 0], [0, 1, 0, 0]])
    assert released.nsites[0] == 1
    assert align(found, "paper", codes, ReceptiveField(3, 1)).nsites[0] == 0


def test_the_first_of_equal_positions_is_the_best_one() -> None:
    values = np.ones((1, 5, 1), np.float32)
    codes = np.array([[0, 1, 2, 3, 0]], np.uint8)
    aligned = align(scan([values]), "paper", codes, ReceptiveField(1, 0))
    np.testing.assert_array_equal(aligned.pwms[0], [[1, 0, 0, 0]])


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_filter_never_above_zero_is_dead(value: float) -> None:
    values = np.full((4, 6, 2), value, np.float32)
    values[1, 2, 0] = 1.0 if not np.isnan(value) else np.nan
    codes = np.zeros((4, 6), np.uint8)
    found = scan(batches(values))
    for aligned in (
        align(found, "released", codes, ReceptiveField(3, 1)),
        align(found, "paper", codes, ReceptiveField(3, 1)),
    ):
        assert aligned.nsites[1] == 0
        np.testing.assert_array_equal(aligned.pwms[1], 0.25)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="no activations"):
        scan([])
    with pytest.raises(ValueError, match="batches of"):
        scan([np.zeros((2, 3, 4)), np.zeros((2, 3, 5))])
    with pytest.raises(ValueError, match="2 sequences were scanned, 3 given"):
        align(
            scan([np.zeros((2, 3, 4))]), "paper", np.zeros((3, 3), np.uint8), ReceptiveField(1, 0)
        )


@pytest.mark.parametrize("kernel", [1, 3, 9, 19, 20])
def test_a_window_of_19_is_centred_on_the_position(kernel: int) -> None:
    field = ReceptiveField().through(Window(kernel), 200)
    assert field.start(19) == -9
