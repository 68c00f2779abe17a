"""``python -m mlproject match``: Tomtom's table of the motifs in a file."""

from pathlib import Path

import click

from mlproject.commands.options import FILE, MOTIFS, option


@click.command()
@click.argument("query", type=FILE)
@MOTIFS
@option("--evalue", default=0.1, type=float, help="largest E-value")
@click.option("--out", type=FILE, help="file to write [standard output]")
def match(query: Path, motifs: str, evalue: float, out: Path | None) -> None:
    """Match the motifs of a MEME file, as MEME Suite's Tomtom does, and print its table."""
    from mlproject.motifs.tomtom import match_files
    from mlproject.system.files import atomic_file

    table = match_files(query, motifs, evalue)
    if out is None:
        print(table, end="")
    else:
        with atomic_file(out) as file:
            file.write(table.encode())
