"""DNA as numbers: letters to codes, codes to one-hot, and back.

A code is a uint8: A C G T = 0 1 2 3, anything else = 4.
"""

from collections.abc import Sequence

import numpy as np

from mlproject.system.errors import UserError

LETTERS = "ACGT"
OTHER = 4

AMBIGUOUS = "NRYSWKMBDHV"
_INVALID = 255

_codes_of_bytes = np.full(256, _INVALID, np.uint8)
for _code, _letters in enumerate([*LETTERS, AMBIGUOUS]):
    for _letter in _letters + _letters.lower():
        _codes_of_bytes[ord(_letter)] = _code

_bytes_of_codes = np.frombuffer(f"{LETTERS}N".encode(), np.uint8)
_complements = np.array([3, 2, 1, 0, OTHER], np.uint8)
_one_hot_of_codes = np.eye(5, 4, dtype=np.float32)


def encode(sequences: Sequence[str]) -> np.ndarray:
    """Return the codes of equally long sequences, uint8 (N, L).

    Args:
        sequences: letters A C G T in upper or lower case; N and the other IUPAC letters for
            several nucleotides become 4.

    Raises:
        UserError: another letter, or sequences of several lengths.
    """
    length = len(sequences[0]) if sequences else 0
    for number, sequence in enumerate(sequences, 1):
        if len(sequence) != length:
            raise UserError(
                f"sequences must be equally long: got {length} nt in sequence 1, "
                f"{len(sequence)} nt in sequence {number}"
            )
    letters = np.frombuffer("".join(sequences).encode("ascii", "replace"), np.uint8)
    codes = _codes_of_bytes[letters].reshape(len(sequences), length)
    if (codes == _INVALID).any():
        row, column = np.argwhere(codes == _INVALID)[0]
        raise UserError(
            f"sequences must be of the letters {LETTERS}, N or IUPAC's {AMBIGUOUS[1:]}: "
            f"got {sequences[row][column]!r} at position {column + 1} of sequence {row + 1}"
        )
    return codes


def wrong_letter(text: str) -> int | None:
    """Return the position of the first letter that `encode` refuses, None if there is none."""
    codes = _codes_of_bytes[np.frombuffer(text.encode("ascii", "replace"), np.uint8)]
    wrong = np.flatnonzero(codes == _INVALID)
    return int(wrong[0]) if len(wrong) else None


def decode(codes: np.ndarray) -> list[str]:
    """Return the sequences of codes (N, L) in upper case, N for code 4."""
    return [row.tobytes().decode() for row in _bytes_of_codes[codes]]


def one_hot(codes: np.ndarray) -> np.ndarray:
    """Return codes (..., L) as float32 (..., L, 4), letters A C G T, zeros for code 4."""
    return np.take(_one_hot_of_codes, codes, axis=0)


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    """Return codes (..., L) as the other strand reads them."""
    return _complements[codes[..., ::-1]]
