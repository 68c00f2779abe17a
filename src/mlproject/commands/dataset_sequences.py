"""``dataset fasta`` and ``dataset table``: a data set file from files of sequences."""

from pathlib import Path
from typing import Any

import click

from mlproject.commands.dataset_options import FILES, FIT, LENGTH, OUT, RELEVANT, print_listing
from mlproject.commands.options import FILE, MOTIFS, Command, option, split_list
from mlproject.system.errors import UserError


@click.command()
@OUT
@FILES
@click.option(
    "--negatives",
    help="sequences that have no class: FILE,FILE,..., or `shuffle`: a copy of each sequence with "
    "shuffled dinucleotides",
)
@click.option(
    "--test-files",
    "--test_files",
    help="CLASS=FILE,... of the test split, such as held-out chromosomes [a random share]",
)
@click.option(
    "--test-negatives", "--test_negatives", help="FILE,FILE,... of the test without a class"
)
@LENGTH
@FIT
@click.option("--most", type=click.IntRange(1), help="sequences a class, the first ones [all]")
@option("--valid", default=0.1, type=float, help="share for validation")
@option("--test", default=0.2, type=float, help="share for testing; not with --test-files")
@option("--seed", default=0, type=click.IntRange(0), help="of the split and of shuffled copies")
@RELEVANT
@MOTIFS
def fasta(
    out: Path,
    files: str,
    negatives: str | None,
    test_files: str | None,
    test_negatives: str | None,
    relevant: str,
    motifs: str,
    **options: Any,
) -> None:
    """From sequences, FASTA or DeepBind's .seq, plain or gzipped, some files a class.

    Equal sequences and reverse complements are merged, with the labels of all.
    """
    from mlproject.data import fasta as kind
    from mlproject.data.relevant import relevant_motifs
    from mlproject.data.sources import parse_files, parse_paths

    sources = parse_files(files)
    found = relevant_motifs(list(sources), relevant, motifs)
    if test_negatives and not test_files:
        raise UserError("`--test-negatives` go with `--test-files`: give both, or neither")
    tested = None
    if test_files:
        paths = parse_files(test_files, "test_files")
        tested = kind.TestFiles(paths, parse_paths(test_negatives))
    shuffled = negatives == "shuffle"
    listing, pool, common = kind.convert(
        sources,
        [] if shuffled else parse_paths(negatives),
        out,
        shuffled=shuffled,
        tested=tested,
        relevant=found,
        **options,
    )
    notes = []
    if common:
        notes.append(f"{common:,} sequences of the test files are left out of the other splits")
    if pool.merged:
        notes.append(
            f"{pool.merged:,} sequences that were there before are merged with them, "
            f"{pool.other_strand:,} of these as reverse complements"
        )
    if pool.dropped:
        notes.append(f"{pool.dropped:,} sequences of another length are left out")
    print_listing(listing, out, notes, motifs)


TABLE_OPTIONS = (
    option(
        "--task",
        default="regression",
        type=click.Choice(["regression", "counts", "binary", "multiclass"]),
        help="numbers, counts, labels 0 and 1, or one column with the names of classes",
    ),
    click.option("--units", default="", help="unit of each column, comma-separated"),
    option(
        "--transform",
        default="none",
        type=click.Choice(["none", "log2", "log1p", "standardise"]),
        help="of numbers; log1p: log2 of 1 more; standardise: by the training split",
    ),
    option(
        "--missing",
        default="refuse",
        type=click.Choice(["refuse", "drop"]),
        help="values that are empty or NA: an error, or their rows left out",
    ),
    option(
        "--duplicates",
        default="mean",
        type=click.Choice(["mean", "first", "refuse"]),
        help="equal sequences of a split: their mean, the first, or an error",
    ),
    click.option("--split", default="", help="column with train, valid or test"),
    click.option("--chromosome", default="", help="column of chromosomes, to split by them"),
    option("--valid", default="0.1", help="share for validation, or chromosomes, as chr7"),
    option("--test", default="0.2", help="share for testing, or chromosomes, as chr8,chr9"),
    option("--seed", default=0, type=click.IntRange(0), help="of a random split"),
    LENGTH,
    FIT,
)


def _table_options(command: Command) -> Command:
    for add in reversed(TABLE_OPTIONS):
        command = add(command)
    return command


@click.command()
@OUT
@click.option("--file", required=True, type=FILE, help="table with a header, TSV or CSV, or gzip")
@option("--sequence", default="sequence", help="column of the sequences")
@click.option("--columns", required=True, help="columns of the values, comma-separated")
@click.option("--fasta", type=FILE, help="FASTA of the sequences, if the table has their names")
@click.option("--name", default="", help="column of these names")
@_table_options
@RELEVANT
@MOTIFS
def table(out: Path, file: Path, relevant: str, motifs: str, **options: Any) -> None:
    """From a table of sequences with measured values, as MPRA and STARR-seq give.

    Without a column of splits or chromosomes the split is random, and similar sequences (shared
    words of 16 nt, on either strand) stay together.
    """
    from mlproject.data import table as kind
    from mlproject.data.relevant import relevant_motifs

    options["columns"] = split_list(options["columns"])
    units = options["units"].split(",") if options["units"] else ()
    options["units"] = tuple(unit.strip() for unit in units)
    chosen = kind.Options(**options)
    found = relevant_motifs(kind.class_names(file, chosen), relevant, motifs)
    done = kind.convert(file, out, chosen, found)
    notes = [
        f"{count:,} {text}"
        for count, text in (
            (done.dropped, "rows without a value are left out"),
            (done.unfit, "rows of another length are left out"),
            (done.merged, "rows are merged with an equal sequence"),
            (done.together, "sequences stay in one split with similar ones"),
        )
        if count
    ]
    print_listing(done.listing, out, notes, motifs)
