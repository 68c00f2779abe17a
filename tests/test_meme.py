"""The MEME reader: the variants that exist in the world, and one clear line for what is no MEME."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlproject.motifs.databases import jaspar
from mlproject.motifs.meme import read_meme
from mlproject.motifs.tomtom import tomtom
from mlproject.system.errors import UserError

PLAIN = """MEME version 4

ALPHABET= ACGT

MOTIF first one
letter-probability matrix: alength= 4 w= 2 nsites= 12 E= 0
0.5 0.5 0 0
0.25 0.25 0.25 0.25

MOTIF second
letter-probability matrix: alength= 4 w= 1 nsites= 3
0 0 0 1
"""

MEME_OUTPUT = """********************************************************************************
MEME - Motif discovery tool
MEME version 5.4.1 (Release date: Sat Aug 21 19:23:23 2021 -0700)

ALPHABET "DNA" DNA-LIKE
A "Adenine" CC0000 ~ T "Thymine" 008000
C "Cytosine" 0000CC ~ G "Guanine" FFB300
END ALPHABET

Background letter frequencies (from dataset):
A 0.311 C 0.189 G 0.189 T 0.311

MOTIF TGACT MEME-1\twidth =   2  sites =  17  llr = 200  E-value = 1.1e-022
\tMotif TGACT MEME-1 sites sorted by position p-value
--------------------------------------------------------------------------------
log-odds matrix: alength= 4 w= 2 n= 1800 bayes= 6.73
   -63   -1073     163   -1073
--------------------------------------------------------------------------------
\tMotif TGACT MEME-1 position-specific probability matrix
--------------------------------------------------------------------------------
letter-probability matrix: alength= 4 w= 2 nsites= 17 E= 1.1e-022
 0.117647  0.000000  0.882353  0.000000
 1.000000  0.000000  0.000000  0.000000
--------------------------------------------------------------------------------
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.meme"
    path.write_bytes(text.encode())
    return path


def test_a_plain_file_is_read_whole(tmp_path: Path) -> None:
    first, second = read_meme(written(tmp_path, PLAIN))
    assert (first.id, first.name, first.nsites) == ("first", "one", 12)
    assert (second.id, second.name, second.nsites) == ("second", "", 3)
    np.testing.assert_array_equal(first.pwm, [[0.5, 0.5, 0, 0], [0.25] * 4])
    np.testing.assert_array_equal(second.pwm, [[0, 0, 0, 1]])


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.rstrip(),
        PLAIN.replace("w= 2", "").replace("w= 1", ""),
        PLAIN.replace("= ", "="),
        PLAIN.replace("E= 0\n", "E= 0\n\n"),
        PLAIN.replace(" 0.25\n\n", " 0.25\n"),
        PLAIN.replace(" 0.25\n\n", " 0.25\nURL http://example.org/first?a=1 2 3\n\n"),
        PLAIN.replace("0.25 0.25 0.25 0.25", "  0.25\t 0.25\t0.25\t0.25  "),
        PLAIN.replace("ALPHABET= ACGT\n", ""),
        PLAIN.replace("ALPHABET= ACGT\n", "ALPHABET= ACGT\n\nstrands: + -\n"),
        PLAIN.replace(
            "\nMOTIF first",
            "\nBackground letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n\nMOTIF first",
        ),
    ],
    ids=range(12),
)
def test_variants_of_one_file_read_alike(tmp_path: Path, text: str) -> None:
    own, other = read_meme(written(tmp_path, PLAIN)), read_meme(written(tmp_path, text))
    for one, two in zip(own, other, strict=True):
        assert (one.id, one.name, one.nsites) == (two.id, two.name, two.nsites)
        np.testing.assert_array_equal(one.pwm, two.pwm)


def test_memes_own_output_is_read(tmp_path: Path) -> None:
    (motif,) = read_meme(written(tmp_path, MEME_OUTPUT))
    assert (motif.id, motif.name, motif.nsites) == ("TGACT", "MEME-1", 17)
    assert motif.consensus == "GA"


@pytest.mark.parametrize("unknown", ["", "nsites= 0", "nsites= -1", "nsites=0.0"])
def test_without_nsites_or_with_none_there_are_20_as_in_meme(tmp_path: Path, unknown: str) -> None:
    path = written(tmp_path, PLAIN.replace("nsites= 12", unknown))
    assert [motif.nsites for motif in read_meme(path)] == [20, 3]
    assert [motif.nsites for motif in read_meme(path, unknown=0)] == [0, 3]


@pytest.mark.parametrize("unknown", ["w= 0", "w= -1", "alength= 0 w= 2"])
def test_a_width_of_0_is_unknown_and_the_rows_count(tmp_path: Path, unknown: str) -> None:
    text = PLAIN.replace("alength= 4 w= 2", unknown)
    assert [motif.width for motif in read_meme(written(tmp_path, text))] == [2, 1]


