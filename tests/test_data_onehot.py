"""Files of the paper's released code are read, in any order of axes."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlproject import sequence
from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.data import Dataset, make_dataset, read, write
from mlproject.data.h5 import convert
from mlproject.data.synthetic import generate
from mlproject.run.checks import check_run
from mlproject.run.context import Settings
from mlproject.system.errors import UserError

AXES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "(N, 4, L)": lambda x: x.transpose(0, 2, 1),
    "(N, 4, L, 1)": lambda x: x.transpose(0, 2, 1)[..., None],
    "(N, L, 4)": lambda x: x,
    "(N, 1, L, 4)": lambda x: x[:, None],
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate(seed=0, sequences=60, length=100)


def write_released(
    path: Path, dataset: Dataset, axes: str = "(N, 4, L)", dtype: str = "f4", columns: int = 12
) -> None:
    with h5py.File(path, "w") as file:
        for name, split in dataset.splits.items():
            file[f"X_{name}"] = AXES[axes](sequence.one_hot(split.codes)).astype(dtype)
            file[f"Y_{name}"] = split.labels[:, :columns].astype(dtype)
            file[f"model_{name}"] = np.zeros((len(split.codes), 4, dataset.length), "f4")


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("dtype", ["f4", ">f8", "u1", "i8", "?"])
def test_every_order_of_axes_gives_the_same_codes(
    dataset: Dataset, tmp_path: Path, axes: str, dtype: str
) -> None:
    write_released(tmp_path / "a.h5", dataset, axes, dtype)
    found = read(tmp_path / "a.h5")
    for name, split in dataset.splits.items():
        np.testing.assert_array_equal(found.splits[name].codes, split.codes)
        np.testing.assert_array_equal(found.splits[name].labels, split.labels)
        assert found.splits[name].sites is None
    assert (found.classes, found.relevant) == (dataset.classes, dataset.relevant)
    assert found.provenance["classes"] == "the paper's, by the number of columns"


@pytest.mark.parametrize("columns", [12, 11])
def test_names_by_the_number_of_columns_are_said_to_be_a_guess(
    columns: int, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_released(tmp_path / "a.h5", dataset, columns=columns)
    path, out = str(tmp_path / "a.h5"), str(tmp_path / "o.h5")
    names = ",".join(f"own{number}" for number in range(columns))
    told = []
    convert = ["h5", "--file", path, "--out", out, "--force"]
    for command in (["show", path], convert, [*convert, "--names", names]):
        main(["dataset", *command])
        told.append("12 columns of labels are taken for" in capsys.readouterr().err)
    check_run(make_spec({"dataset": path}), read(Path(path)), Settings(), None)
    told.append("12 columns of labels are taken for" in capsys.readouterr().err)
    assert told == [columns == 12, columns == 12, False, columns == 12]


def test_identity_does_not_depend_on_the_layout(dataset: Dataset, tmp_path: Path) -> None:
    write_released(tmp_path / "a.h5", dataset)
    found = read(tmp_path / "a.h5")
    write(found, tmp_path / "b.h5")
    splits = {name: split._replace(sites=None) for name, split in dataset.splits.items()}
    plain = make_dataset(splits, dataset.classes, dataset.relevant)
    assert found.sha256 == read(tmp_path / "b.h5").sha256 == plain.sha256


def test_other_numbers_of_columns_get_numbers_as_names(dataset: Dataset, tmp_path: Path) -> None:
    write_released(tmp_path / "a.h5", dataset, columns=3)
    found = read(tmp_path / "a.h5")
    assert (found.classes, found.relevant) == (("class0", "class1", "class2"), {})
    assert found.provenance["classes"] == "unknown, numbered"


def test_a_position_without_letter_is_4(dataset: Dataset, tmp_path: Path) -> None:
    write_released(tmp_path / "a.h5", dataset)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["X_valid"][2, :, 5] = 0
    codes = read(tmp_path / "a.h5").valid.codes
    assert codes[2, 5] == sequence.OTHER
    assert (codes == sequence.OTHER).sum() == 1


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("X_valid", np.full((6, 4, 100), 0.25), "`X_valid` must be one-hot, at most a single 1"),
        ("X_valid", np.ones((6, 4, 100)), "`X_valid` must be one-hot, at most a single 1"),
        ("X_valid", np.full((6, 4, 100), np.nan), "`X_valid` must be one-hot, at most a single 1"),
        (
            "X_valid",
            np.zeros((6, 5, 100)),
            "`X_valid` must be one-hot with three axes, one of 4 letters: got (6, 5, 100)",
        ),
        ("X_valid", np.zeros((6, 100)), "got (6, 100)"),
        ("X_valid", np.zeros((0, 4, 100)), "`X_valid` must hold sequences: got (0, 4, 100)"),
        ("X_valid", np.zeros((6, 4, 99)), "got 100 nt in train, 99 nt in valid, 100 nt in test"),
        (
            "Y_test",
            np.zeros((11, 12)),
            "`Y_test` must be (12, 12), sequences and classes of the train split: got (11, 12)",
        ),
        (
            "Y_test",
            np.zeros((12, 11)),
            "`Y_test` must be (12, 12), sequences and classes of the train split: got (12, 11)",
        ),
        ("Y_test", np.zeros(12), "sequences and classes of the train split: got (12,)"),
        ("Y_test", np.full((12, 12), 0.5), "`Y_test` must be 0 or 1: got 0.5 in row 0"),
        ("Y_test", None, "found X_test, X_train, X_valid, Y_train"),
    ],
)
def test_bad_content_is_one_line(
    dataset: Dataset, tmp_path: Path, key: str, value: np.ndarray | None, words: str
) -> None:
    write_released(tmp_path / "a.h5", dataset)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file[key]
        if value is not None:
            file[key] = value
    with pytest.raises(UserError) as raised:
        read(tmp_path / "a.h5")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_damaged_array_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    path, out = tmp_path / "data.h5", tmp_path / "out.h5"
    letters = np.random.default_rng(0).integers(0, 4, (300, 40))
    x = np.eye(4, dtype=np.float32)[letters].transpose(0, 2, 1)
    with h5py.File(path, "w") as file:
        for split in ("train", "valid", "test"):
            file.create_dataset(f"X_{split}", data=x, chunks=(50, 4, 40), compression="gzip")
            file[f"Y_{split}"] = np.ones((300, 1), np.float32)
        start = file["X_train"].id.get_chunk_info(2).byte_offset
    content = bytearray(path.read_bytes())
    content[start : start + 100] = b"\xff" * 100
    path.write_bytes(content)
    with pytest.raises(UserError, match="`X_train` is damaged: copy the file again"):
        convert(path, out, names=["A"], relevant={})
    assert not out.exists()
