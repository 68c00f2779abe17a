"""Variants: alleles in their context, against a slow version on letters."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from mlproject.commands.cli import main
from mlproject.data.vcf import read_vcf
from mlproject.insilico.variants import allele_window, window
from mlproject.run.context import RunResult
from mlproject.run.ensemble import Ensemble, combined
from mlproject.run.variants import info_keys, score_variants
from mlproject.sequence import decode, encode, one_hot
from mlproject.system.errors import UserError
from mlproject.system.outputs import require_other

LENGTH = 12
HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
GENOME = "".join("ACGT"[code] for code in np.random.default_rng(3).integers(0, 4, 60))
OTHER = str.maketrans("ACGTN", "TGCAN")


def linear(seed: int) -> tuple[np.ndarray, object]:
    """Return weights (L, 4, 2) and the scoring function that sums them."""
    weights = np.random.default_rng(seed).normal(size=(LENGTH, 4, 2))
    return weights, lambda codes: np.einsum("nlc,lck->nk", one_hot(codes), weights)


WEIGHTS, SCORES = zip(*(linear(seed) for seed in (0, 1)), strict=True)


def ensemble(networks: int) -> Ensemble:
    own = SCORES[:networks]
    return Ensemble(tuple("ab"[:networks]), ("SRF", "a-b c"), LENGTH, own, own)


def slow(chromosome: str, position: int, reference: str, alternative: str) -> np.ndarray:
    """Return the mean over strands of the difference, (networks, classes), on letters."""
    start, padded = position - 1 + 50, "N" * 50 + chromosome + "N" * 50
    found = np.zeros((2, 2))
    for sign, allele in ((1, alternative), (-1, reference)):
        text = padded[start - LENGTH // 2 : start] + allele + padded[start + len(reference) :]
        forward = text[:LENGTH]
        for strand in (forward, forward[::-1].translate(OTHER)):
            for network, weights in enumerate(WEIGHTS):
                for place, letter in enumerate(strand):
                    if letter != "N":
                        found[network] += sign * weights[place, "ACGT".index(letter)] / 2
    return found


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    path = tmp_path / "g.fa"
    path.write_text(f">chr1\n{GENOME.lower()}\n>chr2\n{GENOME[::-1]}\n")
    return path


def vcf_of(path: Path, *records: str) -> Path:
    text = HEAD + "".join("\t".join(record.split()) + "\n" for record in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def other(letter: str) -> str:
    return "ACGT"[("ACGT".index(letter) + 1) % 4]


def test_the_flanks_of_two_alleles_start_at_the_same_place() -> None:
    left, right = encode(["AAAA"])[0], encode(["CCCC"])[0]
    made = [allele_window(left, encode([text])[0], right) for text in ("G", "GTT", "T")]
    assert decode(np.stack(made)) == ["AAAAGCCC", "AAAAGTTC", "AAAATCCC"]
    assert window(encode(["ACGT"])[0], 2, 0, 8).tolist() == [4, 4, 0, 1, 2, 3, 4, 4]
    assert window(np.zeros(0, np.uint8), 0, -3, 0).tolist() == [4, 4, 4]


@pytest.mark.parametrize("networks", [1, 2])
def test_differences_are_those_of_a_slow_version_on_letters(
    tmp_path: Path, genome: Path, networks: int
) -> None:
    ref = {place: GENOME[place - 1] for place in range(1, 61)}
    deleted = GENOME[29:33]
    cases = [
        ("chr1", 20, ref[20], other(ref[20])),
        ("chr1", 21, ref[21], f"{ref[21]}GAT"),
        ("chr1", 30, deleted, deleted[0]),
        ("chr1", 30, deleted, "TG"),
        ("chr1", 1, ref[1], other(ref[1])),
        ("chr1", 59, ref[59], other(ref[59])),
        ("chr2", 60, GENOME[0], f"{GENOME[0]}AA"),
    ]
    texts = {"chr1": GENOME, "chr2": GENOME[::-1]}
    records = [f"{c} {p} id{n} {r} {a} . . ." for n, (c, p, r, a) in enumerate(cases)]
    path = vcf_of(tmp_path / "v.vcf.gz", *records)
    done = score_variants(ensemble(networks), path, genome, tmp_path / "out.tsv")
    assert (done.scored, done.skipped) == (len(cases), {})
    lines = (tmp_path / "out.tsv").read_text().splitlines()
    sd = ["SRF_sd", "a-b c_sd"] if networks > 1 else []
    assert lines[0].split("\t") == ["chrom", "pos", "id", "ref", "alt", "SRF", "a-b c", *sd]
    for line, (chromosome, position, reference, alternative) in zip(lines[1:], cases, strict=True):
        wanted = slow(texts[chromosome], position, reference, alternative)[:networks]
        found = np.array(line.split("\t")[5:], float)
        np.testing.assert_allclose(found[:2], wanted.mean(axis=0), rtol=1e-4, atol=1e-5)
        if networks > 1:
            np.testing.assert_allclose(found[2:], wanted.std(axis=0, ddof=1), rtol=1e-4, atol=1e-5)


def test_records_are_annotated_or_left_as_they_are(tmp_path: Path, genome: Path) -> None:
    one, two = GENOME[9], GENOME[10]
    third = other(other(one))
    records = [
        f"chr1 10 rs1 {one} {other(one)},<DEL>,{third} 50 PASS DP=3 GT 0/1",
        f"chr1 11 rs2 {other(two)} {two} . . DP=4 GT 1/1",
        f"chr1 12 rs3 {GENOME[11]} *,. . . . GT 0/0",
        f"chr1 13 rs4 {GENOME[12]} {GENOME[12]}[chr2:5[ . . . GT 0/0",
        "chr9 13 rs5 A C . . . GT 0/0",
        f"chr1 14 rs6 {GENOME[13]} {'A' * 7} . . . GT 0/0",
        f"chr1 15 rs7 {GENOME[14]} {other(GENOME[14]).lower()} . . . GT 0/0",
    ]
    path = vcf_of(tmp_path / "v.vcf", *records)
    notes: list[str] = []
    out = tmp_path / "a.vcf.gz"
    done = score_variants(ensemble(1), path, genome, tmp_path / "o.tsv", out, notes.append)
    assert done.scored == 3
    assert done.skipped == {
        "without letters, such as <DEL>, * or a breakend": 4,
        "whose reference differs from the genome": 1,
        "on chromosomes that g.fa lacks": 1,
        "with alleles of more than 6 nt": 1,
    }
    assert notes == [
        f"{path}, line 4: REF must be the letters of g.fa at chr1:11: got {other(two)}, it has "
        f"{two}; left out"
    ]
    assert info_keys(("SRF", "a-b c")) == ["MLP_SRF", "MLP_a_b_c"]
    assert info_keys(("T-bet", "T_bet", "t_bet")) == ["MLP_T_bet", "MLP_T_bet_", "MLP_t_bet"]
    raw = out.read_bytes()
    assert raw[:4] == b"\x1f\x8b\x08\x04"  # bgzip, which tabix indexes
    assert raw.endswith(bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000"))
    lines = gzip.decompress(raw).decode().splitlines()
    assert lines[1].startswith("##INFO=<ID=MLP_SRF,Number=A,Type=Float,")
    assert lines[3].startswith("#CHROM")
    first = lines[4].split("\t")
    info = dict(part.split("=") for part in first[7].split(";"))
    assert info["DP"] == "3"
    wanted = [slow(GENOME, 10, one, alt)[0] for alt in (other(one), third)]
    for key, column in (("MLP_SRF", 0), ("MLP_a_b_c", 1)):
        values = info[key].split(",")
        assert values[1] == "."
        np.testing.assert_allclose(float(values[0]), wanted[0][column], rtol=1e-4)
        np.testing.assert_allclose(float(values[2]), wanted[1][column], rtol=1e-4)
    assert first[8:] == ["GT", "0/1"]
    assert lines[5:9] == ["\t".join(record.split()) for record in records[1:5]]
    assert [line.number for line in read_vcf(out)] == list(range(1, 12))
    again = tmp_path / "again.vcf"
    score_variants(ensemble(1), out, genome, tmp_path / "o.tsv", again)
    assert again.read_text().splitlines() == lines


def test_a_reference_beyond_its_chromosome_is_named_as_such(tmp_path: Path, genome: Path) -> None:
    beyond = ("chr1 61 . A C . . .", f"chr1 60 . {GENOME[59]}A C . . .", "chr1 0 . N C . . .")
    path = vcf_of(tmp_path / "v.vcf", *beyond)
    notes: list[str] = []
    done = score_variants(ensemble(1), path, genome, tmp_path / "o.tsv", report=notes.append)
    assert (done.scored, done.skipped) == (0, {"beyond the ends of their chromosome": 3})
    assert notes[0] == (
        f"{path}, line 3: REF must lie on chr1, which has 60 nt in g.fa: got position 61; left out"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("chr1\t1\t.\tA\tC\t.\t.\t.\n", "line 1: a VCF file has a line `#CHROM POS ID REF ALT`"),
        ("##x\n", "found none"),
        (HEAD + "chr1\t1\t.\tA\tC\n", "line 3: a record has 8 columns or more: got 5"),
        (HEAD + "chr1\t-1\t.\tA\tC\t.\t.\t.\n", "POS must be an integer from 0: got '-1'"),
        (HEAD + "chr1\t1\t.\tU\tC\t.\t.\t.\n", "REF must have letters of DNA: got 'U'"),
        (HEAD + "1\t1\t.\tA\tC\t.\t.\t.\n", "there it is called chr1"),
    ],
)
def test_a_file_of_another_format_gets_one_line_and_leaves_nothing(
    tmp_path: Path, genome: Path, content: str, message: str
) -> None:
    (tmp_path / "v.vcf").write_text(content)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UserError, match=message):
        score_variants(ensemble(1), tmp_path / "v.vcf", genome, out / "t.tsv", out / "v.vcf")
    assert not list(out.iterdir())
    with pytest.raises(UserError, match="must differ"):
        require_other(tmp_path / "v.vcf", tmp_path / "out" / ".." / "v.vcf")


def test_means_come_before_standard_deviations() -> None:
    values = np.array([[[1.0, 2.0]], [[3.0, 2.0]]])
    np.testing.assert_allclose(combined(values), [[2.0, 2.0, np.sqrt(2), 0.0]])
    assert combined(values[:1]).tolist() == [[1.0, 2.0]]


def test_the_command_scores_variants_with_a_finished_run(
    tracked: tuple[Path, RunResult], capsys: pytest.CaptureFixture[str]
) -> None:
    _, result = tracked
    text = "".join("ACGT"[code] for code in np.random.default_rng(0).integers(0, 4, 400))
    Path("g.fa").write_text(f">chr1\n{text}\n")
    vcf_of(Path("v.vcf"), f"chr1 200 . {text[199]} {other(text[199])},{text[199]}AC . . .")
    arguments = ["--vcf", "v.vcf", "--genome", "g.fa", "--out", "o.tsv", "--vcf-out", "o.vcf"]
    main(["variants", result.run_id[:8], *arguments])
    assert capsys.readouterr().out == "o.tsv: 2 alternatives\n"
    rows = [line.split("\t") for line in Path("o.tsv").read_text().splitlines()]
    assert len(rows) == 3
    assert len(rows[0]) == 5 + 12
    assert any(float(value) for value in rows[1][5:])
    assert f"MLP_SRF={rows[1][rows[0].index('SRF')]}," in Path("o.vcf").read_text()
    with pytest.raises(SystemExit, match="2"):
        main(["variants", result.run_id, result.run_id[:9], *arguments])
    assert "a run is given once" in capsys.readouterr().err


def test_misfits_get_ten_notes_and_one_line_that_names_another_build(
    tracked: tuple[Path, RunResult], capsys: pytest.CaptureFixture[str]
) -> None:
    _, result = tracked
    Path("g.fa").write_text(f">chr1\n{'A' * 400}\n")
    arguments = ["--vcf", "v.vcf", "--genome", "g.fa", "--out", "o.tsv"]

    def notes(right: int, wrong: int) -> list[str]:
        references = ["A"] * right + ["C"] * wrong
        vcf_of(Path("v.vcf"), *(f"chr1 {n} . {ref} G . . ." for n, ref in enumerate(references, 1)))
        main(["variants", result.run_id, *arguments])
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]

    *each, last, left_out = notes(1, 12)
    assert len(each) == 10
    assert last == (
        "note: REF does not fit g.fa in 12 of 13 records: the genome is probably of another build"
    )
    assert left_out.startswith("note: 12 alternatives whose reference differs")
    assert notes(12, 11)[10] == "note: REF does not fit g.fa in 11 of 23 records"
    assert len(notes(2, 1)) == 2