def test_a_motif_without_sites_matches_as_with_20(tmp_path: Path) -> None:
    rows = "\n".join(
        " ".join("0.94" if letter == wanted else "0.02" for letter in "ACGT")
        for wanted in "TGACGTCA"
    )
    head = "MEME version 4\n\nMOTIF q\nletter-probability matrix: alength= 4 w= 8 nsites= "
    none, twenty = (
        tomtom(read_meme(written(tmp_path, f"{head}{count} E= 0\n{rows}\n")), jaspar(), 10.0)
        for count in (0, 20)
    )
    assert none == twenty
    assert (none[0].target_id, none[0].query_consensus) == ("MA0656.1", "TGACGTCA")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_compressed_file_of_any_encoding_is_read_by_its_content(
    tmp_path: Path, pack: Callable[[bytes], bytes], encoding: str
) -> None:
    own = read_meme(written(tmp_path, PLAIN))
    (tmp_path / "some.meme").write_bytes(pack(PLAIN.replace("\n", "\r\n").encode(encoding)))
    assert str(read_meme(tmp_path / "some.meme")) == str(own)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 and more", "must be text, .* is a ZIP archive: unpack it"),
        (b"<!DOCTYPE html>\n<title>MEME</title>", "is a web page: download the text file"),
        (b"\n <Html><title>MEME</title>", "is a web page: download the text file"),
        (b"\xd0\xcf\x11\xe0 and more", "is a file of Microsoft Office: save it as text"),
        (b"{\\rtf1\\ansi MEME version 4}", "is RTF: save it as plain text"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
        (b"a.meme".ljust(257, b"\0") + b"ustar\x0000", "is a tar archive: unpack it"),
        (
            gzip.compress(b"a.meme".ljust(257, b"\0") + b"ustar\x0000", mtime=0),
            "is a tar archive",
        ),
        (gzip.compress(b"BAM\x01 and more", mtime=0), "is a BAM file"),
        (gzip.compress(gzip.compress(PLAIN.encode(), mtime=0), mtime=0), "is compressed twice"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-12], r"line \d+: cut short or damaged"),
    ],
    ids=["zip", "html", "HTML", "office", "rtf", "7z", "tar", "tgz", "bam", "twice", "cut"],
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "some.meme").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_meme(tmp_path / "some.meme")
    assert "\n" not in str(caught.value)


def test_rounded_rows_are_brought_to_a_sum_of_one(tmp_path: Path) -> None:
    (first, _) = read_meme(written(tmp_path, PLAIN.replace("0.5 0.5 0 0", "0.33 0.33 0.33 0")))
    np.testing.assert_allclose(first.pwm[0], [1 / 3, 1 / 3, 1 / 3, 0], rtol=1e-15)


@pytest.mark.parametrize(
    ("old", "new", "line", "rule"),
    [
        ("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY", 3, "`ALPHABET= ACGT`: got ACDEFG"),
        ("ALPHABET= ACGT", "ALPHABET= ACGU", 3, "`ALPHABET= ACGT`: got ACGU"),
        ("0.5 0.5 0 0", "0.5 0.5 0", 7, "4 numbers, A C G T: got '0.5 0.5 0'"),
        ("0.5 0.5 0 0", "0.5 0.5 0 0 0", 7, "4 numbers, A C G T: got '0.5 0.5 0 0 0'"),
        ("0.5 0.5 0 0", "0.5 0.5 x 0", 7, "4 numbers, A C G T: got '0.5 0.5 x 0'"),
        ("0.5 0.5 0 0", "0.5 0.47 0 0", 7, "sum to 1: got '0.5 0.47 0 0', which sums to 0.97"),
        ("0.5 0.5 0 0", "12 3 0 1", 7, "sum to 1: got '12 3 0 1', which sums to 16"),
        ("0.5 0.5 0 0", "0.5 nan 0 0", 7, "sum to 1: got '0.5 nan 0 0', which sums to nan"),
        ("0.5 0.5 0 0", "-0.5 1.5 0 0", 7, "not be negative: got '-0.5 1.5 0 0'"),
        ("w= 2", "w= 3", 6, "`w=` must be the number of rows: got w= 3 and 2 rows"),
        ("w= 2", "w= 1", 6, "`w=` must be the number of rows: got w= 1 and 2 rows"),
        ("w= 2", "w= two", 6, "`w=` must be a number: got two"),
        ("alength= 4", "alength= 20", 6, "`alength=` of DNA must be 4: got 20"),
        ("nsites= 12", "nsites= nan", 6, "`nsites=` must be a number: got nan"),
        ("0 0 0 1\n", "", 11, "one row of 4 numbers per column: got none"),
        ("MOTIF second", "MOTIF first", 10, "first is also the id in line 5"),
        ("MOTIF second", "MOTIF", 10, "a motif needs an id"),
        ("MOTIF second", "Motif second", 11, "a matrix needs a line `MOTIF id` before it"),
        (
            "letter-probability matrix: alength= 4 w= 2",
            "log-odds",
            5,
            "motif first needs a `letter",
        ),
        ("letter-probability matrix: alength= 4 w= 1", "log-odds", 10, "motif second needs a `let"),
    ],
)
def test_a_bad_file_is_one_line_with_file_and_line_number(
    tmp_path: Path, old: str, new: str, line: int, rule: str
) -> None:
    path = written(tmp_path, PLAIN.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        read_meme(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line {line}: ")
    assert rule in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "MEME version 4\n", ">MA0004.1 Arnt\n4 19 0\n", "\x00\xff"])
def test_a_file_without_motif_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"some\.meme: a MEME file needs a line `MOTIF id`"):
        read_meme(written(tmp_path, text))


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*none\.meme: no such file"):
        read_meme(tmp_path / "none.meme")
    with pytest.raises(UserError, match=r"cannot read .*: a folder"):
        read_meme(tmp_path)
