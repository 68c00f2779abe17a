"""Motifs: JASPAR against the database file that the paper used, arithmetic, and writing MEME."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from Bio import motifs as bio_motifs

from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.meme import read_meme, write_meme
from mlproject.motifs.pwm import Motif, clip, information, reverse_complement, round_rows
from mlproject.system.errors import UserError

REFERENCE = Path(__file__).parents[2] / "shared" / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="../shared/reference is not beside the repository"
)
GROUND_TRUTH = [
    *("MA0151.1", "MA0466.2", "MA0477.1", "MA0062.2", "MA0496.1", "MA0058.3"),
    *("MA0052.3", "MA0502.1", "MA0079.3", "MA0083.3", "MA0137.3", "MA0095.2"),
]


def random_pwm(seed: int, width: int = 9) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(4) * 0.4, size=width)


def test_jaspar_2016_is_the_papers_database() -> None:
    """The digest was taken from the MOTIF and nsites= lines of the paper's MEME file."""
    rows = [f"{one.id} {one.name} {one.width} {one.nsites:g}" for one in jaspar()]
    assert len(rows) == 519
    assert sum(one.width for one in jaspar()) == 6054
    digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    assert digest == "83a35684ef495f555709d4ac03e8bf13c6e400534af0745ae7dc0d3d473e692a"


@needs_reference
def test_jaspar_2016_equals_the_reference_file_motif_for_motif() -> None:
    for own, other in zip(
        jaspar(), read_meme(REFERENCE / "JASPAR_CORE_2016_vertebrates.meme"), strict=True
    ):
        assert (own.id, own.name, own.nsites) == (other.id, other.name, other.nsites)
        np.testing.assert_allclose(own.pwm, other.pwm, rtol=0, atol=2e-6)


def test_jaspar_rows_sum_to_one_and_cannot_be_changed() -> None:
    for motif in jaspar():
        np.testing.assert_allclose(motif.pwm.sum(axis=1), 1.0, rtol=1e-12)
        assert not motif.pwm.flags.writeable


def test_jaspar_by_id_keeps_the_order_asked_for_and_knows_ids_without_version() -> None:
    assert [motif.id for motif in jaspar_by_id(GROUND_TRUTH)] == GROUND_TRUTH
    assert [motif.name for motif in jaspar_by_id(["MA0095", "MA0466"])] == ["YY1", "CEBPB"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [("MA0466.1", "it has MA0466.2"), ("MA046.2", "did you mean"), ("?", "ids look like")],
)
def test_jaspar_by_id_names_the_nearest_id(wanted: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        jaspar_by_id([wanted])


def test_other_jaspar_releases_are_there_by_name_and_unknown_ones_are_refused() -> None:
    assert len(jaspar("JASPAR2018")) == 579
    with pytest.raises(UserError, match=r"'jaspar2017': did you mean .*jaspar2016"):
        jaspar("JASPAR2017")


def test_reverse_complement_reads_the_other_strand() -> None:
    pwm = np.eye(4)[[0, 0, 1, 2]]
    assert Motif("", "", pwm, 1).consensus == "AACG"
    assert Motif("", "", reverse_complement(pwm), 1).consensus == "CGTT"


def test_information_of_columns_that_can_be_reckoned_by_hand() -> None:
    pwm = np.array([[1, 0, 0, 0], [0.5, 0, 0.5, 0], [0.25] * 4, [0.5, 0.25, 0.125, 0.125]])
    np.testing.assert_allclose(information(pwm), [2, 1, 0, 0.25], atol=1e-15)


@pytest.mark.parametrize(
    ("informative", "expected"),
    [([8, 10], (5, 14)), ([1, 17], (0, 19)), ([], (0, 19)), ([9], (6, 13)), ([0], (0, 4))],
)
def test_clip_keeps_three_columns_beside_the_informative_ones(
    informative: list[int], expected: tuple[int, int]
) -> None:
    pwm = np.full((19, 4), 0.25)
    pwm[informative] = [0.0, 0.7, 0.3, 0.0]
    assert clip(pwm) == expected


def test_clip_wants_more_than_half_a_bit() -> None:
    pwm = np.full((9, 4), 0.25)
    pwm[4] = [0.5, 0.5, 0, 0]
    assert clip(pwm, bits=0.999) == (1, 8)
    assert clip(pwm, bits=1.0) == (0, 9)


@pytest.mark.parametrize("decimals", [1, 4, 6])
def test_rounded_rows_sum_to_one_and_are_less_than_a_unit_off(decimals: int) -> None:
    for seed in range(50):
        pwm = random_pwm(seed)
        rounded = round_rows(pwm, decimals)
        units = rounded * 10**decimals
        np.testing.assert_allclose(units, np.rint(units), atol=1e-6)
        assert (np.rint(units).sum(axis=1) == 10**decimals).all()
        assert np.abs(rounded - pwm).max() < 10.0**-decimals


def test_written_meme_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "own.meme"
    write_meme(path, jaspar(), decimals=6)
    for own, other in zip(jaspar(), read_meme(path), strict=True):
        assert own[:2] == other[:2]
        assert own.nsites == other.nsites
        np.testing.assert_allclose(own.pwm, other.pwm, rtol=0, atol=1e-6)


def test_written_meme_is_read_by_biopython(tmp_path: Path) -> None:
    path = tmp_path / "own.meme"
    write_meme(path, [*jaspar()[:20], Motif("dead", "", np.full((3, 4), 0.25), 0)])
    with path.open() as file:
        records = bio_motifs.parse(file, "minimal")
    for own, other in zip(jaspar(), records[:20], strict=False):
        assert (other.name, other.num_occurrences, other.length) == (own.id, own.nsites, own.width)
        counts = np.array([other.counts[letter] for letter in "ACGT"]).T
        np.testing.assert_allclose(counts, own.pwm * own.nsites, atol=0.51)
    assert (records[20].name, records[20].length) == ("dead", 3)


def test_written_meme_is_read_by_memelite(tmp_path: Path) -> None:
    memelite_io = pytest.importorskip("memelite.io", reason="memelite is not installed")
    path = tmp_path / "own.meme"
    write_meme(path, jaspar())
    read = memelite_io.read_meme(path)
    assert list(read) == [f"{motif.id} {motif.name}" for motif in jaspar()]
    for own, other in zip(jaspar(), read.values(), strict=True):
        np.testing.assert_allclose(own.pwm, other.T, rtol=0, atol=1e-6)


def test_write_meme_takes_an_open_file_and_decimals() -> None:
    file = io.StringIO()
    write_meme(file, [Motif("one", "two words", np.array([[1 / 3, 1 / 3, 1 / 3, 0]]), 7)], 4)
    assert "MOTIF one two_words\n" in file.getvalue()
    assert "w= 1 nsites= 7 E= 0\n0.3334 0.3333 0.3333 0.0000\n" in file.getvalue()


@pytest.mark.parametrize("ids", [["two words"], [""], ["same", "same"]])
def test_ids_that_meme_cannot_hold_are_refused_before_anything_is_written(
    tmp_path: Path, ids: list[str]
) -> None:
    with pytest.raises(UserError, match="unique ids without spaces"):
        write_meme(tmp_path / "own.meme", [Motif(name, "", random_pwm(0), 5) for name in ids])
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*folder"):
        write_meme(tmp_path / "folder", jaspar()[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
