"""The baseline of numbers: counts of words, and a linear model of them."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mlproject.commands.cli import cli
from mlproject.data import Split, make_dataset
from mlproject.filters.word_baseline import word_counts, word_scores
from mlproject.run.baseline import cached_pwm_scan
from mlproject.sequence import decode, reverse_complement

RNG = np.random.default_rng(0)


def test_words_are_counted_on_both_strands_as_a_slow_count_does() -> None:
    codes = RNG.integers(0, 5, (7, 30)).astype(np.uint8)  # with unknown letters
    found = word_counts(codes, 3)
    assert found.shape == (7, 32)  # of 64 words, none is its own reverse complement
    assert np.array_equal(found, word_counts(reverse_complement(codes), 3))
    for row, text in zip(found, decode(codes), strict=True):
        words: dict[str, int] = {}
        for start in range(28):
            word = text[start : start + 3]
            if "N" not in word:
                other = word[::-1].translate(str.maketrans("ACGT", "TGCA"))
                words[min(word, other)] = words.get(min(word, other), 0) + 1
        assert sorted(row[row > 0].tolist()) == sorted(words.values())
    assert word_counts(codes, 4).shape == (7, 136)
    assert word_counts(codes[:, :5], 6).sum() == 0


@pytest.mark.parametrize("task", ["regression", "counts"])
def test_a_sum_of_words_is_predicted_and_noise_is_not(task: str, tmp_path: Path) -> None:
    splits = {}
    for name, count in (("train", 600), ("valid", 100), ("test", 200)):
        codes = RNG.integers(0, 4, (count, 80)).astype(np.uint8)
        number = word_counts(codes, 2)[:, [1, 5]] @ [0.1, -0.1]
        noise = RNG.normal(size=count)
        values = np.stack([np.exp(1 + number), np.exp(noise)], axis=1)
        splits[name] = Split(codes, values if task == "counts" else np.log(values))
    data = make_dataset(splits, ["words", "noise"], {}, task=task)
    words, chance = word_scores(data)
    assert words.pearson is not None
    assert chance.pearson is not None
    assert words.pearson > 0.6
    assert abs(chance.pearson) < 0.25
    assert (words.deviance is not None) == (task == "counts")
    kept = cached_pwm_scan(data, tmp_path)
    assert cached_pwm_scan(data, tmp_path) == kept
    assert kept.metrics()["baseline/test_pearson/words"] == words.pearson


def test_the_command_prints_the_scores_of_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["baseline", "--dataset", "accessibility", "--sequences", "200"])
    assert done.exit_code == 0
    head, *rows = [line.split() for line in done.output.splitlines()]
    assert head[:7] == ["output", "sequences", "Pearson", "Spearman", "R²", "MSE", "deviance"]
    assert [row[0] for row in rows] == ["activity", "mean"]
