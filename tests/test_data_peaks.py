"""Peaks on a genome become labelled windows, split by chromosome, with negatives that match."""

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from Bio import bgzf

from mlproject.commands.cli import main
from mlproject.data import read
from mlproject.data.bed import read_intervals
from mlproject.data.dataset import Dataset
from mlproject.data.genome import open_genome
from mlproject.data.peaks import Options, convert
from mlproject.sequence import decode, shuffle_dinucleotides
from mlproject.system.errors import UserError

SIZES = {"chr1": 9000, "chr2": 6000, "chr7": 5000, "chr8": 5050}


@pytest.fixture(scope="module")
def chromosomes() -> dict[str, str]:
    rng = np.random.default_rng(0)
    return {name: "".join(rng.choice([*"ACGT"], size)) for name, size in SIZES.items()}


@pytest.fixture
def genome(tmp_path: Path, chromosomes: dict[str, str]) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(
        "".join(
            f">{name} assembly\n"
            + "\n".join(text[at : at + 60] for at in range(0, len(text), 60))
            + "\n"
            for name, text in chromosomes.items()
        )
    )
    return path


def random_peaks(seed: int, count: int = 12) -> list[tuple[str, int, int]]:
    rng = np.random.default_rng(seed)
    found = []
    for name, size in SIZES.items():
        for start in rng.integers(0, size - 500, count // 4 * 2):
            found.append((name, int(start), int(start + rng.integers(30, 500))))
    return found


def write_bed(path: Path, intervals: list[tuple[str, int, int]], summit: int | None = None) -> Path:
    more = "" if summit is None else f"\tp\t0\t.\t1\t1\t1\t{summit}"
    path.write_text("".join(f"{c}\t{start}\t{end}{more}\n" for c, start, end in intervals))
    return path


def split_of(chromosome: str) -> str:
    return {"chr7": "valid", "chr8": "test"}.get(chromosome, "train")


def slow_bins(
    peaks: dict[str, list[tuple[str, int, int]]], window: int, size: int, union: bool
) -> dict[tuple[str, int], list[int]]:
    """Return window -> labels, nucleotide by nucleotide."""
    covered = {
        (name, chromosome): np.zeros(length, bool)
        for name in peaks
        for chromosome, length in SIZES.items()
    }
    for name, intervals in peaks.items():
        for chromosome, start, end in intervals:
            covered[name, chromosome][start:end] = True
    found = {}
    for chromosome, length in SIZES.items():

        def labels(at: int, chromosome: str = chromosome) -> list[int]:
            return [
                int(2 * covered[name, chromosome][at : at + size].sum() > size) for name in peaks
            ]

        for at in range(0, length, size):
            start = at + size // 2 - window // 2
            if start < 0 or start + window > length or not any(labels(at)):
                continue
            near = range(at - 2 * size, at + 3 * size, size) if union else [at]
            found[chromosome, start] = np.max([labels(one) for one in near], axis=0).tolist()
    return found


@pytest.mark.parametrize("union", [False, True])
def test_bins_are_labelled_as_the_methods_say(
    tmp_path: Path, genome: Path, chromosomes: dict[str, str], union: bool
) -> None:
    peaks = {"one": random_peaks(1), "two": random_peaks(2)}
    files = {
        "one": [write_bed(tmp_path / "a.bed", peaks["one"][::2]),
                write_bed(tmp_path / "b.bed", peaks["one"][1::2])],
        "two": [write_bed(tmp_path / "c.bed", peaks["two"])],
    }  # fmt: skip
    options = Options(test=("chr8",), labels="union" if union else "centre")
    done = convert(files, genome, tmp_path / "out.h5", relevant={}, options=options)
    found = read(tmp_path / "out.h5")
    expected = slow_bins(peaks, 1000, 200, union)
    for split, part in found.splits.items():
        own = sorted(place for place in expected if split_of(place[0]) == split)
        texts = [chromosomes[name][start : start + 1000] for name, start in own]
        assert decode(part.codes[:]) == texts
        assert part.labels[:].tolist() == [expected[place] for place in own]
    assert done.outside > 0
    assert done.listing.rows[0].sources == (str(tmp_path / "a.bed"), str(tmp_path / "b.bed"))


def test_summits_are_centred_and_shared_by_classes(
    tmp_path: Path, genome: Path, chromosomes: dict[str, str]
) -> None:
    places = [("chr1", 1000, 1100), ("chr2", 3000, 3100), ("chr7", 900, 990), ("chr8", 700, 800)]
    files = {
        "one": [write_bed(tmp_path / "a.narrowPeak", places, summit=10)],
        "two": [write_bed(tmp_path / "b.bed", [("chr1", 1005, 1400), *places[1:2]])],
    }
    options = Options(scheme="summits", window=101, test=("chr8",))
    convert(files, genome, tmp_path / "out.h5", relevant={}, options=options)
    found = read(tmp_path / "out.h5")
    expected = {
        ("chr1", 1010): [1, 1],
        ("chr1", 1202): [0, 1],
        ("chr2", 3010): [1, 1],
        ("chr2", 3050): [1, 1],
    }
    texts = [chromosomes[name][summit - 50 : summit + 51] for name, summit in expected]
    assert decode(found.train.codes[:]) == texts
    assert found.train.labels[:].tolist() == [*expected.values()]
    assert decode(found.test.codes[:]) == [chromosomes["chr8"][660:761]]


def gc_shares(dataset: Dataset, split: str, positive: bool) -> Counter:
    part = dataset.splits[split]
    own = part.codes[:][(part.labels[:].sum(axis=1) > 0) == positive]
    return Counter((((own == 1) | (own == 2)).sum(axis=1) * 50 // own.shape[1]).tolist())


def test_negatives_of_the_genome_have_the_gc_of_the_positives_and_no_peaks(
    tmp_path: Path, genome: Path, chromosomes: dict[str, str]
) -> None:
    peaks = [(name, at, at + 50) for name in SIZES for at in (500, 1500, 2500)]
    files = {"one": [write_bed(tmp_path / "a.bed", peaks)]}
    options = Options(scheme="summits", window=100, test=("chr8",), negatives="gc")
    done = convert(files, genome, tmp_path / "out.h5", relevant={}, options=options)
    found = read(tmp_path / "out.h5")
    assert done.unmatched == 0
    assert done.listing.unlabelled == (6, 3, 3)
    for split, part in found.splits.items():
        assert gc_shares(found, split, True) == gc_shares(found, split, False)
        for text in decode(part.codes[:][part.labels[:, 0] == 0]):
            name, at = next((n, c.find(text)) for n, c in chromosomes.items() if text in c)
            assert split_of(name) == split
            assert not any(c == name and at < e and s < at + 100 for c, s, e in peaks)


def test_shuffled_negatives_keep_their_dinucleotides(tmp_path: Path, genome: Path) -> None:
    files = {"one": [write_bed(tmp_path / "a.bed", random_peaks(1))]}
    options = Options(scheme="summits", window=60, test=("chr8",), negatives="shuffle")
    convert(files, genome, tmp_path / "a.h5", relevant={}, options=options)
    convert(files, genome, tmp_path / "b.h5", relevant={}, options=options)
    found = read(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    half = len(found.train.codes) // 2
    assert found.train.labels[:, 0].tolist() == [1] * half + [0] * half
    pairs = [Counter(pairwise(text)) for text in decode(found.train.codes[:])]
    assert pairs[:half] == pairs[half:]
    assert (found.train.codes[:half] != found.train.codes[half:]).any(axis=1).mean() > 0.9


def test_every_sequence_with_the_same_dinucleotides_is_equally_likely() -> None:
    rng = np.random.default_rng(0)
    codes = np.array([0, 1, 0, 2, 0, 1, 2, 0], np.uint8)
    drawn = Counter(shuffle_dinucleotides(codes, rng).tobytes() for _ in range(6000))
    pairs = Counter(pairwise(codes.tolist()))

    def sequences(last: int, rest: Counter) -> list[tuple[int, ...]]:
        if not sum(rest.values()):
            return [()]
        return [
            (pair[1], *tail)
            for pair, count in rest.items()
            if count and pair[0] == last
            for tail in sequences(pair[1], rest - Counter([pair]))
        ]

    every = {bytes([0, *rest]) for rest in sequences(0, pairs)}
    assert set(drawn) == every
    expected = 6000 / len(every)
    assert all(abs(count - expected) < 5 * expected**0.5 for count in drawn.values())


def test_blacklist_and_skipped_chromosomes_are_left_out(tmp_path: Path, genome: Path) -> None:
    places = [(name, at, at + 50) for name in SIZES for at in (500, 1500, 2500)]
    files = {"one": [write_bed(tmp_path / "a.bed", places)]}
    banned = write_bed(tmp_path / "banned.bed", [("chr1", 1574, 1580), ("chr1", 2575, 2600)])
    options = Options(
        scheme="summits", window=100, test=("chr8",), skip=("chr2",), blacklist=banned
    )
    done = convert(files, genome, tmp_path / "out.h5", relevant={}, options=options)
    assert (done.listing.counts, done.blacklisted) == ((2, 3, 3), 1)


def test_a_bgzip_genome_is_read_as_a_plain_one(tmp_path: Path, genome: Path) -> None:
    zipped = tmp_path / "genome.fa.gz"
    with bgzf.BgzfWriter(str(zipped)) as file:
        file.write(genome.read_bytes())
    with open_genome(genome) as plain, open_genome(zipped) as packed:
        assert plain.sizes == packed.sizes == SIZES
        for name in SIZES:
            np.testing.assert_array_equal(
                plain.codes(name, 100, 4000), packed.codes(name, 100, 4000)
            )


def test_the_command_says_what_was_left_out(
    tmp_path: Path, genome: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_bed(tmp_path / "a.bed", [*random_peaks(1), ("chr1", 0, 200)])
    out = tmp_path / "out.h5"
    main(["dataset", "peaks", "--files", f"SRF={path}", "--genome", str(genome), "--out", str(out),
          "--test", "chr8", "--negatives", "shuffle", "--window", "600"])  # fmt: skip
    printed = capsys.readouterr()
    assert "SRF\tMA0083\t" in printed.out
    assert "1 window leaves its chromosome: left out" in printed.err
    assert read(out).length == 600


def test_an_empty_split_is_told_before_the_search_for_negatives(
    tmp_path: Path, genome: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlproject.data.peaks.gc_matched", lambda *_: pytest.fail("searched"))
    files = {"SRF": [write_bed(tmp_path / "a.bed", [("chr1", 1000, 1400)])]}
    options = Options("summits", 200, test=("chr8",), negatives="gc")
    with pytest.raises(UserError, match="every split needs sequences: got none for valid"):
        convert(files, genome, tmp_path / "o.h5", relevant={}, options=options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.bed: holds no interval"),
        ("# only\ntrack name=x\n", "a.bed: holds no interval"),
        ("chr1\t10\t20\nchr1\t30\t29\n", "line 2: start must be before end"),
        ("chr1\t30\t30\n", "line 1: start must be before end"),
        ("chr1\t-1\t20\n", "line 1: start must be from 0: got -1"),
        (
            "chr1\t10\t9001\n",
            r"line 1: chr1 ends at 9,000 in .*: got 9,001; is it another assembly",
        ),
        ("chr1 10 20\n", "line 1: must have chromosome, start and end, tab-separated"),
        ("chr1\t10\t2e3\n", "line 1: start, end and summit must be integers"),
        ("1\t10\t20\n", "line 1: .* has no chromosome '1': there it is called chr1"),
        ("chr99\t10\t20\n", "line 1: .* has no chromosome 'chr99'"),
        ("chr1\t10\t20\tp\t0\t.\t1\t1\t1\t10\n", "line 1: the summit must lie in the interval"),
    ],
)
def test_a_bad_bed_file_gets_one_line_with_its_line(
    tmp_path: Path, genome: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    path = tmp_path / "a.bed"
    path.write_text(text)
    with open_genome(genome) as opened, pytest.raises(UserError, match=message):
        read_intervals(path, opened)
    with pytest.raises(SystemExit) as caught:
        main(["dataset", "peaks", "--files", f"a={path}", "--genome", str(genome), "--test", "chr8",
              "--out", str(tmp_path / "out.h5")])  # fmt: skip
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "a.bed" in error
    assert error.count("\n") == 1
    assert {one.name for one in tmp_path.iterdir()} == {"a.bed", "genome.fa", "genome.fa.fai"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "genome.fa: "),
        (b"no fasta\n", "genome.fa: "),
        (b">chr1\nACGT\nACGTACGT\nACGT\n", "genome.fa: must be FASTA"),
        (
            gzip.compress(b">chr1\nACGT\n", mtime=0),
            "genome.fa: must be FASTA, plain or compressed by bgzip",
        ),
    ],
)
def test_a_bad_genome_gets_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "genome.fa").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:  # noqa: SIM117
        with open_genome(tmp_path / "genome.fa"):
            pass
    assert "\n" not in str(caught.value)


def test_protein_in_a_genome_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(">chr1\nACGTMKLEACGT\n")
    with open_genome(tmp_path / "genome.fa") as opened:  # noqa: SIM117
        with pytest.raises(UserError, match=r"genome.fa, chr1:1-9: .* got 'L'"):
            opened.codes("chr1", 0, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(test=("chr8",), valid=("chr8",)), "`test` and `valid` must differ: got chr8"),
        (Options(test=("8",)), "`test`: .* has no chromosome '8': there it is called chr8"),
        (Options(test=("chr8",), window=100), "`window` must hold a bin of 200 nt"),
        (Options(test=("chr8",), skip=("chr1", "chr2")), "got none for train"),
        (Options(test=("chr8",), skip=tuple(SIZES)), "class one has no window left"),
    ],
)
def test_bad_options_get_one_line_and_write_nothing(
    tmp_path: Path, genome: Path, options: Options, message: str
) -> None:
    files = {"one": [write_bed(tmp_path / "a.bed", random_peaks(1))]}
    with pytest.raises(UserError, match=message):
        convert(files, genome, tmp_path / "out.h5", relevant={}, options=options)
    assert not (tmp_path / "out.h5").exists()
