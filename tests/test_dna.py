"""Letters, codes and one-hot say the same."""

import numpy as np
import pytest
from Bio.Seq import Seq

from mlproject import sequence
from mlproject.system.errors import UserError


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 5, (40, 31), dtype=np.uint8)


def test_letters_have_their_codes() -> None:
    encoded = sequence.encode(["ACGTN", "acgtn"])
    np.testing.assert_array_equal(encoded, [[0, 1, 2, 3, 4]] * 2)
    assert encoded.dtype == np.uint8


def test_every_letter_for_several_nucleotides_is_4() -> None:
    assert (sequence.encode(["NRYSWKMBDHV", "nryswkmbdhv"]) == sequence.OTHER).all()


def test_decode_undoes_encode(codes: np.ndarray) -> None:
    sequences = sequence.decode(codes)
    assert sequences[0] == "".join("ACGTN"[code] for code in codes[0])
    np.testing.assert_array_equal(sequence.encode(sequences), codes)


def test_no_sequences_are_an_empty_array() -> None:
    assert sequence.encode([]).shape == (0, 0)
    assert sequence.decode(np.zeros((0, 7), np.uint8)) == []


@pytest.mark.parametrize("letter", ["U", "X", "-", "*", " ", "\n", "é", "中"])
def test_another_letter_is_named_with_its_place(letter: str) -> None:
    with pytest.raises(UserError) as raised:
        sequence.encode(["ACGT", f"AC{letter}T"])
    assert f"got {letter!r} at position 3 of sequence 2" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_unequal_lengths_are_named() -> None:
    with pytest.raises(UserError, match="4 nt in sequence 1, 3 nt in sequence 3"):
        sequence.encode(["ACGT", "ACGT", "ACG"])


def test_one_hot_is_the_obvious_loop(codes: np.ndarray) -> None:
    expected = np.zeros((*codes.shape, 4), np.float32)
    for row, column in np.ndindex(codes.shape):
        if codes[row, column] < 4:
            expected[row, column, codes[row, column]] = 1
    found = sequence.one_hot(codes)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(sequence.one_hot(codes[3]), expected[3])


def test_one_hot_refuses_what_is_no_code() -> None:
    with pytest.raises(IndexError):
        sequence.one_hot(np.array([0, 5], np.uint8))


def test_reverse_complement_is_biopythons(codes: np.ndarray) -> None:
    expected = [str(Seq(sequence).reverse_complement()) for sequence in sequence.decode(codes)]
    assert sequence.decode(sequence.reverse_complement(codes)) == expected
    np.testing.assert_array_equal(
        sequence.reverse_complement(sequence.reverse_complement(codes)), codes
    )
