"""Windows keep their places in the genome, from the data set to predictions and attributions."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from mlproject.attribution import Attributions
from mlproject.commands.cli import main
from mlproject.data import read, write
from mlproject.data.dataset import Dataset, make_dataset
from mlproject.data.fitting import fitted
from mlproject.data.header_places import place_of
from mlproject.data.peaks import Options, convert
from mlproject.data.sequence_files import SequenceRecord
from mlproject.data.split import WINDOW, Split
from mlproject.run.places import write_contributions, write_predictions
from mlproject.sequence import decode
from mlproject.system.errors import UserError

CHROMOSOMES = ("chr1", "chr7", "chr8")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome of three chromosomes with peaks of one factor."""
    folder = tmp_path_factory.mktemp("genome")
    rng = np.random.default_rng(0)
    letters = {name: "".join(rng.choice([*"ACGT"], 3000)) for name in CHROMOSOMES}
    (folder / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()))
    peaks = [
        f"{name}\t{start}\t{start + 60}" for name in CHROMOSOMES for start in (400, 1500, 2000)
    ]
    (folder / "a.bed").write_text("\n".join(peaks) + "\n")
    return folder


def make(genome: Path, out: Path, negatives: str) -> Dataset:
    options = Options(scheme="summits", window=50, test=("chr8",), valid=("chr7",),
                      negatives=negatives)  # type: ignore[arg-type]  # fmt: skip
    convert({"SRF": [genome / "a.bed"]}, genome / "g.fa", out, relevant={}, options=options)
    return read(out)


@pytest.mark.parametrize(("negatives", "placed"), [("shuffle", 3), ("gc", 6)])
def test_each_window_of_peaks_is_where_its_sequence_is(
    genome: Path, tmp_path: Path, negatives: str, placed: int
) -> None:
    data = make(genome, tmp_path / "a.h5", negatives)
    records = (genome / "g.fa").read_text().split(">")[1:]
    letters = {record.split("\n")[0]: record.split("\n")[1] for record in records}
    for name, split in data.splits.items():
        windows = data.windows[name]
        assert len(windows) == len(split.codes) == 6
        there = [row for row in windows if row["chrom"]]
        assert len(there) == placed
        for row, text in zip(windows, decode(np.asarray(split.codes)), strict=True):
            if row["chrom"]:
                assert letters[row["chrom"].decode()][row["start"] : row["end"]] == text


def test_places_are_kept_by_write_are_no_part_of_the_identity_and_are_checked(
    genome: Path, tmp_path: Path
) -> None:
    data = make(genome, tmp_path / "a.h5", "shuffle")
    write(data, tmp_path / "b.h5")
    again = read(tmp_path / "b.h5")
    assert again.sha256 == data.sha256
    assert np.array_equal(again.windows["test"], data.windows["test"])
    with h5py.File(tmp_path / "b.h5", "a") as file:
        for name in ("train", "valid", "test"):
            del file[f"{name}/windows"]
        file["test/windows"] = np.zeros(2, WINDOW)
    with pytest.raises(UserError, match="`test/windows` must be records of chrom, start, end"):
        read(tmp_path / "b.h5")


def test_data_without_places_have_none() -> None:
    split = Split(np.zeros((2, 5)), np.array([[0], [1]]))
    assert make_dataset(dict.fromkeys(("train", "valid", "test"), split), ["a"], {}).windows == {}


