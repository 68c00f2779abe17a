"""A data set file holds what was written, and anything else than that is one clear line."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_files import largest_file

from mlproject.data.dataset import Dataset, content_sha256, make_dataset
from mlproject.data.reading import read
from mlproject.data.split import SITE, Split
from mlproject.data.writing import write
from mlproject.motifs.pwm import Motif
from mlproject.system.errors import UserError

GOLDEN_SHA256 = "201134d86c94b9294bcd89e88a02d4d5996de13a793833fcd444ea05b758e052"
LENGTH = 12


def small_split(count: int, seed: int) -> Split:
    rng = np.random.default_rng(seed)
    sites = np.array([(0, 1, 3, 0, 1), (count - 1, 8, 4, 1, -1)], SITE)
    codes = (np.arange(count * LENGTH) % 5).astype(np.uint8).reshape(count, LENGTH)
    return Split(codes, rng.integers(0, 2, (count, 2)).astype(np.uint8), sites)


@pytest.fixture
def dataset() -> Dataset:
    narrow, wide = np.eye(4)[[0, 2, 3]], np.full((4, 4), 0.25)
    return make_dataset(
        {"train": small_split(6, 0), "valid": small_split(2, 1), "test": small_split(3, 2)},
        ["one", "zwei ü"],
        {"one": ["MA0001", "MA0002.1"]},
        [Motif("MA0001.1", "narrow", narrow, 20.0), Motif("MA0002.1", "wide-ß", wide, 7.5)],
        {"source": "test", "note": "x" * 100_000},
    )


@pytest.fixture
def path(dataset: Dataset, tmp_path: Path) -> Path:
    write(dataset, tmp_path / "a.h5")
    return tmp_path / "a.h5"


def assert_equal(one: Dataset, other: Dataset) -> None:
    for name, split in one.splits.items():
        for values, others in zip(split, other.splits[name], strict=True):
            np.testing.assert_array_equal(values, others)
    for motif, other_motif in zip(one.motifs, other.motifs, strict=True):
        assert (motif.id, motif.name, motif.nsites) == (
            other_motif.id,
            other_motif.name,
            other_motif.nsites,
        )
        np.testing.assert_array_equal(motif.pwm, other_motif.pwm)
    for name in ("classes", "relevant", "provenance", "sha256", "length"):
        assert getattr(one, name) == getattr(other, name)


def test_what_is_read_is_what_was_written(dataset: Dataset, path: Path) -> None:
    found = read(path)
    assert_equal(found, dataset)
    assert found.train.codes.dtype == found.train.labels.dtype == np.uint8
    assert found.train.sites is not None
    assert found.train.sites.dtype == SITE


def test_the_file_has_the_names_of_the_contract(path: Path) -> None:
    with h5py.File(path) as file:
        assert set(file) == {"train", "valid", "test", "motifs"}
        for name in ("train", "valid", "test"):
            assert set(file[name]) == {"codes", "labels", "sites"}
        assert set(file.attrs) == {"classes", "relevant", "provenance", "sha256"}
        assert json.loads(file.attrs["relevant"]) == {"one": ["MA0001", "MA0002.1"]}
        assert file["train/sites"].dtype.names == ("sequence", "start", "width", "motif", "strand")


def test_without_truth_there_are_no_sites_and_motifs(dataset: Dataset, tmp_path: Path) -> None:
    splits = {name: split._replace(sites=None) for name, split in dataset.splits.items()}
    plain = make_dataset(splits, dataset.classes, {})
    write(plain, tmp_path / "b.h5")
    assert_equal(read(tmp_path / "b.h5"), plain)
    assert read(tmp_path / "b.h5").train.sites is None


def test_equal_content_gives_equal_bytes(dataset: Dataset, path: Path, tmp_path: Path) -> None:
    write(dataset, tmp_path / "again.h5")
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_the_hash_stays_what_it_was(dataset: Dataset) -> None:
    assert dataset.sha256 == GOLDEN_SHA256


def test_the_hash_does_not_see_byte_order_strides_or_provenance(dataset: Dataset) -> None:
    splits = {
        name: Split(
            np.asfortranarray(split.codes.astype(">i4")),
            split.labels[::1].astype(float),
            None if split.sites is None else split.sites.astype(SITE.newbyteorder(">")),
        )
        for name, split in dataset.splits.items()
    }
    motifs = [motif._replace(pwm=motif.pwm.astype(">f8")) for motif in dataset.motifs]
    other = make_dataset(splits, dataset.classes, dataset.relevant, motifs, {"other": 1})
    assert other.sha256 == dataset.sha256
    assert other.train.codes.dtype == np.uint8


def changed(dataset: Dataset, what: str) -> str:
    """Return the hash of the content after one change."""
    parts: dict[str, Any] = {
        name: getattr(dataset, name) for name in ("classes", "relevant", "motifs")
    }
    splits = deepcopy(dataset.splits)
    sites = splits["valid"].sites
    assert sites is not None
    if what in ("codes", "labels"):
        values = getattr(splits["test"], what)
        values[-1, -1] = 1 - min(values[-1, -1], 1)
    elif what == "strand":
        sites["strand"][0] = -1
    elif what == "no sites":
        splits["test"] = splits["test"]._replace(sites=None)
    elif what == "order":
        splits["train"], splits["test"] = splits["test"], splits["train"]
    elif what == "shape":
        splits["test"] = splits["test"]._replace(codes=splits["test"].codes.reshape(-1, 6))
    elif what == "classes":
        parts["classes"] = ("one", "two")
    elif what == "relevant":
        parts["relevant"] = {"one": ["MA0001"]}
    elif what == "pwm":
        parts["motifs"] = (dataset.motifs[0]._replace(pwm=np.eye(4)[[0, 2, 1]]), dataset.motifs[1])
    elif what == "name":
        parts["motifs"] = (dataset.motifs[0]._replace(name="n"), dataset.motifs[1])
    return content_sha256(splits, **parts)


def test_the_hash_sees_everything_else(dataset: Dataset) -> None:
    assert changed(dataset, "nothing") == dataset.sha256
    kinds = ("codes", "labels", "strand", "no sites", "order", "shape", "classes", "relevant")
    hashes = {changed(dataset, what) for what in (*kinds, "pwm", "name")}
    assert len(hashes | {dataset.sha256}) == 11


def test_a_hash_that_does_not_fit_is_not_written(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`sha256` must be that of the content"):
        write(replace(dataset, sha256="0" * 64), tmp_path / "b.h5")
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_below_a_file(dataset: Dataset, path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*b\.h5: "):
        write(dataset, path / "b.h5")


def test_a_full_disk_leaves_the_older_file(dataset: Dataset, path: Path) -> None:
    before = path.read_bytes()
    words = r"cannot write .*a\.h5: File too large"
    with pytest.raises(UserError, match=words), largest_file(10_000):
        write(dataset, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def put(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    """Return what replaces array `name` by `change` of it."""

    def apply(file: h5py.File) -> None:
        values = change(file[name][()])
        del file[name]
        file[name] = values

    return apply


def setting(name: str, value: object) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        file.attrs[name] = value

    return apply


def with_value(value: float, *index: int) -> Callable[[np.ndarray], np.ndarray]:
    def apply(values: np.ndarray) -> np.ndarray:
        values = values.astype(np.result_type(values, np.min_scalar_type(value)))
        values[index] = value
        return values

    return apply


def with_field(field: str, value: int) -> Callable[[np.ndarray], np.ndarray]:
    def apply(sites: np.ndarray) -> np.ndarray:
        sites[field][1] = value
        return sites

    return apply


BAD_CONTENT = {
    "codes beyond 4": (put("train/codes", with_value(5, 2, 3)), "0 to 4: got 5 in row 2"),
    "codes below 0": (put("train/codes", with_value(-1, 2, 3)), "0 to 4: got -1 in row 2"),
    "codes as text": (put("train/codes", lambda a: a.astype("S1")), "got type"),
    "labels of 2": (put("test/labels", with_value(2, 1, 0)), "0 to 1: got 2 in row 1"),
    "labels of a half": (put("test/labels", with_value(0.5, 1, 0)), "0 to 1: got 0.5 in row 1"),
    "labels of nan": (put("test/labels", with_value(np.nan, 1, 0)), "0 to 1: got nan in row 1"),
    "fewer labels": (put("valid/labels", lambda a: a[1:]), "got 2 sequences and labels of (1, 2)"),
    "labels of one axis": (put("valid/labels", lambda a: a[:, 0]), "one row of labels"),
    "another class": (
        setting("classes", '["a", "b", "c"]'),
        "`relevant` must name classes, a, b, c: got 'one'",
    ),
    "more classes": (
        setting("classes", '["one", "b", "c"]'),
        "got 3 classes and 2 columns in the train split",
    ),
    "equal classes": (setting("classes", '["one", "one"]'), "names that differ"),
    "colliding classes": (
        setting("classes", '["a b", "a_b"]'),
        "'a b' and 'a_b', both a_b; rename one",
    ),
    "relevant a number": (setting("relevant", '{"one": 5}'), "list JASPAR ids for one: got 5"),
    "motifs as numbers": (put("motifs", lambda a: a["pwm"]), "`motifs` must be records of id"),
    "numbers as classes": (setting("classes", "[1, 2]"), "names that differ"),
    "classes not JSON": (setting("classes", "one two"), "`classes` must be a list in JSON"),
    "relevant a list": (setting("relevant", "[]"), "`relevant` must be a dict in JSON: got []"),
    "relevant one text": (setting("relevant", '{"one": "MA1"}'), "list JASPAR ids for one"),
    "no classes": (lambda file: file.attrs.__delitem__("classes"), "`classes` must be a list"),
    "longer sequences": (
        put("valid/codes", lambda a: np.pad(a, ((0, 0), (0, 1)))),
        "got 12 nt in train, 13 nt in valid, 12 nt in test",
    ),
    "empty split": (put("test/codes", lambda a: a[:0]), "test split must hold sequences"),
    "codes of one axis": (put("test/codes", lambda a: a[0]), "(n, L): got codes of (12,)"),
    "a changed letter": (put("train/codes", with_value(3, 0, 0)), "`sha256` must be the hash"),
    "another hash": (setting("sha256", "0" * 64), "`sha256` must be the hash"),
    "a changed motif": (
        put("motifs", lambda a: a[::-1].copy()),
        "a site must name a motif of the data set",
    ),
    "site beyond the end": (put("test/sites", with_field("start", 9)), "'start': 9"),
    "site of no sequence": (put("test/sites", with_field("sequence", 3)), "'sequence': 3"),
    "site of no motif": (put("test/sites", with_field("motif", 2)), "'motif': 2"),
    "site of no strand": (put("test/sites", with_field("strand", 0)), "'strand': 0"),
    "sites as numbers": (put("test/sites", lambda a: a["start"]), "records of sequence, start"),
    "no test split": (lambda file: file.__delitem__("test"), "found motifs, train, train/codes"),
    "a number as codes": (put("test/codes", lambda _: np.array(3)), "needs train/codes"),
}


@pytest.mark.parametrize("case", BAD_CONTENT)
def test_bad_content_is_one_line(case: str, path: Path) -> None:
    change, words = BAD_CONTENT[case]
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(UserError) as raised:
        read(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert "\n" not in message


def test_a_pwm_that_does_not_sum_to_1_is_refused(dataset: Dataset) -> None:
    motifs = (dataset.motifs[0], dataset.motifs[1]._replace(pwm=np.ones((4, 4))))
    with pytest.raises(UserError, match=r"sum to 1: MA0002\.1 has not"):
        make_dataset(dataset.splits, dataset.classes, dataset.relevant, motifs)


def test_a_file_without_hash_is_read_and_gets_one(dataset: Dataset, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for name in ("sha256", "provenance"):
            del file.attrs[name]
    assert read(path).sha256 == dataset.sha256


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got .*none\.h5, no such file$"):
        read(tmp_path / "none.h5")
    with pytest.raises(UserError, match=r"a folder$"):
        read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"sequence,label\n", bytes(5000)])
def test_a_file_that_is_no_hdf5_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(
        UserError, match=r"recipe \(synthetic, .*mpra.* HDF5 file: got .*a\.h5, which is not HDF5$"
    ):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_one_line(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"which is damaged or cut short$"):
        read(path)


def test_a_foreign_file_is_told_what_is_needed_and_what_it_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["sequences/first"] = np.zeros(3)
        file.update({f"key{number:02}": np.zeros(1) for number in range(20)})
    with pytest.raises(UserError) as raised:
        read(tmp_path / "a.h5")
    message = str(raised.value)
    assert "needs train/codes, train/labels" in message
    assert "X_train, Y_train" in message
    assert "found key00, key01" in message
    assert message.endswith("key11 ...")
    h5py.File(tmp_path / "b.h5", "w").close()
    with pytest.raises(UserError, match=r"found nothing$"):
        read(tmp_path / "b.h5")
