"""Intervals: which column is a summit, which ones fit the genome, what is said of others."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlproject.commands.cli import main
from mlproject.data import read
from mlproject.data.bed import read_intervals
from mlproject.data.gc import gc_matched
from mlproject.data.genome import open_genome
from mlproject.data.header_places import LONGEST_NAME
from mlproject.data.peaks import Options, convert
from mlproject.sequence import decode
from mlproject.system.errors import UserError

SIZES = {"chr1": 3000, "chr2": 3000, "chr7": 3000, "chr8": 3000, "chrM": 100}
PLACES = ("chr1\t1000\t1400", "chr7\t1000\t1400", "chr8\t1000\t1400")
MIDDLE, SUMMIT = 1200, 1003


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    with path.open("w") as file:
        for name, size in SIZES.items():
            letters = "".join(rng.choice([*"ACGT"], size))
            file.write(
                f">{name}\n" + "".join(f"{letters[at : at + 60]}\n" for at in range(0, size, 60))
            )
    return path


NARROW = "p\t115\t.\t8.4\t14.1\t-1\t3"
BED12 = "p\t115\t.\t1000\t1400\t0\t3\t1,300,1\t0,20,399"
FORMATS = {
    "a.narrowPeak": (NARROW, SUMMIT),
    "a.narrowPeak.gz": (NARROW, SUMMIT),
    "a.bed": (NARROW, SUMMIT),
    "ENCFF001ABC.bed": ("p\t0\t+\t120\t7e-3\tinf\t3", SUMMIT),
    "a.regionPeak": (NARROW, SUMMIT),
    "idr.narrowPeak": (f"{NARROW}\t2.1\t3.1\t1000\t1400", SUMMIT),
    "unknown.narrowPeak": ("p\t115\t.\t8.4\t14.1\t-1\t-1", MIDDLE),
    "three.bed": (None, MIDDLE),
    "four.bed": ("p", MIDDLE),
    "six.bed": ("p\t115\t+", MIDDLE),
    "nine.bed": ("p\t115\t+\t1000\t1400\t255,0,0", MIDDLE),
    "broad.broadPeak": ("p\t115\t.\t8.4\t14.1\t3", MIDDLE),
    "three.narrowPeak": (None, MIDDLE),
    "b.bed": (BED12, MIDDLE),
    "b.bed12": (BED12, MIDDLE),
    "thick.bed": ("p\t115\t.\t1000\t1000\t0\t3", MIDDLE),
    "b.gappedPeak": (f"{BED12}\t8.4\t14.1\t11.5", MIDDLE),
    "gapped.bed": (f"{BED12}\t8.4\t14.1\t11.5", MIDDLE),
    "methyl.bed": ("p\t115\t+\t1000\t1400\t0,255,0\t3\t100", MIDDLE),
    "ccre.bed": ("p\t0\t.\t1000\t1400\t255,0,0\tpELS", MIDDLE),
    "more.bed": (f"{NARROW}\tof\tbigBed", MIDDLE),
    "counts.bed": ("p\tname\tx\t1\t2\t3\t3", MIDDLE),
}


@pytest.mark.parametrize("name", FORMATS)
def test_column_10_is_a_summit_in_narrow_peaks_only(
    tmp_path: Path, genome: Path, name: str
) -> None:
    more, summit = FORMATS[name]
    text = "".join(f"{place}\t{more}\n" if more else f"{place}\n" for place in PLACES)
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with open_genome(genome) as opened:
        found = read_intervals(tmp_path / name, opened)
    assert found.table["summit"].tolist() == [summit] * 3


@pytest.mark.parametrize(
    ("track", "summit"),
    [
        ("narrowPeak", SUMMIT),
        ("bigNarrowPeak", SUMMIT),
        ("broadPeak", MIDDLE),
        ("gappedPeak", MIDDLE),
    ],
)
def test_a_track_line_says_more_than_the_name(
    tmp_path: Path, genome: Path, track: str, summit: int
) -> None:
    lines = [f'track type={track} name="x"', *(f"{place}\t{NARROW}" for place in PLACES)]
    (tmp_path / "a.bed").write_text("\n".join(lines))
    (tmp_path / "a.narrowPeak").write_text("\n".join(lines))
    with open_genome(genome) as opened:
        for name in ("a.bed", "a.narrowPeak"):
            found = read_intervals(tmp_path / name, opened)
            assert found.table["summit"].tolist() == [summit] * 3


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_marks_line_ends_and_compression_give_the_same_intervals(
    tmp_path: Path, genome: Path, pack: Callable[[bytes], bytes], encoding: str, end: str
) -> None:
    (tmp_path / "a.bed").write_bytes(pack(end.join(PLACES).encode(encoding)))
    with open_genome(genome) as opened:
        found = read_intervals(tmp_path / "a.bed", opened)
    assert found.table.values.tolist() == [["chr1", 1000, 1400, 1200], ["chr7", 1000, 1400, 1200],
                                           ["chr8", 1000, 1400, 1200]]  # fmt: skip


def run(tmp_path: Path, genome: Path, options: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what a command says on standard error; it must not fail."""
    fixed = f"--genome {genome} --window 200 --negatives shuffle --test chr8"
    fixed += f" --out {tmp_path}/o.h5 --force"
    main(["dataset", "peaks", *fixed.split(), *options.split()])
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ["a.bedGraph", "a.bdg.gz", "a.WIG"])
def test_a_signal_is_no_file_of_peaks(name: str, tmp_path: Path, genome: Path) -> None:
    (tmp_path / name).write_text("".join(f"{place}\t3.5\n" for place in PLACES))
    with open_genome(genome) as opened, pytest.raises(UserError, match="must be peaks: got a sig"):
        read_intervals(tmp_path / name, opened)


