"""Rows that stay in their file are those of the array, in any process, and count no memory."""

import multiprocessing
import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlproject.data import make_dataset, read, reading, write
from mlproject.data.dataset import Dataset
from mlproject.data.rows import StoredRows
from mlproject.data.split import Split
from mlproject.data.writing import new_dataset_file
from mlproject.system.errors import UserError


@pytest.fixture
def stored(tmp_path: Path) -> tuple[StoredRows, np.ndarray]:
    array = np.random.default_rng(0).integers(0, 5, (50, 7), np.uint8)
    (tmp_path / "a.bin").write_bytes(b"head" + array.tobytes())
    return StoredRows(tmp_path / "a.bin", 4, (50, 7)), array


@pytest.mark.parametrize(
    "rows",
    [
        slice(None), slice(3, 9), slice(45, 99), slice(9, 9), slice(1, 20, 3), slice(-5, None),
        np.array([7, 0, 7, 49]), np.array([], np.int64), [3, 2],
    ],
)  # fmt: skip
def test_rows_are_chosen_as_in_an_array(
    stored: tuple[StoredRows, np.ndarray], rows: slice | np.ndarray
) -> None:
    found = stored[0][rows]
    np.testing.assert_array_equal(found, stored[1][rows])
    assert found.dtype == np.uint8


def test_they_look_like_an_array(stored: tuple[StoredRows, np.ndarray]) -> None:
    rows, array = stored
    assert (rows.shape, rows.ndim, rows.size, len(rows)) == (array.shape, 2, array.size, 50)
    np.testing.assert_array_equal(np.asarray(rows), array)
    np.testing.assert_array_equal(np.stack(list(rows)), array)


@pytest.mark.parametrize("rows", [np.array([50]), np.array([-1]), np.array([0.5]), 3])
def test_what_is_no_row_is_refused(stored: tuple[StoredRows, np.ndarray], rows: np.ndarray) -> None:
    with pytest.raises((IndexError, TypeError)):
        stored[0][rows]


def _sum(rows: StoredRows) -> int:
    return int(rows[:].sum())


def test_other_processes_read_on_their_own(stored: tuple[StoredRows, np.ndarray]) -> None:
    rows, array = stored
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(rows))[:], array)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_sum, (rows,)) == array.sum()


def test_a_file_that_shrinks_while_it_is_used_is_told(
    stored: tuple[StoredRows, np.ndarray],
) -> None:
    rows, _ = stored
    with rows.path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(UserError, match="must not change while it is used"):
        rows[:]


def test_a_file_that_is_written_to_while_it_is_used_is_told(
    stored: tuple[StoredRows, np.ndarray],
) -> None:
    rows, _ = stored
    with rows.path.open("r+b") as file:
        file.write(b"x")
    os.utime(rows.path, ns=(1, 1))
    with pytest.raises(UserError, match="must not change while it is used"):
        rows[:1]


def test_a_file_that_is_replaced_is_read_on_here_and_refused_in_other_processes(
    stored: tuple[StoredRows, np.ndarray],
) -> None:
    rows, array = stored
    content = pickle.dumps(rows)
    other = rows.path.with_suffix(".new")
    other.write_bytes(rows.path.read_bytes()[::-1])
    os.replace(other, rows.path)
    np.testing.assert_array_equal(rows[:], array)
    with pytest.raises(UserError, match="must not change while it is used"):
        pickle.loads(content)


def random_dataset(rows: int = 40, length: int = 30) -> Dataset:
    rng = np.random.default_rng(1)
    splits = {
        name: Split(
            rng.integers(0, 5, (rows, length), np.uint8), rng.integers(0, 2, (rows, 3), np.uint8)
        )
        for name in ("train", "valid", "test")
    }
    return make_dataset(splits, ["a", "b", "c"], {"a": ["MA0001"]}, (), {"source": "test"})


def test_large_codes_stay_in_the_file_and_are_the_same_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = random_dataset()
    write(dataset, tmp_path / "a.h5")
    monkeypatch.setattr(reading, "IN_MEMORY", 100)
    found = read(tmp_path / "a.h5")
    assert isinstance(found.train.codes, StoredRows)
    assert isinstance(found.test.labels, np.ndarray)
    assert found.sha256 == dataset.sha256
    for name, split in dataset.splits.items():
        np.testing.assert_array_equal(found.splits[name].codes, split.codes)
        np.testing.assert_array_equal(found.splits[name].labels, split.labels)
    write(found, tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "a.h5").read_bytes()


def test_large_codes_are_checked_as_small_ones_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(random_dataset(), tmp_path / "a.h5")
    monkeypatch.setattr(reading, "IN_MEMORY", 100)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["train/codes"][33, 2] = 7
    with pytest.raises(UserError, match=r"integers from 0 to 4: got 7 in row 33"):
        read(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["train/codes"][33, 2] = 4 - file["train/codes"][33, 3] % 2
    with pytest.raises(UserError, match="`sha256` must be the hash"):
        read(tmp_path / "a.h5")


def test_a_file_filled_in_blocks_is_the_same_as_one_written_at_once(tmp_path: Path) -> None:
    dataset = random_dataset()
    counts = {name: len(split.codes) for name, split in dataset.splits.items()}
    parts = (dataset.classes, dataset.relevant, dataset.provenance)
    with new_dataset_file(tmp_path / "a.h5", dataset.length, counts, *parts) as target:
        for name, split in dataset.splits.items():
            for start in (0, 17):
                block = slice(start, 17 if start == 0 else None)
                target.splits[name].codes[block] = split.codes[block]
                target.splits[name].labels[block] = split.labels[block]
    found = read(tmp_path / "a.h5")
    assert (found.sha256, found.provenance) == (dataset.sha256, dataset.provenance)
    np.testing.assert_array_equal(found.test.codes, dataset.test.codes)
    assert target.listing is not None
    assert target.listing.counts == (40, 40, 40)
    assert [row.positives[0] for row in target.listing.rows] == [
        *dataset.train.labels.sum(axis=0).tolist()
    ]


def test_a_file_filled_with_what_is_no_data_does_not_appear(tmp_path: Path) -> None:
    counts = {"train": 2, "valid": 1, "test": 1}
    with pytest.raises(UserError, match="integers"):  # noqa: SIM117
        with new_dataset_file(tmp_path / "a.h5", 5, counts, ["a"], {}, {}) as target:
            target.splits["valid"].codes[:] = np.full((1, 5), 9, np.uint8)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="every split needs sequences: got none for valid"):  # noqa: SIM117
        with new_dataset_file(tmp_path / "a.h5", 5, {**counts, "valid": 0}, ["a"], {}, {}):
            pass


def test_training_from_the_file_gives_the_weights_of_training_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlproject.architectures import make_spec
    from mlproject.network.build import build, predict
    from mlproject.network.training import fit

    write(random_dataset(250), tmp_path / "a.h5")
    in_memory = read(tmp_path / "a.h5")
    monkeypatch.setattr(reading, "IN_MEMORY", 100)
    in_file = read(tmp_path / "a.h5")
    options = {"filters1": 4, "filters2": 0, "pool1": 5, "units": 8, "epochs": 2}
    spec = make_spec({**options, "augment": "reverse_complement"})
    scores = []
    for data in (in_memory, in_file):
        model = build(spec, data.length, 3)
        fit(model, spec, data.train, data.valid, state_path=tmp_path / "state.h5")
        scores.append(predict(model, data.test.codes))
    np.testing.assert_array_equal(scores[0], scores[1])
