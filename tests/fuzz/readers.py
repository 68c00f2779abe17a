"""How the project reads each kind of file, as its commands do; all take the files' folder."""

import gzip
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

from seeds import LENGTH, OWNER, scan

from mlproject.errors import UserError


def read_meme(folder: Path) -> None:
    from mlproject import motifs
    from mlproject.interpret.tomtom import tomtom

    found = motifs.read_meme(folder / "a.meme")
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


def _word(folder: Path) -> str:
    """Return the changed text as a command line could give it."""
    return (folder / "words").read_bytes().decode("utf-8", "surrogateescape").replace("\0", "")


def read_relevant(folder: Path) -> None:
    from mlproject.data.relevant import relevant_motifs, unmatchable

    unmatchable(relevant_motifs(["SRF", "YY1", "x"], _word(folder)))


def read_columns(folder: Path) -> None:
    from mlproject.data.deepsea import choose_columns

    (folder / "names.txt").write_bytes(b"a|b\nSRF\n\nYY1\n")
    try:
        choose_columns(_word(folder), folder / "names.txt")
    except UserError as error:
        assert str(error).isprintable()
    choose_columns(_word(folder))


def read_where(folder: Path) -> None:
    import pandas

    from mlproject.results.conditions import check_columns, parse, select

    columns = {"pool1": [1, 25], "arch": ["CNN-1", "CNN-25"], "x": [0.5, None], "y": [True, False]}
    conditions = parse(_word(folder))
    check_columns([one.column for one in conditions], [*columns])
    select(pandas.DataFrame(columns), conditions)


def read_options(folder: Path) -> None:
    from mlproject.architectures import make_spec
    from mlproject.cli import _spec_options

    spec = make_spec(_spec_options(_word(folder).split(" ")))
    spec.map_lengths(spec.length)
    spec.train_sha256("0" * 64)


def read_spec(folder: Path) -> None:
    from mlproject.architectures import recorded_spec

    try:
        values = json.loads((folder / "words").read_bytes())
    except (ValueError, RecursionError):
        return
    if isinstance(values, dict):
        recorded_spec(values)


def read_plan(folder: Path) -> None:
    from sweeps import plan as plans

    plan = plans.read_plan(folder / "a.yaml")
    if plan.search is None:
        for number, _ in enumerate(plans.expand(plan)):
            if number == 20:
                break


def read_scan(folder: Path) -> None:
    """A damaged scan is not used: what is used says what the whole one says."""
    from mlproject.interpret.pwm_scan import read_kept

    (path,) = folder.iterdir()
    whole = _whole_scan()
    kept = read_kept(path, whole["dataset_sha256"])
    assert kept is None or json.loads(path.read_bytes()) == whole


@cache
def _whole_scan() -> dict[str, Any]:
    (content,) = scan().values()
    whole: dict[str, Any] = json.loads(content)
    return whole


def read_journal(folder: Path) -> None:
    """What cannot be read is left out, and what is written afterwards is not."""
    from mlproject.journal import Journal

    record = Journal(folder)
    assert len(record.pending()) <= len(record.entries())
    assert record.status in (None, "FINISHED", "FAILED", "KILLED")
    assert isinstance(record.origin, dict)
    record.is_live()
    record.damaged()
    record.mark_delivered(min(len(record.pending()), 1))
    before = record.entries()
    record.append("tags", values={"last": "one"})
    after = Journal(folder).entries()
    assert after[: len(before)] == before  # a whole last line without its end counts from now on
    assert after[-1].content == {"values": {"last": "one"}}


def read_dataset(folder: Path) -> None:
    from mlproject.data.layout import read
    from mlproject.data.listing import format_listing, listing

    format_listing(listing(read(folder / "a.h5")))


def read_foreign(folder: Path) -> None:
    from mlproject.data.foreign import class_names, convert

    path = folder / "a.h5"
    convert(path, folder / "o.h5", names=class_names(path, None), relevant={})


def read_bundle(folder: Path) -> None:
    from mlproject.data.deepsea import convert

    convert(folder, folder / "o.h5", columns={"SRF": 0, "YY1": 2}, relevant={})


def _seal(path: Path) -> None:
    """Give a changed file the hash that belongs to it, so that it is read in spite of that."""
    from mlproject.files import SEAL, SEAL_LENGTH, has_seal

    content = path.read_bytes()[: -SEAL_LENGTH if has_seal(path) else None]
    path.write_bytes(content + SEAL + hashlib.sha256(content).hexdigest().encode())


def read_attributions(folder: Path) -> None:
    from mlproject.attribution.files import read

    _seal(folder / "a.h5")
    found = read(folder / "a.h5")
    assert found.importance.shape == found.contributions.shape == found.codes.shape


def read_state(folder: Path) -> None:
    from mlproject.checkpoint import read, read_history

    read_history(folder / "a.h5")
    read(folder / "a.h5", OWNER)


def read_sealed_state(folder: Path) -> None:
    _seal(folder / "a.h5")
    read_state(folder)