def test_what_the_genome_lacks_is_left_out_and_counted(
    tmp_path: Path, genome: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = "".join(f"{place}\n" for place in PLACES)
    path = tmp_path / "a.bed"
    scheme = f"--files A={path} --scheme summits"
    path.write_text(f"{good}chrUn_1\t10\t200\nchrUn_1\t300\t400\nchrUn_2\t1\t9\n")
    said = run(tmp_path, genome, scheme, capsys)
    assert "class A: intervals left out, because the genome lacks their chromosomes: 3, on" in said
    assert "chrUn_1, chrUn_2\n" in said
    first = read(tmp_path / "o.h5").sha256
    said = run(tmp_path, genome, f"{scheme} --skip chrUn_1,chrM", capsys)
    assert "`skip` names chrUn_1, which the genome lacks" in said
    assert read(tmp_path / "o.h5").sha256 == first
    path.write_text(f"{good}chr2\t2800\t3040\n")
    said = run(tmp_path, genome, scheme, capsys)
    assert "class A: intervals left out, because they reach beyond their chromosomes: 1; is" in said
    assert read(tmp_path / "o.h5").sha256 == first
    path.write_text(f"{good}chr2\t-40\t90\nchr2\t-40\t-20\nchr2\t2800\t3040\n")
    said = run(tmp_path, genome, scheme, capsys)
    assert "class A: intervals left out, because they reach beyond their chromosomes: 3; is" in said
    assert read(tmp_path / "o.h5").sha256 == first
    path.write_text(good)
    banned = tmp_path / "banned.bed"
    banned.write_text("chrY\t0\t10\nchr2\t2000\t4000\n")
    said = run(tmp_path, genome, f"{scheme} --blacklist {banned}", capsys)
    assert (
        "blacklist: intervals left out, because the genome lacks their chromosomes: 1, on chrY"
        in said
    )
    assert "blacklist: intervals cut off, because they reach beyond their chromosomes: 1" in said
    assert read(tmp_path / "o.h5").sha256 == first
    banned.write_text("chrY\t0\t10\nchrZ\t5\t9\n")
    said = run(tmp_path, genome, f"{scheme} --blacklist {banned}", capsys)
    assert "lacks their chromosomes: 2, on chrY, chrZ" in said
    assert read(tmp_path / "o.h5").sha256 == first


def test_intervals_of_0_nt_are_left_out_and_counted(
    tmp_path: Path, genome: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{place}\t{NARROW}" for place in PLACES]
    path, banned = tmp_path / "a.narrowPeak", tmp_path / "banned.bed"
    options = f"--files A={path} --scheme summits"
    path.write_text("\n".join(rows))
    assert "0 nt" not in run(tmp_path, genome, options, capsys)
    first = read(tmp_path / "o.h5").sha256
    path.write_text("\n".join([f"chr2\t500\t500\t{NARROW}", *rows, f"chr1\t0\t0\t{NARROW}"]))
    banned.write_text("chr1\t1200\t1200\n")
    said = run(tmp_path, genome, f"{options} --blacklist {banned}", capsys)
    assert "class A: intervals left out, because they have 0 nt: 2\n" in said
    assert "blacklist: intervals left out, because they have 0 nt: 1\n" in said
    assert read(tmp_path / "o.h5").sha256 == first


def test_a_blacklist_beyond_the_end_still_bans_and_cut_off_peaks_are_no_negatives(
    tmp_path: Path, genome: Path
) -> None:
    (tmp_path / "a.bed").write_text(
        "".join(f"{place}\n" for place in (*PLACES, "chr2\t2700\t3040"))
    )
    (tmp_path / "b.bed").write_text("chr1\t900\t4000\nchr2\t0\t2690\n")
    options = Options("summits", 200, test=("chr8",), blacklist=tmp_path / "b.bed")
    with pytest.raises(UserError, match="got none for train"):
        convert(
            {"A": [tmp_path / "a.bed"]}, genome, tmp_path / "o.h5", relevant={}, options=options
        )
    (tmp_path / "b.bed").write_text("chr1\t1600\t4000\nchr2\t0\t2690\n")
    options = Options("summits", 200, test=("chr8",), blacklist=tmp_path / "b.bed", negatives="gc")
    convert({"A": [tmp_path / "a.bed"]}, genome, tmp_path / "o.h5", relevant={}, options=options)
    train = read(tmp_path / "o.h5").train
    texts = decode(train.codes[:])
    with open_genome(genome) as opened:
        chromosome = decode(opened.codes("chr1", 0, 3000)[None])[0]
    places = [chromosome.find(text) for text in texts]
    assert places[0] == 1100
    assert all(0 <= place <= 800 or 1400 <= place <= 1400 for place in places[1:])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1\t10\t20", *PLACES], "line 1: .* has no chromosome '1': there it is called chr1"),
        ([*PLACES, "MT\t1\t9"], "line 4: .* has no chromosome 'MT': there it is called chrM"),
        (["chrX\t1\t9", "chr1\t9\t4000"], "line 1: .* has no chromosome 'chrX'"),
        (["track type=bedGraph", *PLACES], "line 1: must be peaks: got a signal, bedGraph"),
        ([">chr1", "ACGT"], "line 1: must be BED or narrowPeak: this is FASTA"),
        (["##fileformat=VCFv4.1", "chr1\t1000\t1400\tA\tG"], "got the header ##fileformat=VCF"),
        (["#CHROM\tPOS\tID", "chr1\t1000\t1400\tA\tG\t.\t.\t."], "got the header #CHROM"),
        ([f"chr1\t1\t{9**30}"], "line 1: start, end and summit must be integers"),
        (["chr1\t1_0\t20"], "must be integers: got '1_0'"),
    ],
)  # fmt: skip
def test_other_files_and_other_naming_are_refused(
    tmp_path: Path, genome: Path, lines: list[str], message: str
) -> None:
    (tmp_path / "a.bed").write_text("\n".join(lines))
    with open_genome(genome) as opened, pytest.raises(UserError, match=message):
        read_intervals(tmp_path / "a.bed", opened)


