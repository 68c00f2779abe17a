"""Clusters of similar sequences, so that near-duplicates stay in one split."""

import hashlib

import numpy as np

from mlproject.data.rows import Rows
from mlproject.data.split import blocks
from mlproject.sequence import OTHER, reverse_complement

WORD = 16  # nt: longer than most motifs, so that two sites of one motif do not make a cluster
SKETCH = 24  # words kept of each sequence
SHARED = 0.25  # share of the kept words that two sequences of a cluster have in common, at least
LARGE = 40  # sequences with a word in common beyond which only the first is compared with others

_NONE = np.uint64(2**64 - 1)


def clusters(codes: Rows) -> np.ndarray:
    """Return the number of the cluster of each sequence, int (n,), from 0.

    Two sequences are similar if they share a quarter of their sketches on any strand. A sketch is
    the `SKETCH` words of `WORD` nt with the smallest hashes, so it is the same for a sequence and
    its reverse complement. A cluster is a connected group of similar sequences.

    Args:
        codes: uint8 (n, L). Words with N are left out. Sequences shorter than a word have no
            similar ones, except equal ones. So do sequences whose words all have N.

    Source: bottom-k sketches, Broder, SEQUENCES 1997: 21.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(codes)
    sketches = np.concatenate([_sketch(block) for block in blocks(codes)])
    pairs, shared = np.unique(_pairs(sketches), axis=0, return_counts=True)
    sizes = (sketches != _NONE).sum(axis=1)
    fewer = np.minimum(sizes[pairs[:, 0]], sizes[pairs[:, 1]])
    pairs = pairs[shared >= np.maximum(SHARED * fewer, 1)]
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (count, count))
    found: np.ndarray = connected_components(graph, directed=False)[1]
    return found


def _sketch(codes: np.ndarray) -> np.ndarray:
    """Return the smallest hashes of the words of sequences, uint64 (n, `SKETCH`)."""
    word = min(WORD, codes.shape[1])
    views = np.lib.stride_tricks.sliding_window_view(codes.astype(np.uint64), word, axis=1)
    powers = np.uint64(4) ** np.arange(word, dtype=np.uint64)
    forward = (views * powers[::-1]).sum(axis=2, dtype=np.uint64)
    backward = ((np.uint64(3) - views) * powers).sum(axis=2, dtype=np.uint64)
    hashes = _mixed(np.minimum(forward, backward))
    hashes[(views == OTHER).any(axis=2)] = _NONE
    hashes.sort(axis=1)
    repeated = np.zeros(hashes.shape, bool)
    repeated[:, 1:] = hashes[:, 1:] == hashes[:, :-1]
    hashes[repeated] = _NONE
    hashes.sort(axis=1)
    for row in np.flatnonzero((hashes == _NONE).all(axis=1)):
        hashes[row, 0] = _of_whole(codes[row])
    missing = max(SKETCH - hashes.shape[1], 0)
    return np.pad(hashes[:, :SKETCH], ((0, 0), (0, missing)), constant_values=_NONE)


def _of_whole(codes: np.ndarray) -> int:
    """Return the hash of a sequence, the same for its reverse complement."""
    text = min(codes.tobytes(), reverse_complement(codes).tobytes())
    return int.from_bytes(hashlib.sha256(text).digest()[:7])


def _mixed(words: np.ndarray) -> np.ndarray:
    """Return well-mixed 64-bit hashes. Source: splitmix64, Steele et al., OOPSLA 2014: 453."""
    mixed = words + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.minimum(mixed ^ (mixed >> np.uint64(31)), _NONE - np.uint64(1))


def _pairs(sketches: np.ndarray) -> np.ndarray:
    """Return the pairs of sequences with a word in common, one row a word, int (pairs, 2)."""
    rows = np.repeat(np.arange(len(sketches)), sketches.shape[1])
    hashes = sketches.ravel()
    rows, hashes = rows[hashes != _NONE], hashes[hashes != _NONE]
    order = np.lexsort([rows, hashes])
    rows, hashes = rows[order], hashes[order]
    first = np.flatnonzero(np.diff(hashes, prepend=~hashes[:1]) != 0)
    sizes = np.diff(np.append(first, len(hashes)))
    found = [np.zeros((0, 2), np.int64)]
    for size in np.unique(sizes[sizes > 1]):
        starts = first[sizes == size]
        if size > LARGE:
            others = starts[:, None] + np.arange(1, size)
            found.append(
                np.stack([np.repeat(rows[starts], size - 1), rows[others.ravel()]], axis=1)
            )
            continue
        one, other = np.triu_indices(size, 1)
        members = rows[starts[:, None] + np.arange(size)]
        found.append(np.stack([members[:, one].ravel(), members[:, other].ravel()], axis=1))
    return np.concatenate(found)
