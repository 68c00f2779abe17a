"""How the project reads each kind of file, as its commands do; all take the files' folder."""

import gzip
from pathlib import Path
from typing import Literal

from seeds import LENGTH

from mlproject.system.errors import UserError


def read_meme(folder: Path) -> None:
    from mlproject.motifs.meme import read_meme as read
    from mlproject.motifs.tomtom import tomtom

    found = read(folder / "a.meme")
    if sum(motif.width for motif in found) < 100:
        tomtom(found[:2], found, 1.0)


def read_fasta(folder: Path, name: str = "a.fa") -> None:
    from mlproject.data.fasta import convert

    files = {"SRF": [folder / name], "YY1": [folder / "b.fa"]}
    convert(files, [], folder / "o.h5", relevant={}, fit="centre", length=LENGTH)


def read_seq(folder: Path) -> None:
    """Read DeepBind's table; what is not packed yet is packed first."""
    path = folder / "a.seq.gz"
    if not (content := path.read_bytes()).startswith(b"\x1f"):
        path.write_bytes(gzip.compress(content, mtime=0))
    read_fasta(folder, "a.seq.gz")


def read_table(folder: Path) -> None:
    from mlproject.data.table import convert
    from mlproject.data.table_rows import Options

    options = Options("seq", ("dev", "hk"), missing="drop", valid="0.2", fit="centre")
    convert(folder / "t.csv", folder / "o.h5", options)


def read_values(folder: Path) -> None:
    from mlproject.data.table import convert
    from mlproject.data.table_rows import Options

    fasta = (folder / "a.fa",)
    options = Options("", ("reads", "count"), "counts", valid="0.2", fasta=fasta, each=True)
    convert(folder / "t.tsv", folder / "o.h5", options)


def read_vcf(folder: Path) -> None:
    from mlproject.data.vcf import read_vcf as lines_of

    for line in lines_of(folder / "a.vcf"):
        for number in range(len(line.variant.alternatives) if line.variant else 0):
            assert line.variant
            line.variant.sequence(number)


def read_file_list(folder: Path) -> None:
    from mlproject.data.relevant import relevant_motifs
    from mlproject.data.sources import parse_files
    from mlproject.names import check_classes

    files = parse_files(str(folder / "t.tsv"))
    check_classes(list(files))
    relevant_motifs(list(files))


def read_peaks(
    folder: Path,
    negatives: Literal["none", "gc", "shuffle"] = "none",
    scheme: Literal["bins", "summits"] = "summits",
) -> None:
    from mlproject.data.peaks import Options, convert

    banned = folder / "banned.bed"
    options = Options(
        scheme,
        50,
        50,
        test=("chr8",),
        negatives=negatives,
        blacklist=banned if banned.exists() else None,
    )
    files = {"SRF": [folder / "a.bed"]}
    convert(files, folder / "g.fa", folder / "o.h5", relevant={}, options=options)


def read_genome(folder: Path, name: str = "g.fa") -> None:
    from mlproject.data.genome import open_genome

    with open_genome(folder / name) as genome:
        for chromosome, size in genome.sizes.items():
            for start in range(0, min(size, 1000), 97):
                genome.codes(chromosome, start, min(start + 50, size))


def word(folder: Path) -> str:
    """Return the changed text as a command line could give it."""
    return (folder / "words").read_bytes().decode("utf-8", "surrogateescape").replace("\0", "")


def read_relevant(folder: Path) -> None:
    from mlproject.data.relevant import relevant_motifs, unmatchable

    unmatchable(relevant_motifs(["SRF", "YY1", "x"], word(folder)))


def read_columns(folder: Path) -> None:
    from mlproject.data.deepsea import choose_columns

    (folder / "names.txt").write_bytes(b"a|b\nSRF\n\nYY1\n")
    try:
        choose_columns(word(folder), folder / "names.txt")
    except UserError as error:
        assert str(error).isprintable()
    choose_columns(word(folder))


def read_dataset(folder: Path) -> None:
    from mlproject.data.listing import format_listing, listing
    from mlproject.data.reading import read

    format_listing(listing(read(folder / "a.h5")))


def read_onehot(folder: Path) -> None:
    from mlproject.data.h5 import class_names, convert

    path = folder / "a.h5"
    convert(path, folder / "o.h5", names=class_names(path, None), relevant={})


def read_bundle(folder: Path) -> None:
    from mlproject.data.deepsea import convert

    convert(folder, folder / "o.h5", columns={"SRF": 0, "YY1": 2}, relevant={})
