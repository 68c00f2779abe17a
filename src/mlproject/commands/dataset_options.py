"""Options that the kinds of ``dataset`` share, and what each prints at its end."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlproject.commands.options import OUT_FILE, Command, option
from mlproject.fields import JASPAR_2016
from mlproject.system.errors import UserError
from mlproject.system.messages import FirstNotes, quantity

if TYPE_CHECKING:
    from mlproject.data.listing import Listing

FORCE = "mlproject.force"  # in the context of a command
HDF5 = b"\x89HDF\r\n\x1a\n"


def _refuse_overwriting(
    context: click.Context, _: click.Parameter, out: Path | None
) -> Path | None:
    """Raise a `UserError` if the file to write exists without ``--force``, or is no data set."""
    if out is None or not out.exists():
        return out
    if not context.meta.get(FORCE):
        raise UserError(
            f"`--out` must be a new file: got {out}, which exists; give another name, or --force "
            "to replace it"
        )
    with out.open("rb") as file:
        head = file.read(len(HDF5))
    if head not in (b"", HDF5):
        raise UserError(
            f"`--force` replaces data set files only: got {out}, which is none; give another name"
        )
    return out


def out_option(**settings: Any) -> Callable[[Command], Command]:
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
            help="replace the file if it exists and is a data set",
        )
        out = click.option("--out", type=OUT_FILE, callback=_refuse_overwriting, **settings)
        return out(force(command))

    return add


OUT = out_option(required=True, help="file to write")
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
FIT = option(
    "--fit",
    default="exact",
    type=click.Choice(["exact", "centre", "drop"]),
    help="sequences of another length: an error, cut or filled up with N, or left out",
)
LENGTH = click.option(
    "--length", type=click.IntRange(1), help="nt a sequence [that of the first one]"
)


def print_listing(
    listing: "Listing", path: Path, notes: Sequence[str] = (), motifs: str = JASPAR_2016
) -> None:
    """Print what a data set holds, its file, and notes on what a user should know."""
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
    for pairs, common, question in (
        (alike(list(relevant)), "nearly the same name", "are they one class?"),
        (listing.same, "the same sequences", "is one file given twice?"),
    ):
        first = FirstNotes(notes.append)
        for one, other in pairs:
            first(f"classes {one} and {other} have {common}: {question}")
        if first.more:
            more = quantity(first.more, "more pair of classes has", "more pairs of classes have")
            notes.append(f"{more} {common}")
    if listing.repeats.shared:
        notes.append(
            quantity(listing.repeats.shared, "sequence is", "sequences are")
            + " in more than one split: the network is tested on sequences that it has seen"
        )
    if listing.repeats.conflicting:
        notes.append(
            quantity(listing.repeats.conflicting, "sequence comes", "sequences come")
            + " again in its split, on either strand, with other labels"
        )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
