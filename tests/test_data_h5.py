"""One-hot files of others are converted whatever their axes, letters and names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mlproject import sequence
from mlproject.commands.cli import main
from mlproject.data import Dataset, h5, onehot, read, write
from mlproject.data.synthetic import generate
from mlproject.system.errors import UserError


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate(seed=0, sequences=60, length=100)


def write_one_hot(
    path: Path,
    dataset: Dataset,
    order: tuple[int, ...] = (0, 1, 2),
    letters: str = "ACGT",
    names: tuple[str, str, str] = ("X_train", "X_valid", "X_test"),
    columns: int = 12,
) -> Path:
    channels = [sequence.LETTERS.index(letter) for letter in letters]
    with h5py.File(path, "w") as file:
        for name, split in zip(names, dataset.splits.values(), strict=True):
            x = sequence.one_hot(split.codes)[..., channels].transpose(order)
            file[name] = x
            y = name.replace("X", "Y").replace("x", "y")
            file[y] = split.labels[:, :columns] if columns > 1 else split.labels[:, 0]
    return path


@pytest.mark.parametrize(
    ("axes", "order", "wanted"),
    [
        ("NLC", (0, 1, 2), "auto"),
        ("NCL", (0, 2, 1), "auto"),
        ("NCL", (0, 2, 1), "NCL"),
        ("LCN", (1, 2, 0), "LCN"),
        ("CNL", (2, 0, 1), "CNL"),
    ],
)
def test_every_order_of_axes_and_letters_gives_the_same_data(
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    axes: str,
    order: tuple[int, ...],
    wanted: str,
) -> None:
    monkeypatch.setattr(onehot, "BLOCK_ROWS", 7)
    names = ("x_train", "x_val", "x_test")
    path = write_one_hot(tmp_path / "a.h5", dataset, order, "AGCT", names)
    arguments = ["--file", str(path), "--out", str(tmp_path / "b.h5")]
    main(["dataset", "h5", *arguments, "--letters", "AGCT", "--axes", wanted])
    found = read(tmp_path / "b.h5")
    for name, split in dataset.splits.items():
        np.testing.assert_array_equal(found.splits[name].codes, split.codes)
        np.testing.assert_array_equal(found.splits[name].labels, split.labels)
    assert (found.classes, found.relevant) == (dataset.classes, dataset.relevant)


def test_one_class_may_be_a_vector_and_names_are_given(dataset: Dataset, tmp_path: Path) -> None:
    path = write_one_hot(tmp_path / "a.h5", dataset, columns=1)
    assert h5.class_names(path, None) == ["class0"]
    h5.convert(path, tmp_path / "b.h5", names=["CEBPB"], relevant={"CEBPB": ["MA0466"]})
    found = read(tmp_path / "b.h5")
    np.testing.assert_array_equal(found.test.labels[:, 0], dataset.test.labels[:, 0])
    assert found.relevant == {"CEBPB": ("MA0466",)}


def change(key: str, values: Callable[[np.ndarray], np.ndarray] | None) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            old = file[key][()]
            del file[key]
            if values is not None:
                file[key] = values(old)

    return apply


def two_ones(x: np.ndarray) -> np.ndarray:
    x[5, 9] = 1
    return x


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("Y_valid", None), "must hold one `Y_valid`: found X_test, X_train"),
        (change("X_test", lambda x: x[..., :3]), "`X_test` must be one-hot with three axes"),
        (change("X_test", lambda x: x[:, :4]), "dataset h5 --axes NCL"),
        (
            change("X_test", lambda x: x[:, 1:]),
            "all splits: got 100 nt in train, 100 nt in valid, 99 nt in test",
        ),
        (change("X_train", two_ones), "sequence 5 is not at position 9"),
        (change("Y_train", lambda y: y[:-1]), r"`Y_train` must be \(42, 12\)"),
        (change("Y_train", lambda y: y[:, :5]), r"`Y_valid` must be \(6, 5\)"),
        (change("Y_test", lambda y: y * 2), "must be 0 or 1"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "is damaged or cut short"),
        (lambda path: path.write_text("X"), "is not HDF5"),
        (lambda path: path.unlink(), "cannot read .*: no such file"),
    ],
)
def test_a_bad_file_gets_one_line_and_writes_nothing(
    dataset: Dataset, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    path = write_one_hot(tmp_path / "a.h5", dataset)
    damage(path)
    with pytest.raises(UserError, match=message) as caught:
        h5.convert(path, tmp_path / "b.h5", names=[*dataset.classes], relevant={})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b.h5").exists()


def test_wrong_axes_and_letters_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    path = write_one_hot(tmp_path / "a.h5", dataset)
    out, names = tmp_path / "b.h5", [*dataset.classes]
    rules: tuple[tuple[dict[str, Any], str], ...] = (
        ({"axes": "NCC"}, "`axes` must be auto or an order of N, C and L"),
        ({"axes": "NCL"}, "three axes, one of 4 letters"),
        ({"letters": "ACGU"}, "`letters` must be an order of ACGT"),
    )
    for options, message in rules:
        with pytest.raises(UserError, match=message):
            h5.convert(path, out, names=names, relevant={}, **options)


def test_reverse_complements_can_be_appended_to_each_split(
    dataset: Dataset, tmp_path: Path
) -> None:
    path, out = write_one_hot(tmp_path / "a.h5", dataset), tmp_path / "b.h5"
    h5.convert(path, out, names=[*dataset.classes], relevant={}, both_strands=True)
    found = read(out)
    for name, split in dataset.splits.items():
        codes = np.concatenate([split.codes, sequence.reverse_complement(np.asarray(split.codes))])
        np.testing.assert_array_equal(found.splits[name].codes, codes)
        np.testing.assert_array_equal(found.splits[name].labels, np.tile(split.labels, (2, 1)))


def test_a_data_set_file_is_not_a_file_of_one_hot_sequences(
    dataset: Dataset, tmp_path: Path
) -> None:
    write(dataset, tmp_path / "own.h5")
    with pytest.raises(UserError, match="must hold one `Y_train`: found motifs, test, train"):
        h5.class_names(tmp_path / "own.h5", None)
