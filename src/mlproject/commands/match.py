"""``python -m mlproject match``: Tomtom's table of the motifs in a file."""

from pathlib import Path

import click

from mlproject.commands.options import FILE, MOTIFS, OUT_FILE, option


@click.command()
@click.argument("query", type=FILE)
@MOTIFS
@option("--evalue", default=0.1, type=float, help="largest E-value")
@click.option("--out", type=OUT_FILE, help="file to write [standard output]")
def match(query: Path, motifs: str, evalue: float, out: Path | None) -> None:
    """Match the motifs of a MEME file, as MEME Suite's Tomtom does, and print its table."""
    from mlproject.fields import database_files
    from mlproject.motifs.tomtom import match_files
    from mlproject.system.files import atomic_file
    from mlproject.system.outputs import require_other
    from mlproject.system.progress import progress_shown

    for path in [query, *database_files(motifs)] if out else []:
        require_other(path, out)
    with progress_shown():
        table = match_files(query, motifs, evalue)
    if out is None:
        print(table, end="")
    else:
        with atomic_file(out) as file:
            file.write(table.encode())
