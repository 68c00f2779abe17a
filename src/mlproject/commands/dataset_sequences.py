"""``dataset fasta`` and ``dataset table``: a data set file from files of sequences."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mlproject.commands.dataset_options import FILES, FIT, LENGTH, OUT, RELEVANT, print_listing
from mlproject.commands.options import FILE, MOTIFS, Command, option, split_list
from mlproject.system.errors import UserError, short_repr
from mlproject.system.messages import quantity

VALUE_OPTIONS = (
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
)
LEFT_OUT = "left out"
VALUE_NAMES = ("task", "units", "transform", "missing", "duplicates")
TABLE_OPTIONS = (
    *VALUE_OPTIONS,
    click.option("--split", default="", help="column with train, valid or test"),
    click.option("--chromosome", default="", help="column of chromosomes, to split by them"),
    option("--valid", default="0.1", help="share for validation, or chromosomes, as chr7"),
    option("--test", default="0.2", help="share for testing, or chromosomes, as chr8,chr9"),
    option("--seed", default=0, type=click.IntRange(0), help="of a random split"),
    LENGTH,
    FIT,
)


def _options(rows: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for one in reversed(rows):
            command = one(command)
        return command

    return add


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
@click.option(
    "--values",
    type=FILE,
    help="table with a row for each sequence, its name first, or --name: the labels are its values",
)
@click.option("--columns", default="", help="columns of --values, comma-separated [all]")
@click.option("--name", default="", help="column of --values with the sequences' names [the first]")
@_options(VALUE_OPTIONS)
@RELEVANT
@MOTIFS
@click.pass_context
def fasta(
    context: click.Context,
    out: Path,
    files: str,
    negatives: str | None,
    test_files: str | None,
    test_negatives: str | None,
    values: Path | None,
    relevant: str,
    motifs: str,
    **options: Any,
) -> None:
    """From sequences, FASTA or DeepBind's .seq, plain or gzipped, some files a class.

    Equal sequences and reverse complements are merged, with the labels of all. With a table of
    values, --files are FASTA files without a class: FILE,FILE,...
    """
    classes = ("negatives", "test_files", "test_negatives", "most")
    only = classes if values else ("columns", "name", *VALUE_NAMES)
    if given := [name for name in only if _given(context, name)]:
        rule = "goes with classes of sequences" if values else "goes with `--values`"
        raise UserError(f"`--{given[0]}` {rule}: leave it out")
    own = {name: options.pop(name) for name in ("columns", "name", *VALUE_NAMES)}
    if values:
        options.pop("most")
        _write_values(out, values, files, relevant, motifs, **own, **options)
        return
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
        notes.append(
            quantity(common, "sequence of the test files is", "sequences of the test files are")
            + " left out of the other splits"
        )
    if pool.merged:
        notes.append(
            quantity(
                pool.merged,
                "sequence that was there before is merged with it",
                "sequences that were there before are merged with them",
            )
            + f", {pool.other_strand:,} of these as reverse complements"
        )
    if located := int((pool.places["chrom"] != b"").sum()):
        notes.append(
            f"the headers of {located:,} of {len(pool.places):,} sequences say where they lie; the "
            "data set keeps it"
        )
    if pool.dropped:
        notes.append(
            quantity(
                pool.dropped, "sequence of another length is", "sequences of another length are"
            )
            + " left out"
        )
    print_listing(listing, out, notes, motifs)


def _given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) != ParameterSource.DEFAULT


def _write_values(
    out: Path, values: Path, files: str, relevant: str, motifs: str, **options: Any
) -> None:
    """Write a data set of FASTA files and a table of their values."""
    from mlproject.data.sources import parse_paths
    from mlproject.data.table_header import columns_of

    if "=" in files:
        raise UserError(f"`--files` must be FILE,FILE,... with `--values`: got {short_repr(files)}")
    header = columns_of(values)
    name = options["name"] or header[0]
    options["columns"] = options["columns"] or ",".join(one for one in header if one != name)
    options |= {"fasta": tuple(parse_paths(files)), "sequence": "", "each": True}
    options |= {key: f"{options[key]:g}" for key in ("valid", "test")}
    _write_table(out, values, relevant, motifs, **options)


@click.command()
@OUT
@click.option("--file", required=True, type=FILE, help="table with a header, TSV or CSV, or gzip")
@option("--sequence", default="sequence", help="column of the sequences")
@click.option("--columns", required=True, help="columns of the values, comma-separated")
@click.option("--fasta", type=FILE, help="FASTA of the sequences, if the table has their names")
@click.option("--name", default="", help="column of these names")
@_options(TABLE_OPTIONS)
@RELEVANT
@MOTIFS
def table(
    out: Path, file: Path, fasta: Path | None, relevant: str, motifs: str, **options: Any
) -> None:
    """From a table of sequences with measured values, as MPRA and STARR-seq give.

    Without a column of splits or chromosomes the split is random, and similar sequences (shared
    words of 16 nt, on either strand) stay together.
    """
    if bool(fasta) != bool(options["name"]):
        raise UserError("`--fasta` and the column of its names, `--name`, go together: got one")
    _write_table(out, file, relevant, motifs, fasta=(fasta,) if fasta else (), **options)


def _write_table(out: Path, file: Path, relevant: str, motifs: str, **options: Any) -> None:
    """Write a data set of a table with values and print what it holds."""
    from mlproject.data import table as kind
    from mlproject.data.relevant import relevant_motifs

    options["columns"] = split_list(options["columns"])
    units = options["units"].split(",") if options["units"] else ()
    options["units"] = tuple(unit.strip() for unit in units)
    chosen = kind.Options(**options)
    found = relevant_motifs(kind.class_names(file, chosen), relevant, motifs)
    done = kind.convert(file, out, chosen, found)
    notes = [
        f"{quantity(count, one, many)} {text}"
        for count, one, many, text in (
            (done.dropped, "sequence has no value:", "sequences have no value:", LEFT_OUT),
            (done.commented, "row begins with #:", "rows begin with #:", LEFT_OUT),
            (done.unfit, "row has another length:", "rows have another length:", LEFT_OUT),
            (done.merged, "row is", "rows are", "merged with an equal sequence"),
            (done.together, "sequence stays", "sequences stay", "in one split with similar ones"),
        )
        if count
    ]
    print_listing(done.listing, out, [*notes, *done.suspects], motifs)
