"""Small valid files of every kind that the project reads, of which the fuzzer changes one."""

import gzip
import io
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import scipy.io

Files = Mapping[str, bytes]

CLASSES = ("SRF", "YY1")
LENGTH = 24
COUNTS = (("train", 9), ("valid", 3), ("test", 4))
OWNER = {"train_sha256": "0" * 64, "version": 1}

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


def file_list() -> Files:
    """A table of classes and files, and the files."""
    return {"t.tsv": b"# class\tfile\nSRF\ta.fa\nSRF\tb.fa\n\nYY1\ta.fa\n", **fasta()}


def meme() -> Files:
    """Three motifs."""
    from mlproject.motifs import Motif, write_meme

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


def spec() -> Files:
    """A spec as a run stores it."""
    from mlproject.architectures import make_spec

    return {"words": json.dumps(make_spec({"arch": "CNN-2", "seed": 3}).flat()).encode()}


def scan() -> Files:
    """A kept scan of motifs."""
    from mlproject.data.synthetic import generate
    from mlproject.interpret.pwm_scan import cached_pwm_scan

    with tempfile.TemporaryDirectory() as folder:
        cached_pwm_scan(generate(0, 20, 130), Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def journal(first: str = "journal.jsonl", checked: bool = True) -> Files:
    """A run's record of one entry of each kind, without checksums as earlier versions wrote it."""
    from mlproject.journal import DELIVERED, ORIGIN, Journal

    with tempfile.TemporaryDirectory() as folder:
        record = Journal(Path(folder) / "a")
        record.own("here 1 2 3")
        record.append("params", values={"pool1": "25"})
        record.append("tags", values={"mlproject.arch": "CNN-25"})
        record.append("metrics", values={"val_loss": 0.5}, step=1, time=1_700_000_000_000)
        record.append("artifact", path="spec.json")
        record.append("tag_other", run_id="0" * 32, key="a", value="b")
        record.append("status", status="FINISHED", time=1_700_000_000_001)
        record.come_from({"store": "sqlite:///a.db", "experiment": "0"})
        record.mark_delivered(2)
        names = ("journal.jsonl", DELIVERED, ORIGIN, "owner")
        found = {name: (record.folder / name).read_bytes() for name in names}
    if not checked:
        found["journal.jsonl"] = re.sub(rb', "check": "[0-9a-f]+"', b"", found["journal.jsonl"])
    return {first: found.pop(first), **found}


def written(make: Callable[[Path], None]) -> Callable[[], Files]:
    """Return what gives the HDF5 file that `make` writes."""

    def files() -> Files:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.h5"
            make(path)
            return {"a.h5": path.read_bytes()}

    return files


def own(path: Path) -> None:
    """Write a data set file with everything that it can have."""
    from mlproject.data.dataset import SITE, Split, make_dataset
    from mlproject.data.layout import write
    from mlproject.motifs import Motif

    rng = np.random.default_rng(0)
    splits = {
        name: Split(
            rng.integers(0, 5, (count, LENGTH), np.uint8),
            rng.integers(0, 2, (count, 2), np.uint8),
            np.array([(0, 1, 3, 0, 1), (count - 1, 8, 3, 0, -1)], SITE),
        )
        for name, count in COUNTS
    }
    motif = Motif("MA0083.3", "SRF", np.eye(4)[[0, 2, 3]], 20.0)
    write(make_dataset(splits, CLASSES, {"SRF": ["MA0083"]}, [motif], {"files": {}}), path)


def plain(path: Path) -> None:
    """Write a data set file as docs/data.md has it: without a hash; packed."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name, count in COUNTS:
            codes = rng.integers(0, 4, (count, LENGTH), np.uint8)
            file.create_dataset(f"{name}/codes", data=codes, compression="gzip")
            file[f"{name}/labels"] = rng.integers(0, 2, (count, 2), np.uint8)
        file.attrs["classes"] = json.dumps(CLASSES)


def released(path: Path, letters_last: bool = False) -> None:
    """Write one-hot sequences, in the layout of the paper's authors or of others."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name, count in COUNTS:
            x = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (count, LENGTH))]
            file[f"X_{name}"] = x if letters_last else x.transpose(0, 2, 1)
            file[f"Y_{name}"] = rng.integers(0, 2, (count, 2)).astype(np.float32)


def bundle(changed: str, matlab5: bool) -> Callable[[], Files]:
    """Return what gives DeepSEA's three files, the one to change first."""

    def files() -> Files:
        rng = np.random.default_rng(0)
        found = {}
        with tempfile.TemporaryDirectory() as folder:
            for split, count in COUNTS:
                path = Path(folder) / f"{split}.mat"
                x = np.eye(4, dtype=np.uint8)[rng.integers(0, 4, (count, LENGTH))]
                y = np.ones((count, 3), np.uint8)
                if split == changed and matlab5:
                    arrays = {f"{split}xdata": x.transpose(0, 2, 1), f"{split}data": y}
                    scipy.io.savemat(path, arrays)
                else:
                    with h5py.File(path, "w", userblock_size=512) as file:
                        x = x.transpose(1, 2, 0)
                        file.create_dataset(f"{split}xdata", data=x, compression="gzip")
                        file[f"{split}data"] = y.T
                found[path.name] = path.read_bytes()
        return {f"{changed}.mat": found.pop(f"{changed}.mat"), **found}

    return files


def attributions(path: Path) -> None:
    """Write attributions of three sequences."""
    from mlproject.attribution.files import write
    from mlproject.attribution.methods import Attributions

    rng = np.random.default_rng(0)
    rows = np.arange(3)
    codes = rng.integers(0, 5, (3, LENGTH), np.uint8)
    scores = rng.normal(size=(3, LENGTH, 4)).astype(np.float32)
    write(path, Attributions("saliency", rows, rows % 2, codes, scores), CLASSES)


def state(path: Path) -> None:
    """Write the state of a training."""
    from mlproject.checkpoint import State, write

    arrays = {"conv1/kernel": np.ones((3, 4, 2), np.float32), "conv1/bias": np.ones(2, np.float32)}
    write(path, State(arrays, arrays, arrays, [{"epoch": 1, "values": {"loss": 0.5}}]), OWNER)