@pytest.mark.parametrize("name", ["loops.bedpe", "loops.bedpe.gz"])
def test_pairs_of_intervals_are_no_peaks(name: str, tmp_path: Path, genome: Path) -> None:
    (tmp_path / name).write_text("".join(f"{place}\t{place}\n" for place in PLACES))
    with open_genome(genome) as opened, pytest.raises(UserError, match="got pairs of intervals"):
        read_intervals(tmp_path / name, opened)


def test_a_skipped_chromosome_with_another_name_in_the_genome_is_refused(
    tmp_path: Path, genome: Path
) -> None:
    (tmp_path / "a.bed").write_text("\n".join(PLACES))
    options = Options("summits", 200, test=("chr8",), skip=("M",))
    with pytest.raises(
        UserError, match=r"`skip`: .* has no chromosome 'M': there it is called chrM"
    ):
        convert(
            {"A": [tmp_path / "a.bed"]}, genome, tmp_path / "o.h5", relevant={}, options=options
        )


def test_peaks_of_1_nt_get_a_word(
    tmp_path: Path, genome: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, at in (("A", 1000), ("B", 1020)):
        lines = (f"{chromosome}\t{at}\t{at + 1}" for chromosome in ("chr1", "chr7", "chr8"))
        (tmp_path / f"{name}_summits.bed").write_text("\n".join(lines))
    files = f"--files A={tmp_path}/A_summits.bed,B={tmp_path}/B_summits.bed"
    said = run(tmp_path, genome, f"{files} --scheme summits", capsys)
    assert "note: class A: 3 of 3 peaks have 1 nt, like summits" in said
    assert "use full-width peaks" in said
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, genome, files, capsys)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "its peaks have at most 1 nt; scheme=summits takes windows around summits" in error


