"""``python -m mlproject dataset KIND``: a data set file, generated or from a user's files."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlproject.commands.options import CONTEXT, FILE, MOTIFS, Command, option, split_list
from mlproject.fields import GENERATED, JASPAR_2016
from mlproject.system.errors import UserError

if TYPE_CHECKING:
    from mlproject.data.listing import Listing

FORCE = "mlproject.force"  # in the context of a command


def _refuse_overwriting(
    context: click.Context, _: click.Parameter, out: Path | None
) -> Path | None:
    """Raise a `UserError` if the file to write exists and ``--force`` is not given."""
    if out is not None and out.exists() and not context.meta.get(FORCE):
        raise UserError(
            f"`--out` must be a new file: got {out}, which exists; give another name, or --force "
            "to replace it"
        )
    return out


def _out(**settings: Any) -> Callable[[Command], Command]:
    """Return the options ``--out`` and ``--force``, which guard an existing file."""

    def note(context: click.Context, _: click.Parameter, force: bool) -> None:
        context.meta[FORCE] = force

    def add(command: Command) -> Command:
        force = click.option(
            "--force",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=note,
            help="replace the file if it exists",
        )
        out = click.option("--out", type=FILE, callback=_refuse_overwriting, **settings)
        return out(force(command))

    return add


OUT = _out(required=True, help="file to write")
RELEVANT = option(
    "--relevant",
    default="auto",
    help="motifs of the classes: `auto` by the factor's name, `none`, or exceptions to auto "
    "CLASS=ID+ID,CLASS=NAME,CLASS=",
)
FILES = click.option(
    "--files",
    required=True,
    help="CLASS=FILE,CLASS=FILE,... (a class may come again), or a table of classes and files",
)


@click.group(context_settings=CONTEXT)
def dataset() -> None:
    """Make a data set file, or show what one holds.

    `mlflow run . -e dataset -P kind=fasta -P out=my.h5 ...` is `dataset fasta --out my.h5 ...`.
    """


@dataset.command()
@_out(help="file to write [in the folder data]")
@option("--seed", default=0, type=click.IntRange(0))
@option("--sequences", type=int, help="[as many as the recipe says]")
@option("--length", type=int, help="nt a sequence [the recipe's]")
@option("--recipe", default="synthetic", type=click.Choice([*GENERATED]), help="rules of the data")
@click.option(
    "--set",
    "changes",
    metavar="NAME=VALUE",
    multiple=True,
    help="another value of a setting of the recipe, may be repeated; `--recipe_help` lists them",
)
@click.option("--recipe_help", is_flag=True, help="show the recipe's settings and end")
def synthetic(
    out: Path | None,
    seed: int,
    sequences: int | None,
    length: int | None,
    recipe: str,
    changes: tuple[str, ...],
    recipe_help: bool,
) -> None:
    """Generate data by a recipe: motifs planted in DNA, with their places as truth.

    The recipes `synthetic`, `exponential` and `codes` are those of two papers.
    """
    from mlproject.architectures import make_spec
    from mlproject.data import load, make_synthetic
    from mlproject.data.recipes import format_recipe, make_recipe, parse_settings

    settings = parse_settings(changes)
    if recipe_help:
        print(format_recipe(make_recipe(recipe, settings)))
        return
    if settings and not out:
        raise UserError("`--set` needs a file to write: give --out FILE")
    size = {"sequences": sequences, "length": length, "data_seed": seed, "dataset": recipe}
    if out:
        made = make_synthetic(out, seed, sequences, length, recipe, settings)
    else:
        spec = make_spec({name: value for name, value in size.items() if value is not None})
        made = load(spec, Path("data"))
    counts = ", ".join(f"{len(split.codes):,} {name}" for name, split in made.splits.items())
    print(f"{out or 'data'}: {counts}; {made.length} nt; {len(made.classes)} classes")
    print(f"sha256 {made.sha256}")


@dataset.command()
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
@click.option("--length", type=click.IntRange(1), help="nt a sequence [that of the first one]")
@option(
    "--fit",
    default="exact",
    type=click.Choice(["exact", "centre", "drop"]),
    help="sequences of another length: an error, cut or filled up with N, or left out",
)
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
    _show(listing, out, notes, motifs)


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
    click.option("--length", type=click.IntRange(1), help="nt a sequence [that of the first one]"),
    option(
        "--fit",
        default="exact",
        type=click.Choice(["exact", "centre", "drop"]),
        help="sequences of another length: an error, cut or filled up with N, or left out",
    ),
)


def _table_options(command: Command) -> Command:
    for add in reversed(TABLE_OPTIONS):
        command = add(command)
    return command


@dataset.command()
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
    _show(done.listing, out, notes, motifs)


@dataset.command()
@OUT
@click.option("--folder", required=True, type=FILE, help="of the bundle")
@option(
    "--columns",
    default="paper",
    help="label columns: the paper's 12, `all`, or INDEX,NAME,NAME=INDEX,...",
)
@click.option("--names", type=FILE, help="text file, the name of a column a line")
@RELEVANT
@MOTIFS
def deepsea(
    out: Path, folder: Path, columns: str, names: Path | None, relevant: str, motifs: str
) -> None:
    """From the published DeepSEA bundle: train.mat, valid.mat and test.mat in a folder."""
    from mlproject.data import deepsea as kind
    from mlproject.data.paper import RELEVANT
    from mlproject.data.relevant import relevant_motifs

    chosen = kind.choose_columns(columns, names)
    known = RELEVANT if columns == "paper" else None
    found = relevant_motifs(list(chosen), relevant, motifs, known)
    done = kind.convert(folder, out, columns=chosen, relevant=found)
    _show(done.listing, out, [done.differs] if done.differs else [], motifs)


@dataset.command()
@OUT
@FILES
@click.option("--genome", required=True, type=FILE, help="FASTA or bgzip")
@option(
    "--scheme",
    default="bins",
    type=click.Choice(["bins", "summits"]),
    help="windows around covered bins, as in the paper, or around summits",
)
@option("--window", default=1000, type=click.IntRange(1), help="nt")
@option("--bin_size", default=200, type=click.IntRange(1), help="nt a bin")
@option(
    "--labels",
    default="centre",
    type=click.Choice(["centre", "union"]),
    help="of the bin, or of all bins in the window",
)
@option("--test", default="chr8,chr9", help="chromosomes for testing")
@option("--valid", default="chr7", help="chromosomes for validation")
@click.option("--skip", default="", help="chromosomes to leave out, for example chrX,chrY,chrM")
@click.option("--blacklist", type=FILE, help="BED of regions to leave out")
@option(
    "--negatives",
    default="none",
    type=click.Choice(["none", "gc", "shuffle"]),
    help="windows without a label: off all peaks with the same GC, or shuffled dinucleotides",
)
@option("--seed", default=0, type=click.IntRange(0), help="of negatives")
@RELEVANT
@MOTIFS
def peaks(out: Path, files: str, genome: Path, relevant: str, motifs: str, **options: Any) -> None:
    """From BED or narrowPeak files, one or several a class, and a genome."""
    from mlproject.data import peaks as kind
    from mlproject.data.relevant import relevant_motifs
    from mlproject.data.sources import parse_files

    sources = parse_files(files)
    for name in ("test", "valid", "skip"):
        options[name] = split_list(options[name])
    found = relevant_motifs(list(sources), relevant, motifs)
    done = kind.convert(sources, genome, out, relevant=found, options=kind.Options(**options))
    notes = list(done.remarks)
    notes += [
        f"{count:,} {text}"
        for count, text in (
            (done.outside, "windows leave their chromosome and are left out"),
            (done.blacklisted, "windows touch the blacklist and are left out"),
            (done.unmatched, "negatives with the same GC were not found"),
        )
        if count
    ]
    _show(done.listing, out, notes, motifs)


@dataset.command()
@OUT
@click.option("--file", required=True, type=FILE, help="HDF5 file")
@click.option("--names", help="class names, comma-separated [the paper's if 12, else class0, ...]")
@option("--axes", default="auto", help="such as NCL or NLC, C = letters")
@option("--letters", default="ACGT", help="order of the letters")
@click.option(
    "--both-strands", is_flag=True, help="append the reverse complements of each split to it"
)
@RELEVANT
@MOTIFS
def h5(
    out: Path,
    file: Path,
    names: str | None,
    axes: str,
    letters: str,
    both_strands: bool,
    relevant: str,
    motifs: str,
) -> None:
    """From an HDF5 file with X_train, Y_train and so on, as the paper's released code has it."""
    from mlproject.data import h5 as kind
    from mlproject.data.paper import CLASSES, RELEVANT
    from mlproject.data.relevant import relevant_motifs

    classes = kind.class_names(file, names)
    known = RELEVANT if tuple(classes) == CLASSES else None
    found = relevant_motifs(classes, relevant, motifs, known)
    listing = kind.convert(
        file,
        out,
        names=classes,
        relevant=found,
        axes=axes,
        letters=letters,
        both_strands=both_strands,
    )
    _show(listing, out, motifs=motifs)


