"""``python -m mlproject compare``: runs side by side on one page."""

import sys
from pathlib import Path

import click

from mlproject.commands.options import BACKEND, OUT_FILE, QUIET, THREADS, option
from mlproject.fields import ATTRIBUTIONS, parse_methods
from mlproject.system.errors import UserError
from mlproject.system.startup import prepare_keras


@click.command()
@click.argument("runs", nargs=-1, required=True)
@option("--out", default="compare.html", type=OUT_FILE, help="HTML file")
@option(
    "--method",
    default="deeplift",
    help=f"attributions of one test sequence: none, or one of {', '.join(ATTRIBUTIONS)}",
)
@click.option(
    "--sequence",
    type=click.IntRange(0),
    help="row of the test split [the first with three planted motifs close to each other]",
)
@BACKEND
@THREADS
@QUIET
def compare(
    runs: tuple[str, ...],
    out: Path,
    method: str,
    sequence: int | None,
    backend: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Write one page that shows RUNS side by side; their ids, or the starts of these.

    It has the parameters that differ, metrics and their differences, the curves, the filters of
    each class, and the attributions of one test sequence. It needs no network. Runs on different
    data sets have no sequence in common: their attributions are left out.
    """
    if len(parse_methods(method)) > 1:
        raise UserError(f"`--method` takes one method: got {method!r}")
    from mlproject.report.compare import choose_runs, write_comparison
    from mlproject.report.content import load_content
    from mlproject.system.progress import progress_shown

    with progress_shown(quiet):
        content = load_content()
        chosen = choose_runs(content, runs)
        scores = None
        if method != "none" and chosen["dataset_sha256"].nunique() == 1:
            prepare_keras(backend, threads)
            from mlproject.run.sequence_tracks import sequence_scores

            scores = sequence_scores([*chosen["run_id"]], method, sequence)
        path = write_comparison(content, chosen, out, scores)
    for line in content.unreadable:
        print(line, file=sys.stderr)
    print(f"{len(chosen)} runs: {path}")