def test_summits_that_are_all_0_get_a_word(
    tmp_path: Path, genome: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, zero = tmp_path / "a.narrowPeak", NARROW.removesuffix("3") + "0"
    options = f"--files A={path} --scheme summits"
    path.write_text("".join(f"{place}\t{zero}\n" for place in PLACES))
    said = run(tmp_path, genome, options, capsys)
    assert "class A: the summit of each peak is its first nt: if 0 in column 10 means" in said
    path.write_text(
        "".join(
            f"{place}\t{more}\n" for place, more in zip(PLACES, (zero, zero, NARROW), strict=True)
        )
    )
    assert "first nt" not in run(tmp_path, genome, options, capsys)


def test_windows_on_chromosomes_with_long_names_have_no_place_rather_than_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = [f"{'scaffold' * 8}{end}" for end in "ab"]
    assert len(long[0]) == LONGEST_NAME + 1
    genome, rng = tmp_path / "g.fa", np.random.default_rng(1)
    names = [*long, "chr7", "chr8"]
    genome.write_text("".join(f">{n}\n{''.join(rng.choice([*'ACGT'], 3000))}\n" for n in names))
    (tmp_path / "a.bed").write_text("".join(f"{name}\t1000\t1400\n" for name in names))
    said = run(tmp_path, genome, f"--files A={tmp_path}/a.bed --scheme summits", capsys)
    assert "places of windows on 2 chromosomes are not kept: names have at most 64 bytes" in said
    found = read(tmp_path / "o.h5").windows
    assert (found["train"]["chrom"] == b"").all()
    assert found["test"]["chrom"].tolist() == [b"chr8", b""]
    with h5py.File(tmp_path / "o.h5", "r+") as file:
        raw = file["test/windows"][()]
        del file["test/windows"]
        wide = np.zeros(len(raw), [("chrom", "S80"), ("start", "<i8"), ("end", "<i8")])
        wide["chrom"], wide["start"], wide["end"] = [long[0].encode(), b"chr8"], 7, 207
        file["test/windows"] = wide
    assert read(tmp_path / "o.h5").windows["test"]["chrom"].tolist() == [b"", b"chr8"]


def test_more_bins_than_memory_holds_are_refused_before_they_are_made(
    tmp_path: Path, genome: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.bed").write_text("".join(f"{place}\n" for place in PLACES))
    monkeypatch.setattr("mlproject.data.genome_windows.MOST_ROWS", 1000)
    files = {"A": [tmp_path / "a.bed"]}
    for size, message in (
        (1, "at most 1,000 bins in the peaks of a class: got 1,200"),
        (2, "at most 1,000 labels of bins in windows: got 59,400"),
    ):
        options = Options(test=("chr8",), window=200, bin_size=size, labels="union")
        with pytest.raises(UserError, match=message):
            convert(files, genome, tmp_path / "o.h5", relevant={}, options=options)


def test_the_search_for_negatives_that_do_not_exist_ends(tmp_path: Path) -> None:
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{'G' * 300}{'AT' * 5_000}\n")
    with open_genome(path) as genome:
        reads = 0
        codes = genome.codes

        def counted(*place: int) -> np.ndarray:
            nonlocal reads
            reads += 1
            return codes(*place)  # type: ignore[arg-type]

        genome.codes = counted  # type: ignore[assignment]
        (tmp_path / "a.bed").write_text("chr1\t0\t300\n")
        own = read_intervals(tmp_path / "a.bed", genome).table
        found = gc_matched(genome, own, 200, own, np.random.default_rng(0))
    assert not len(found)
    assert reads <= 10_000
