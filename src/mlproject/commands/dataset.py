"""``python -m mlproject dataset KIND``: a data set file, generated or from a user's files."""

from pathlib import Path
from typing import Any

import click

from mlproject.commands.dataset_options import FILES, OUT, RELEVANT, out_option, print_listing
from mlproject.commands.dataset_sequences import fasta, table
from mlproject.commands.options import CONTEXT, FILE, MOTIFS, option, split_list
from mlproject.fields import GENERATED
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity
from mlproject.system.outputs import require_other


@click.group(context_settings=CONTEXT)
@click.pass_context
def dataset(context: click.Context) -> None:
    """Make a data set file, or show what one holds.

    `mlflow run . -e dataset -P kind=fasta -P out=my.h5 ...` is `dataset fasta --out my.h5 ...`.
    """
    from mlproject.system.progress import progress_shown

    context.with_resource(progress_shown())


dataset.add_command(fasta)
dataset.add_command(table)


@dataset.command()
@out_option(help="file to write [in the folder data]")
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
    classes = quantity(len(made.classes), "class", "classes")
    print(f"{out or 'data'}: {counts}; {made.length} nt; {classes}")
    print(f"sha256 {made.sha256}")


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
    print_listing(done.listing, out, [done.differs] if done.differs else [], motifs)


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
        f"{quantity(count, one, many)} {text}"
        for count, one, many, text in (
            (done.outside, "window leaves its", "windows leave their", "chromosome: left out"),
            (done.blacklisted, "window touches", "windows touch", "the blacklist: left out"),
            (done.unmatched, "negative", "negatives", "with the same GC not found"),
        )
        if count
    ]
    print_listing(done.listing, out, notes, motifs)


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
    from mlproject.data.onehot import GUESSED, note_on_names
    from mlproject.data.paper import CLASSES, RELEVANT
    from mlproject.data.relevant import relevant_motifs

    require_other(file, out)
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
    guessed = GUESSED if known and not names else None
    print_listing(listing, out, [*filter(None, [note_on_names(guessed)])], motifs)


@dataset.command()
@click.argument("file", type=FILE)
def show(file: Path) -> None:
    """List a data set: class, relevant motifs, positives in each split, source files."""
    from mlproject.data import read
    from mlproject.data.listing import listing
    from mlproject.data.onehot import note_on_names

    found = read(file)
    note = note_on_names(found.provenance.get("classes"))
    print_listing(listing(found), file, [note] if note else [])
