"""Word counts: how well a linear model of short words predicts numbers, without a network.

It is the baseline of outputs that are numbers, as the PWM scan of `mlproject.filters.baseline` is
that of classes. The features of a sequence are the counts of all words of `WORD` nt, a word and its
reverse complement as one, each divided by its standard deviation. A ridge regression predicts the
values, or the logarithm of 1 more than a count; predicted counts are scaled to the mean of the
training split. The penalty is the best one of `PENALTIES` on the validation split.
"""

from collections.abc import Mapping

import numpy as np
from sklearn.linear_model import Ridge

from mlproject.data import Dataset
from mlproject.data.split import blocks
from mlproject.network.value_scores import ValueScore, value_scores
from mlproject.sequence import OTHER

WORD = 6
MOST = 20_000
"""Sequences of a split, evenly spaced ones, that are used at most."""
PENALTIES = (1e1, 1e2, 1e3, 1e4, 1e5)  # of the sum of squared errors


def word_scores(data: Dataset) -> list[ValueScore]:
    """Return the scores of the linear model on the test split, a row for each output.

    Args:
        data: of the task ``regression`` or ``counts``.
    """
    features, values = {}, {}
    for name, split in data.splits.items():
        count = len(split.codes)
        rows = np.linspace(0, count - 1, min(count, MOST)).round().astype(np.int64)
        features[name] = word_counts(split.codes[rows])
        values[name] = np.asarray(split.labels[rows], np.float64)
    spread = features["train"].std(axis=0)
    kept = spread > 0
    features = {name: found[:, kept] / spread[kept] for name, found in features.items()}
    counts = data.task == "counts"
    target = {name: np.log1p(own) if counts else own for name, own in values.items()}
    columns = []
    for column in range(len(data.classes)):
        model = _best(features, {name: own[:, column] for name, own in target.items()})
        found = np.asarray(model.predict(features["test"]), np.float64)
        if counts:
            known = np.maximum(np.expm1(model.predict(features["train"])), 0.0)
            scale = values["train"][:, column].mean() / max(float(known.mean()), 1e-12)
            found = np.maximum(np.expm1(found), 0.0) * scale
        columns.append(found)
    return value_scores(values["test"], np.stack(columns, axis=1), data.classes, counts)


def word_counts(codes: np.ndarray, word: int = WORD) -> np.ndarray:
    """Return how often each word stands in each sequence, on either strand, float32 (n, words).

    A word that is its own reverse complement counts once a place. Words with an unknown letter are
    left out.

    Args:
        codes: (n, L) uint8.
        word: length of the words, nt.
    """
    column, words = _columns(word)
    length = codes.shape[1]
    if length < word:
        return np.zeros((len(codes), words), np.float32)
    found = []
    for block in blocks(codes, 1024):
        places = [block[:, start : length - word + 1 + start] for start in range(word)]
        number = np.zeros(places[0].shape, np.int64)
        for letters in places:
            number = number * 4 + np.minimum(letters, 3)
        known = np.logical_and.reduce([letters != OTHER for letters in places])
        flat = column[number] + np.arange(len(block))[:, None] * words
        counted = np.bincount(flat[known], minlength=len(block) * words)
        found.append(counted.reshape(len(block), words).astype(np.float32))
    return np.concatenate(found)


def _columns(word: int) -> tuple[np.ndarray, int]:
    """Return the column of each word, (4**word,), equal for reverse complements; their number."""
    numbers = np.arange(4**word)
    letters = numbers[:, None] // 4 ** np.arange(word - 1, -1, -1) % 4
    other = (3 - letters[:, ::-1]) @ 4 ** np.arange(word - 1, -1, -1)
    known, column = np.unique(np.minimum(numbers, other), return_inverse=True)
    return column.reshape(-1), len(known)


def _best(features: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]) -> Ridge:
    """Return the regression whose penalty is best on the validation split."""
    fitted = []
    for penalty in PENALTIES:
        model = Ridge(alpha=penalty, solver="cholesky").fit(features["train"], values["train"])
        error = np.square(model.predict(features["valid"]) - values["valid"]).mean()
        fitted.append((float(error), penalty, model))
    return min(fitted, key=lambda one: one[:2])[2]
