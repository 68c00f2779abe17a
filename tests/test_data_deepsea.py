"""The DeepSEA bundle, as MATLAB 7.3 and 5, gives the rows that have a label, letters in order."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from deepsea_files import write_hdf5, write_matlab5

from mlproject.commands.cli import main
from mlproject.data import bundle, deepsea, read
from mlproject.data.matlab5 import matrices
from mlproject.data.onehot import codes_of_channels
from mlproject.data.paper import CLASSES, RELEVANT
from mlproject.system.errors import UserError

LENGTH = 24
SHAPE = {"length": LENGTH, "columns": 670, "positives": 0.02}
ROWS = {"train": 700, "valid": 60, "test": 90}


def make_bundle(folder: Path, chunks: tuple[int, int, int] | None = (1, 4, 128)) -> Path:
    folder.mkdir(exist_ok=True)
    write_hdf5(folder / "train.mat", "train", ROWS["train"], chunks=chunks, **SHAPE)  # type: ignore[arg-type]
    write_matlab5(folder / "valid.mat", "valid", ROWS["valid"], **SHAPE)  # type: ignore[arg-type]
    write_matlab5(
        folder / "test.mat",
        "test",
        ROWS["test"],
        compress=False,
        **SHAPE,  # type: ignore[arg-type]
    )
    return folder


def slow_reading(folder: Path, columns: list[int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read a bundle the obvious way: all of it into memory, letter by letter."""
    found = {}
    for split in ROWS:
        path = folder / f"{split}.mat"
        if split == "train":
            with h5py.File(path) as file:
                x, y = file["trainxdata"][()].transpose(2, 1, 0), file["traindata"][()].T
        else:
            arrays = scipy.io.loadmat(path)
            x, y = arrays[f"{split}xdata"], arrays[f"{split}data"]
        codes = np.full((len(x), LENGTH), 4, np.uint8)
        for channel, code in enumerate((0, 2, 1, 3)):  # A G C T
            codes[x[:, channel] == 1] = code
        labels = y[:, columns]
        kept = labels.any(axis=1)
        found[split] = codes[kept], labels[kept]
    return found


@pytest.mark.parametrize(
    ("chunks", "block"),
    [
        ((1, 4, 128), 1 << 26),
        ((1, 4, 128), LENGTH * 4 * 300),
        ((5, 2, 256), LENGTH * 4 * 20),
        ((24, 4, 700), 1000),
        (None, LENGTH * 4 * 100),
    ],
)
def test_a_bundle_gives_what_a_slow_reading_gives_whatever_its_chunks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chunks: tuple[int, int, int] | None,
    block: int,
) -> None:
    monkeypatch.setattr(bundle, "BLOCK_BYTES", block)
    monkeypatch.setattr(deepsea, "PIECE_ROWS", 37)
    monkeypatch.setattr(deepsea, "BAND_BYTES", block)
    folder = make_bundle(tmp_path / "bundle", chunks)
    columns = deepsea.choose_columns()
    done = deepsea.convert(folder, tmp_path / "out.h5", columns=columns, relevant=RELEVANT)
    found = read(tmp_path / "out.h5")
    for split, (codes, labels) in slow_reading(folder, [*columns.values()]).items():
        np.testing.assert_array_equal(found.splits[split].codes, codes)
        np.testing.assert_array_equal(found.splits[split].labels, labels)
    assert found.classes == CLASSES
    assert found.relevant == RELEVANT
    assert done.rows == ROWS
    assert done.differs is None
    assert done.listing.sha256 == found.sha256


def test_columns_are_chosen_by_index_by_name_or_renamed(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("".join(f"cell|TF{n}|None\n" for n in range(670)))
    assert deepsea.choose_columns() == deepsea.PAPER_COLUMNS
    assert deepsea.choose_columns("SRF,7,mine=3") == {"SRF": 361, "column7": 7, "mine": 3}
    assert deepsea.choose_columns("7,cell|TF3|None", names) == {
        "cell|TF7|None": 7,
        "cell|TF3|None": 3,
    }
    assert len(deepsea.choose_columns("all", names)) == 670
    for wrong, message in (
        ("SRFF", "did you mean SRF"),
        ("3,3", "must be unique: got 3 twice"),
        ("a=3,b=3", "must be unique: got b=3 twice"),
        ("all", "needs `names`"),
        ("²", "no label column '²'"),
        ("9" * 5000, "no label column '9999"),
    ):
        with pytest.raises(UserError, match=message):
            deepsea.choose_columns(wrong)


def test_a_name_of_several_columns_is_refused_and_their_indices_are_not(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("K562|CTCF\nK562|MAX\n\nK562|CTCF\n")
    for wanted in ("all", "K562|CTCF", "K562|MAX,K562|CTCF"):
        with pytest.raises(UserError, match=r"'K562\|CTCF' is in lines 1 and 4; rename one"):
            deepsea.choose_columns(wanted, names)
    assert deepsea.choose_columns("K562|MAX", names) == {"K562|MAX": 1}
    assert deepsea.choose_columns("0,2,other=3", names) == {
        "K562|CTCF": 0, "column2": 2, "other": 3,
    }  # fmt: skip


def test_the_command_prints_counts_and_writes_a_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_bundle(tmp_path / "bundle")
    out = tmp_path / "out.h5"
    arguments = ["dataset", "deepsea", "--folder", str(folder), "--out", str(out)]
    main([*arguments, "--columns", "SRF,control=3", "--relevant", "control=MA0466"])
    printed = capsys.readouterr().out
    found = read(out)
    assert found.relevant == {"SRF": ("MA0083",), "control": ("MA0466",)}
    for name, count in zip(found.classes, found.train.labels[:].sum(axis=0), strict=True):
        assert f"{name}\t{found.relevant[name][0]}\t{count}\t" in printed


def test_counts_are_held_against_the_papers_for_the_whole_bundle_only() -> None:
    whole, columns = dict(deepsea.BUNDLE_ROWS), dict(deepsea.PAPER_COLUMNS)
    right = {"train": 270_382, "valid": 5, "test": 23_768}
    assert deepsea._compare(whole, columns, right) is None
    assert deepsea._compare({**whole, "train": 7}, columns, {**right, "test": 1}) is None
    differs = deepsea._compare(whole, columns, {**right, "test": 23_000})
    assert differs is not None
    assert "23,000 in test, not 23,768" in differs


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "f8", "?", "i4"])
def test_matlab_5_matrices_are_those_that_scipy_reads(
    tmp_path: Path, compress: bool, dtype: str
) -> None:
    values = np.random.default_rng(0).integers(0, 2, (9, 4, 50)).astype(dtype)
    arrays = {
        "x": values,
        "y": values[:, 0, :1],
        "text": "abc",
        "tiny": np.array([[1, 0]], np.uint8),
    }
    scipy.io.savemat(tmp_path / "a.mat", arrays, do_compression=compress)
    with matrices(tmp_path / "a.mat") as found:
        assert found["x"].shape == (9, 4, 50)
        found["x"].skip(9)
        rest = found["x"].read(values.size - 9)
        assert found["tiny"].read(2).tolist() == [1, 0]
        assert "text" not in found
    expected = scipy.io.loadmat(tmp_path / "a.mat")["x"].ravel(order="F")[9:]
    np.testing.assert_array_equal(rest, expected)


