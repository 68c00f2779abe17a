"""What a data set has twice gets a note: sequences with other labels, files of two classes."""

from pathlib import Path

import numpy as np
import pytest

from mlproject.commands.cli import main
from mlproject.data.dataset import make_dataset
from mlproject.data.repeats import Repeats, repeats, same_sequences
from mlproject.data.split import Split
from mlproject.sequence import reverse_complement


def random_codes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (count, 30)).astype(np.uint8)


def test_repeats_are_counted_on_either_strand_and_conflicts_by_their_labels() -> None:
    codes, labels = random_codes(9), np.eye(3, dtype=np.uint8)[np.arange(9) % 3]
    train = Split(
        np.concatenate([codes[:5], codes[:1], reverse_complement(codes[1:3]), codes[3:4]]),
        np.concatenate([labels[:5], labels[:1], 1 - labels[1:3], 0 * labels[3:4]]),
    )
    valid = Split(np.concatenate([codes[5:7], reverse_complement(codes[:2])]), labels[:4])
    test = Split(codes[7:9], labels[:2])
    made = make_dataset({"train": train, "valid": valid, "test": test}, ["a", "b", "c"], {})
    assert repeats(made) == Repeats(shared=2, conflicting=3)
    numbers = {
        name: split._replace(labels=np.asarray(split.labels, np.float32))
        for name, split in made.splits.items()
    }
    valued = make_dataset(numbers, ["a", "b", "c"], {}, task="regression")
    assert repeats(valued) == Repeats(shared=2, conflicting=0)
    assert not same_sequences(valued)


def test_classes_with_the_same_labels_are_found() -> None:
    labels = np.random.default_rng(1).integers(0, 2, (20, 5)).astype(np.uint8)
    labels[:, 3], labels[:, 4], labels[:, 2] = labels[:, 0], labels[:, 0], 0
    labels[19, 4] = 1 - labels[19, 4]
    rows = {"train": slice(10), "valid": slice(10, 15), "test": slice(15, 20)}
    splits = {name: Split(random_codes(20)[own], labels[own]) for name, own in rows.items()}
    assert same_sequences(make_dataset(splits, [*"abcde"], {})) == [("a", "d")]


def test_a_file_of_two_classes_and_copies_that_shuffling_leaves_equal_get_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    letters = ["".join("ACGT"[code] for code in row) for row in random_codes(20)]
    Path("a.fa").write_text("".join(f">{text}\n{text}\n" for text in ["A" * 30, *letters]))
    options = "dataset fasta --relevant none --negatives shuffle --out"
    main([*options.split(), "one.h5", "--files", "A=a.fa"])
    said = capsys.readouterr().err
    assert "note: 1 sequence comes again in its split, on either strand, with other labels" in said
    assert "the same sequences" not in said
    main([*options.split(), "two.h5", "--files", "A=a.fa,B=a.fa"])
    said = capsys.readouterr().err
    assert "note: classes A and B have the same sequences: is one file given twice?" in said
