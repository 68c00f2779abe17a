"""Shuffled sequences that keep every pair of neighbours as often as it was."""

import numpy as np

from mlproject.sequence import OTHER


def shuffle_dinucleotides(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random sequence with the dinucleotide counts, first and last letter of `codes`.

    All such sequences are equally likely.

    Args:
        codes: (L,) uint8; N counts as a fifth letter.
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