def test_predictions_and_contributions_are_written_where_the_windows_are(tmp_path: Path) -> None:
    windows = np.array(
        [
            (b"chr2", 10, 14, b"+"), (b"", 0, 0, b""), (b"chr1", 100, 104, b""),
            (b"chr1", 102, 106, b"-"),
        ],
        WINDOW,
    )  # fmt: skip
    predicted = np.array([[0.25, 0.5], [0.9, 0.9], [0.75, 0.125], [0.5, 0.0]])
    write_predictions(tmp_path / "p.bed", windows, predicted, ["SRF", "YY1"])
    assert (tmp_path / "p.bed").read_text().splitlines() == [
        "#chrom\tstart\tend\tname\tscore\tstrand\tSRF\tYY1",
        "chr1\t100\t104\tSRF\t750\t.\t0.75\t0.125",
        "chr1\t102\t106\tSRF\t500\t-\t0.5\t0",
        "chr2\t10\t14\tYY1\t500\t+\t0.25\t0.5",
    ]
    codes = np.zeros((3, 4), np.uint8)
    scores = np.zeros((3, 4, 4), np.float32)
    scores[:, :, 0] = [[1, 2, 3, 4], [5, 6, 7, 8], [9, 9, 9, 9]]
    found = Attributions("deeplift", np.array([2, 3, 1]), np.array([0, 0, 0]), codes, scores)
    write_contributions(tmp_path / "c.bedgraph", windows, found, ["SRF", "YY1"])
    assert (tmp_path / "c.bedgraph").read_text().splitlines() == [
        'track type=bedGraph name="deeplift SRF"',
        "chr1\t100\t101\t1", "chr1\t101\t102\t2", "chr1\t102\t103\t5.5",
        "chr1\t103\t104\t5.5", "chr1\t104\t105\t6", "chr1\t105\t106\t5",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("header", "count", "length", "place"),
    [
        ("chr1:100-110", 10, 10, (b"chr1", 100, 110, b"")),
        ("chr1:101-110", 10, 10, (b"chr1", 100, 110, b"")),  # samtools counts from 1
        ("peak_7::chr1:100-110(-)", 10, 10, (b"chr1", 100, 110, b"-")),
        ("HLA:DRB1:100-110(+)", 10, 10, None),
        ("chr1:100-110", 10, 6, (b"chr1", 102, 108, b"")),
        ("chr1:100-111(+)", 11, 6, (b"chr1", 102, 108, b"+")),
        ("chr1:100-111(-)", 11, 6, (b"chr1", 103, 109, b"-")),
        ("chr1:100-105", 5, 8, (b"chr1", 99, 107, b"")),
        ("chr1:100-105(-)", 5, 8, (b"chr1", 98, 106, b"-")),
        ("chr1:0-5", 5, 8, None),  # N before the chromosome's start
        ("chr1:100-120", 10, 10, None),
        ("seq1", 10, 10, None),
        ("c" * 65 + ":100-110", 10, 10, None),
    ],
)
def test_headers_say_where_a_sequence_lies(
    header: str, count: int, length: int, place: tuple[bytes, int, int, bytes] | None
) -> None:
    letters = "".join("ACGT"[n % 4] for n in range(count))
    record = SequenceRecord(Path("x.fa"), 1, letters, name=header)
    found = place_of(record, length)
    assert found.item() == (place or (b"", 0, 0, b""))
    if place and length <= count:
        kept = fitted(record, length, "centre")
        assert kept is not None
        first = letters.index(kept) if length < count else 0
        offset = first if place[3] != b"-" else count - first - length
        assert place[1] == 100 + offset


def test_a_data_set_of_fasta_keeps_the_places_of_its_sequences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    texts = ["".join(row) for row in rng.choice([*"ACGT"], (40, 12))]
    lines = [f">chr{n % 3}:{n * 50}-{n * 50 + 12}\n{text}" for n, text in enumerate(texts)]
    Path("a.fa").write_text("\n".join([*lines, ">elsewhere", "ACGTTGCAACGT"]))
    main(["dataset", "fasta", "--out", "a.h5", "--files", "a=a.fa", "--negatives", "shuffle"])
    assert "the headers of 40 of 41 sequences say where they lie" in capsys.readouterr().err
    data = read(Path("a.h5"))
    seen = 0
    for name, split in data.splits.items():
        assert (data.windows[name]["chrom"] == b"")[split.labels[:, 0] == 0].all()
        for codes, window in zip(split.codes, data.windows[name], strict=True):
            if window["chrom"]:
                number = int(window["start"]) // 50
                assert window.item() == (
                    b"chr%d" % (number % 3),
                    number * 50,
                    number * 50 + 12,
                    b"",
                )
                assert decode(codes[None]) == [texts[number]]
                seen += 1
    assert seen == 40