@dataset.command()
@click.argument("file", type=FILE)
def show(file: Path) -> None:
    """List a data set: class, relevant motifs, positives in each split, source files."""
    from mlproject.data import read
    from mlproject.data.listing import listing

    _show(listing(read(file)), file)


def _show(
    listing: "Listing", path: Path, notes: Sequence[str] = (), motifs: str = JASPAR_2016
) -> None:
    from mlproject.data.listing import alike, format_listing
    from mlproject.data.relevant import unmatchable, without_motif
    from mlproject.motifs.databases import title_of

    print(format_listing(listing))
    print(path)
    notes = list(notes)
    relevant = {row.name: row.relevant for row in listing.rows}
    unknown = [name for name, ids in relevant.items() if not ids]
    if not listing.rows[0].values and (note := without_motif(unknown, {}, motifs)):
        notes.append(note)
    if absent := unmatchable(relevant):
        notes.append(
            f"filters are matched with {title_of(JASPAR_2016)} unless `motifs` says otherwise, "
            f"which lacks {', '.join(absent)}"
        )
    for row in listing.rows:
        one_sided = [
            name
            for name, positives, count in zip(
                ("train", "valid", "test"), row.positives, listing.counts, strict=not row.values
            )
            if positives in (0, count)
        ]
        if one_sided:
            notes.append(f"{row.name} has one label only in {', '.join(one_sided)}: no AUROC there")
    for one, other in alike([row.name for row in listing.rows]):
        notes.append(f"classes {one} and {other} have nearly the same name: are they one class?")
    if listing.shared:
        notes.append(
            f"{listing.shared:,} sequences are in more than one split: the network is tested on "
            "sequences that it has seen"
        )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
