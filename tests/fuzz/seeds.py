"""Small valid files of every kind that the project reads, of which the fuzzer changes one."""

import gzip
import io
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

Files = Mapping[str, bytes]

LENGTH = 24

OPTIONS = (
    "--arch CNN-25 --pool1=4 --learning_rate 1e-3 --filters3 8 --pool2 2 --pool3 2 "
    "--seed 3 --alignment paper --attributions deeplift,modisco"
)
PLAN = """\
name: small
base: {dataset: synthetic, epochs: 3, learning_rate: 1e-3}
axes:
  arch: [CNN-2, CNN-25]
  seed: {from: 0, to: 4, step: 2}
cells:
  - {arch: CNN-50, dropout_dense: 0.25}
exclude:
  - {arch: CNN-2, seed: 2}
"""
SEARCH = """\
name: pareto
base: {epochs: 3}
search:
  sampler: nsga2
  trials: 4
  seed: 1
  space:
    pool1: [2, 25, 50]
    learning_rate: {from: 1e-4, to: 1e-2, log: true}
    filters1: {from: 10, to: 60, step: 10}
  objectives: {val_auroc: maximize, val_conv1/match_relevant: maximize}
"""


def words(text: str) -> Callable[[], Files]:
    """Return what gives a text of the command line."""
    return lambda: {"words": text.encode()}


def random_dna(count: int, length: int, seed: int = 0) -> list[str]:
    """Return sequences."""
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in rng.choice([*"ACGT"], (count, length))]


def fasta() -> Files:
    """Two files of sequences, one a class."""
    files = {}
    for seed, name in enumerate(("a.fa", "b.fa")):
        rows = enumerate(random_dna(12, LENGTH, seed))
        files[name] = "".join(f">s{n} x\n{text}\n" for n, text in rows).encode()
    return files


def seq() -> Files:
    """DeepBind's table, not packed, and the other class."""
    rows = [f"A\tseq_{n}\t{one}\t{n % 2}\n" for n, one in enumerate(random_dna(12, LENGTH, 3))]
    text = "FoldID\tEventID\tseq\tBound\n" + "".join(rows)
    return {"a.seq.gz": text.encode(), "b.fa": fasta()["b.fa"]}


def seq_gz() -> Files:
    """The same, packed."""
    return {**seq(), "a.seq.gz": gzip.compress(seq()["a.seq.gz"], mtime=0)}


def table() -> Files:
    """A table of sequences with two values."""
    rows = [f'{one},{n / 4},"x, y",{-n}e-1' for n, one in enumerate(random_dna(30, LENGTH, 4))]
    return {"t.csv": "\n".join(["seq,dev,note,hk", *rows, ""]).encode()}


def values() -> Files:
    """A table of values of named sequences, and the sequences."""
    texts = random_dna(30, LENGTH, 5)
    rows = [f"s{n}\t{n % 3}\t{n % 2}" for n in range(len(texts))]
    named = "".join(f">s{n}\n{one}\n" for n, one in enumerate(texts))
    text = "\n".join(["name\treads\tcount", *rows, ""])
    return {"t.tsv": text.encode(), "a.fa": named.encode()}


def vcf() -> Files:
    """Variants."""
    lines = [
        "##fileformat=VCFv4.2",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
        "chr1\t12\trs1\tA\tC,<DEL>\t.\tPASS\tDP=3;AF=0.5",
        "chr2\t400\t.\tACG\tA\t50\t.\t.",
    ]
    return {"a.vcf": "\n".join([*lines, ""]).encode()}


def file_list() -> Files:
    """A table of classes and files, and the files."""
    return {"t.tsv": b"# class\tfile\nSRF\ta.fa\nSRF\tb.fa\n\nYY1\ta.fa\n", **fasta()}


def meme() -> Files:
    """Three motifs."""
    from mlproject.motifs.meme import write_meme
    from mlproject.motifs.pwm import Motif

    rng = np.random.default_rng(0)
    out = io.StringIO()
    write_meme(out, [Motif(f"m{n}", "x", rng.dirichlet(np.ones(4), 5), 12.0) for n in range(3)])
    return {"a.meme": out.getvalue().encode()}


def genome(size: int = 700) -> Files:
    """Four chromosomes."""
    parts = []
    for number, name in enumerate(("chr1", "chr2", "chr7", "chr8")):
        (text,) = random_dna(1, size, number)
        parts += [f">{name}\n", *(f"{text[at : at + 60]}\n" for at in range(0, size, 60))]
    return {"g.fa": "".join(parts).encode()}


def index() -> Files:
    """An index and its genome."""
    from mlproject.data.genome import open_genome

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.fa"
        path.write_bytes(genome()["g.fa"])
        with open_genome(path):
            return {"g.fa.fai": path.with_name("g.fa.fai").read_bytes(), **genome()}


def bgzip() -> Files:
    """A genome that bgzip has compressed."""
    from Bio import bgzf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.fa.gz"
        with bgzf.BgzfWriter(str(path)) as file:
            file.write(genome()["g.fa"])
        return {"g.fa.gz": path.read_bytes()}


def narrow_peaks() -> Files:
    """Peaks with summits, and their genome."""
    rows = [
        f"{name}\t{start}\t{start + 120}\tp\t0\t.\t5.5\t-1\t-1\t{start % 100}\n"
        for name in ("chr1", "chr2", "chr7", "chr8")
        for start in (40, 210, 400)
    ]
    return {"a.bed": "".join(rows).encode(), **genome()}


def few_peaks() -> Files:
    """Peaks on a genome with little room for anything else."""
    rows = [f"{name}\t40\t160\n" for name in ("chr1", "chr2", "chr7", "chr8")]
    return {"a.bed": "".join(rows).encode(), **genome(260)}


def blacklist() -> Files:
    """A blacklist, peaks and their genome."""
    return {"banned.bed": b"chr1\t0\t40\nchr2\t300\t310\n", **narrow_peaks()}
