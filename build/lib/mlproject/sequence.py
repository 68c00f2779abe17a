"""DNA as numbers: letters, codes, one-hot; reverse complements and shuffles.

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
    """Return the codes of sequences of equal length, uint8 (N, L).

    Args:
        sequences: letters A C G T in upper or lower case. N and the other ambiguous IUPAC letters
            become 4.

    Raises:
        UserError: another letter, or sequences of different lengths.
    """
    length = len(sequences[0]) if sequences else 0
    for number, sequence in enumerate(sequences, 1):
        if len(sequence) != length:
            raise UserError(
                f"sequences must have equal lengths: got {length} nt in sequence 1, "
                f"{len(sequence)} nt in sequence {number}"
            )
    letters = np.frombuffer("".join(sequences).encode("ascii", "replace"), np.uint8)
    codes = _codes_of_bytes[letters].reshape(len(sequences), length)
    if (codes == _INVALID).any():
        row, column = np.argwhere(codes == _INVALID)[0]
        raise UserError(
            f"sequences must have the letters {LETTERS}, N or IUPAC's {AMBIGUOUS[1:]}: "
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
    """Return the reverse complement of codes (..., L)."""
    return _complements[codes[..., ::-1]]


def shuffle_dinucleotides(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a shuffled sequence with the dinucleotide counts, first and last letter of `codes`.

    All such sequences are equally likely.

    Args:
        codes: (L,) uint8. N counts as a fifth letter.
        rng: random numbers.

    Source: Altschul & Erickson, Mol Biol Evol 2: 526, 1985.
    """
    if len(codes) < 3:
        return codes.copy()
    followers = [codes[1:][codes[:-1] == letter] for letter in range(OTHER + 1)]
    final = int(codes[-1])
    letters = [letter for letter, edges in enumerate(followers) if len(edges) and letter != final]
    while True:
        chosen = {letter: int(rng.integers(len(followers[letter]))) for letter in letters}
        last = {letter: int(followers[letter][chosen[letter]]) for letter in letters}
        if all(_leads_to(letter, final, last) for letter in letters):
            break
    queues: list[list[int]] = []
    for letter, edges in enumerate(followers):
        if letter in chosen:
            rest = rng.permutation(np.delete(edges, chosen[letter]))
            queues.append([last[letter], *rest.tolist()])
        else:
            queues.append(rng.permutation(edges).tolist())
    shuffled = [int(codes[0])]
    for _ in range(len(codes) - 1):
        shuffled.append(queues[shuffled[-1]].pop())
    return np.array(shuffled, np.uint8)


def _leads_to(letter: int, final: int, last: dict[int, int]) -> bool:
    for _ in range(OTHER + 1):
        if letter == final:
            return True
        letter = last[letter]
    return letter == final
