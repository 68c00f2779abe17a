"""``python -m mlproject tracks``: one test sequence under several methods and models."""

from pathlib import Path

import click

from mlproject.commands.options import BACKEND, OUT_FILE, THREADS, option
from mlproject.fields import parse_methods
from mlproject.system.errors import UserError, short_repr
from mlproject.system.numbers import whole_number
from mlproject.system.startup import prepare_keras


@click.command()
@click.argument("runs", nargs=-1, required=True)
@option(
    "--method",
    default="saliency,gradient_x_input,integrated_gradients,deeplift,ism",
    help="attribution methods, comma-separated, a row each",
)
@click.option(
    "--sequence",
    type=click.IntRange(0),
    help="row of the test split [the first with three planted motifs close to each other]",
)
@click.option("--region", metavar="FROM-TO", help="nt to show, from 1 [around the planted motifs]")
@option("--out", default="tracks.png", type=OUT_FILE, help="PNG or PDF file")
@BACKEND
@THREADS
def tracks(
    runs: tuple[str, ...],
    method: str,
    sequence: int | None,
    region: str | None,
    out: Path,
    backend: str | None,
    threads: int | None,
) -> None:
    """Draw one test sequence under several methods, finished RUNS side by side."""
    parse_methods(method)
    span = _parse_region(region) if region else None
    prepare_keras(backend, threads)
    from mlproject.run.sequence_tracks import draw_runs

    print(f"{out}: test sequence {draw_runs(runs, method, out, sequence, span)}")


def _parse_region(text: str) -> tuple[int, int]:
    first, last = (whole_number(part) for part in text.partition("-")[::2])
    if not first or last is None:
        raise UserError(f"`--region` is written FROM-TO, such as 21-90: got {short_repr(text)}")
    return first - 1, last
