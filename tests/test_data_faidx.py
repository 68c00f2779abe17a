"""An index is used only if it is that of the file's bytes, whatever its time says."""

import os
from pathlib import Path

import numpy as np
import pytest
from Bio import bgzf

from mlproject.data.genome import open_genome
from mlproject.sequence import decode
from mlproject.system.errors import UserError

NAMES = ("chr1", "chr2", "chr10", "short", "chrM")
SIZES = (3000, 2950, 61, 20, 60)


def letters() -> dict[str, str]:
    rng = np.random.default_rng(5)
    return {
        name: "".join(rng.choice([*"ACGT"], size)) for name, size in zip(NAMES, SIZES, strict=True)
    }


def fasta(sequences: dict[str, str], width: int = 60, end: str = "\n") -> bytes:
    return "".join(
        f">{name} some words{end}"
        + "".join(f"{text[at : at + width]}{end}" for at in range(0, len(text), width))
        for name, text in sequences.items()
    ).encode()


def written(path: Path, content: bytes) -> Path:
    if path.suffix == ".gz":
        with bgzf.BgzfWriter(str(path)) as file:
            for start in range(0, len(content), 1000):
                file.write(content[start : start + 1000])
                file.flush()
    else:
        path.write_bytes(content)
    os.utime(path, (1e9, 1e9))  # as cp -p, tar and rsync -t leave it
    return path


def whole(path: Path) -> dict[str, str]:
    with open_genome(path) as genome:
        return {
            name: decode(genome.codes(name, 0, size)[None])[0]
            for name, size in genome.sizes.items()
        }


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("width", [60, 7, 10_000])
def test_every_stretch_is_that_of_the_file(tmp_path: Path, name: str, end: str, width: int) -> None:
    own = letters()
    path = written(tmp_path / name, fasta(own, width, end))
    with open_genome(path) as genome:
        assert genome.sizes == dict(zip(NAMES, SIZES, strict=True))
        for start, stop in ((0, 1), (59, 61), (60, 120), (0, 61), (17, 56), (60, 61)):
            found = decode(genome.codes("chr10", start, stop)[None])[0]
            assert found == own["chr10"][start:stop]
        assert decode(genome.codes("chr1", 2990, 3000)[None])[0] == own["chr1"][2990:]
    assert whole(path) == own


def test_comments_blank_lines_and_no_end_of_line_are_read(tmp_path: Path) -> None:
    content = b"; a comment\n\n" + fasta(letters()).replace(b">chr2", b"\n>chr2").rstrip()
    assert whole(written(tmp_path / "g.fa", content)) == letters()


OWN = letters()
FIRST = {name: OWN[name] for name in NAMES[:-1]}
SWAPPED = ("chr2", "chr1", *NAMES[2:])
CHANGED = {
    "width": fasta(OWN, 50),
    "swap": fasta({name: OWN[name] for name in SWAPPED}),
    "names": fasta(dict(zip(SWAPPED, OWN.values(), strict=True))),
    "one more": fasta(OWN | {"chr3": "ACGT"}),
    "one less": fasta(FIRST),
    "shorter": fasta(OWN | {"chrM": OWN["chrM"][:-1]}),
    "longer": fasta(OWN | {"chrM": OWN["chrM"] + "A"}),
    "line ends": fasta(OWN, 60, "\r\n"),
    "header": fasta(OWN).replace(b"some words", b"some word", 1),
}


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
@pytest.mark.parametrize("what", CHANGED)
def test_a_newer_index_of_another_file_is_refused(tmp_path: Path, name: str, what: str) -> None:
    path = written(tmp_path / name, fasta(letters()))
    whole(path)
    written(path, CHANGED[what])
    with pytest.raises(UserError, match=rf"{name}\.fai does not match {name} .*: delete it"):
        whole(path)
    (tmp_path / f"{name}.fai").unlink()
    lines = CHANGED[what].decode().split()
    assert "".join(whole(path).values()) == "".join(
        line for line in lines if set(line) <= set("ACGT")
    )


def test_no_damaged_copy_of_an_index_is_used(tmp_path: Path) -> None:
    path = written(tmp_path / "g.fa", fasta(letters()))
    whole(path)
    index = tmp_path / "g.fa.fai"
    good = index.read_bytes()
    for place in range(len(good)):
        for bit in range(8):
            index.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            with pytest.raises(UserError, match="does not match"):
                whole(path)
    for cut in range(len(good) - 1):
        index.write_bytes(good[:cut])
        with pytest.raises(UserError, match=r"does not match|holds no sequence"):
            whole(path)


def test_lines_that_were_shifted_inside_a_sequence_are_not_read(tmp_path: Path) -> None:
    content = fasta(letters())
    path = written(tmp_path / "g.fa", content)
    whole(path)
    lines = content.split(b"\n")
    lines[5], lines[20] = lines[5] + b"A", lines[20][:-1]
    written(path, b"\n".join(lines))
    with open_genome(path) as genome:
        assert decode(genome.codes("chr1", 0, 100)[None])[0] == letters()["chr1"][:100]
        for start in (230, 300, 305, 600, 1190):
            with pytest.raises(UserError, match=r"chr1:.*delete the index"):
                genome.codes("chr1", start, start + 20)


def test_the_index_of_bgzip_is_not_believed(tmp_path: Path) -> None:
    path = written(tmp_path / "g.fa.gz", fasta(letters()))
    assert whole(path) == letters()
    (tmp_path / "g.fa.gz.gzi").write_bytes(b"\1")
    assert whole(path) == letters()
    (tmp_path / "g.fa.gz.fai").unlink()
    assert whole(path) == letters()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.fa", b"\xef\xbb\xbf>chr1\nACGT\n", "starts with a byte-order mark"),
        ("g.fa", b">chr1\rACGT\rACGT\r", "its lines end in CR alone"),
        ("g.fa.gz", b">chr1\nACGT\n", "is not compressed, and its name must agree"),
        ("g.fa", b"\x43\x27\x41\x1a" + bytes(20), "is a 2bit file: convert it with twoBitToFa"),
        ("g.fa.gz", b"BZh9" + bytes(20), "is compressed by another program"),
    ],
)
def test_another_kind_of_genome_is_named(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        whole(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [1, 10, 28, 40, 200, 700])
def test_a_compressed_genome_cut_short_is_one_line(tmp_path: Path, cut: int) -> None:
    path = written(tmp_path / "g.fa.gz", fasta(letters()))
    whole(path)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    os.utime(path, (1e9, 1e9))
    try:
        found = whole(path)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert found == letters()
        assert cut == 28  # the empty block at the end


def test_an_index_that_matches_is_used_however_old_it_is(tmp_path: Path) -> None:
    path = written(tmp_path / "g.fa", fasta(letters()))
    assert whole(path) == letters()
    index = tmp_path / "g.fa.fai"
    before = index.read_bytes()
    os.utime(index, (1, 1))
    assert whole(path) == letters()
    assert (index.read_bytes(), index.stat().st_mtime) == (before, 1)


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_a_genome_in_a_folder_that_cannot_be_written_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / name, fasta(letters()))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlproject.system.files._temporary", refuse)  # root may write anywhere
    assert whole(path) == letters()
    assert [one.name for one in tmp_path.iterdir()] == [name]
