"""What is fuzzed: for each reader of the project valid files, and how often one is changed."""

import os
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import hdf5_seeds
import readers
import record_readers
import record_seeds
import seeds
from hdf5_seeds import written
from seeds import Files, words


class Target(NamedTuple):
    """One reader.

    Attributes:
        files: gives valid files, of which the first is changed.
        read: calls the reader on the folder of the files.
        kind: which changes make sense.
        share: of the cases, of the sum of all shares.
        child: whether it runs in a process of its own, which HDF5 can end on damaged files.
    """

    files: Callable[[], Files]
    read: Callable[[Path], None]
    kind: Literal["text", "bytes", "json", "lines", "hdf5"] = "text"
    share: int = 2
    child: bool = False


def _hdf5(make: Callable[[Path], None], read: Callable[[Path], None], share: int = 6) -> Target:
    return Target(written(make), read, "hdf5", share, child=True)


WHERE = "pool1 >= 10 and arch in (CNN-25, 'CNN-2') and x != 3"

TARGETS: dict[str, Target] = {
    "meme": Target(seeds.meme, readers.read_meme, share=4),
    "fasta": Target(seeds.fasta, readers.read_fasta, share=3),
    "seq": Target(seeds.seq, readers.read_seq),
    "packed seq": Target(seeds.seq_gz, readers.read_seq, "bytes"),
    "file list": Target(seeds.file_list, readers.read_file_list, share=3),
    "table": Target(seeds.table, readers.read_table, share=3),
    "values": Target(seeds.values, readers.read_values, share=2),
    "vcf": Target(seeds.vcf, readers.read_vcf, share=2),
    "bed": Target(seeds.narrow_peaks, readers.read_peaks, share=3),
    "bed with negatives": Target(
        seeds.few_peaks, partial(readers.read_peaks, negatives="gc", scheme="bins"), share=1
    ),
    "blacklist": Target(seeds.blacklist, partial(readers.read_peaks, negatives="shuffle"), share=1),
    "genome": Target(seeds.genome, readers.read_genome, share=3),
    "genome index": Target(seeds.index, readers.read_genome, share=3),
    "bgzip": Target(seeds.bgzip, partial(readers.read_genome, name="g.fa.gz"), "bytes"),
    "relevant": Target(words("SRF=MA0083+MA0466.2,YY1=,x=gabpa"), readers.read_relevant, share=3),
    "columns": Target(words("SRF,7,mine=3,YY1=12"), readers.read_columns, share=3),
    "where": Target(words(WHERE), record_readers.read_where, share=3),
    "options": Target(words(seeds.OPTIONS), record_readers.read_options, share=6),
    "spec": Target(record_seeds.spec, record_readers.read_spec, "json", share=6),
    "plan": Target(lambda: {"a.yaml": seeds.PLAN.encode()}, record_readers.read_plan, share=4),
    "search": Target(lambda: {"a.yaml": seeds.SEARCH.encode()}, record_readers.read_plan, share=4),
    "scan": Target(record_seeds.scan, record_readers.read_scan, "json"),
    "journal": Target(record_seeds.journal, record_readers.read_journal, share=4),
    "earlier journal": Target(
        partial(record_seeds.journal, checked=False), record_readers.read_journal, "lines", share=4
    ),
    "delivered": Target(
        partial(record_seeds.journal, "delivered"), record_readers.read_journal, share=1
    ),
    "owner": Target(partial(record_seeds.journal, "owner"), record_readers.read_journal, share=1),
    "origin": Target(
        partial(record_seeds.journal, "origin.json"), record_readers.read_journal, "json", share=1
    ),
    "export": Target(record_seeds.exported, record_readers.read_exported, "json", share=6),
    "exported metrics": Target(
        partial(record_seeds.exported, "metrics.csv"), record_readers.read_exported, share=2
    ),
    "own": _hdf5(hdf5_seeds.own, readers.read_dataset),
    "plain": _hdf5(hdf5_seeds.plain, readers.read_dataset),
    "released": _hdf5(hdf5_seeds.released, readers.read_dataset),
    "one-hot": _hdf5(partial(hdf5_seeds.released, letters_last=True), readers.read_onehot),
    "bundle": Target(hdf5_seeds.bundle("train", False), readers.read_bundle, "hdf5", 4, child=True),
    "matlab 5": Target(
        hdf5_seeds.bundle("valid", True), readers.read_bundle, "bytes", 4, child=True
    ),
    "attributions": _hdf5(hdf5_seeds.attributions, record_readers.read_attributions),
    "state": _hdf5(hdf5_seeds.state, record_readers.read_state, share=2),
    "sealed state": _hdf5(hdf5_seeds.state, record_readers.read_sealed_state, share=4),
}


@cache
def valid_files(name: str) -> Files:
    """Return the valid files of a target."""
    return TARGETS[name].files()


def place(name: str, folder: Path, changed: bytes) -> None:
    """Fill a folder with a target's files, the first one changed, all of one age."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    first = next(iter(valid_files(name)))
    for file, content in {**valid_files(name), first: changed}.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(content)
        os.utime(folder / file, (1e9, 1e9))


def first_file(name: str) -> bytes:
    """Return the file of a target that is changed."""
    return next(iter(valid_files(name).values()))