def test_a_compressed_matrix_passes_in_little_memory(tmp_path: Path) -> None:
    scipy.io.savemat(
        tmp_path / "a.mat", {"x": np.zeros((4000, 4000), np.uint8)}, do_compression=True
    )
    tracemalloc.start()
    with matrices(tmp_path / "a.mat") as found:
        assert not any(found["x"].read(4000).any() for _ in range(4000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_one_hot_in_any_type_and_order_becomes_codes() -> None:
    codes = np.array([[0, 1, 2], [3, 4, 0]], np.uint8)
    for dtype in ("u1", "f4", "i8", "?"):
        channels = [(codes == code).astype(dtype) for code in (3, 0, 2, 1)]
        np.testing.assert_array_equal(codes_of_channels(channels, "TAGC"), codes)
    for wrong in (2.0, 0.5, -1.0, np.nan):
        channels = [(codes == code).astype(float) for code in range(4)]
        channels[1][1, 2] = wrong
        with pytest.raises(ValueError) as caught:
            codes_of_channels(channels)
        assert caught.value.args[0] == (1, 2)
    double = [np.ones((1, 1), np.uint8)] * 2 + [np.zeros((1, 1), np.uint8)] * 2
    with pytest.raises(ValueError):
        codes_of_channels(double)


def cut(path: Path, share: float) -> None:
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * share))


def rename(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.move("trainxdata", "traindatax")


def two_letters(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        row = int(np.flatnonzero(file["traindata"][361])[2])
        file["trainxdata"][3, :, row] = [1, 0, 1, 0]


def label_two(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["traindata"][361, 5] = 2


def fewer_rows(path: Path) -> None:
    arrays = scipy.io.loadmat(path)
    rows = arrays["validdata"][:-1]
    scipy.io.savemat(path, {"validxdata": arrays["validxdata"], "validdata": rows})


def no_labels(path: Path) -> None:
    arrays = scipy.io.loadmat(path)
    labels = np.zeros_like(arrays["validdata"])
    scipy.io.savemat(path, {"validxdata": arrays["validxdata"], "validdata": labels})


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train", lambda path: path.unlink(), "the bundle needs train.mat, valid.mat and test.mat"),
        ("train", lambda path: cut(path, 0.6), r"train.mat: .*(damaged or cut short)"),
        ("valid", lambda path: cut(path, 0.6), "valid.mat: .* cut short"),
        ("test", lambda path: cut(path, 0.6), "test.mat: .* cut short"),
        ("valid", lambda path: cut(path, 0.0), "valid.mat: must be a MATLAB 5 file"),
        ("valid", lambda path: path.write_text("x" * 300), "valid.mat: must be a MATLAB 5 file"),
        ("train", rename, r"must hold `trainxdata` .*found traindata \(670, 700\), traindatax"),
        ("train", two_letters, r"row \d+ is not at position 3"),
        ("train", label_two, "labels must be 0 or 1"),
        ("valid", fewer_rows, "equal numbers of rows: got 60 and 59"),
        ("valid", no_labels, "every split needs sequences: got none for valid"),
    ],
)
def test_a_damaged_bundle_gets_one_line_and_writes_nothing(
    tmp_path: Path, name: str, damage: Callable[[Path], None], message: str
) -> None:
    folder = make_bundle(tmp_path / "bundle")
    damage(folder / f"{name}.mat")
    with pytest.raises(UserError, match=message) as caught:
        deepsea.convert(
            folder, tmp_path / "out.h5", columns=deepsea.choose_columns("SRF,1"), relevant={}
        )
    assert "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == ["bundle"]


def test_a_column_beyond_the_files_is_told(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle")
    with pytest.raises(UserError, match="has label columns 0 to 669: got 800"):
        deepsea.convert(folder, tmp_path / "out.h5", columns={"a": 800}, relevant={})
