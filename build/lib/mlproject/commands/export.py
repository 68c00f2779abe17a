"""``python -m mlproject export``: finished runs as folders of text."""

import sys
from pathlib import Path

import click

from mlproject.commands.options import EXPERIMENTS, FILE, WHERE, option


@click.command()
@EXPERIMENTS
@WHERE
@option("--out", default="docs/reproduction/koo_eddy_2019", type=FILE, help="folder")
@click.option("--weights", is_flag=True, help="also the trained weights, 0.7 MB a run and more")
def export(experiments: tuple[str, ...], where: str, out: Path, weights: bool) -> None:
    """Write finished runs as small folders of text, for a repository or another machine.

    OUT/runs.csv lists them; `import` makes runs of them. What is in OUT stays.
    """
    from mlproject.store import connect
    from mlproject.store.exchange.exporting import export as export_runs

    done = export_runs(connect(), out, list(experiments) or None, where, weights)
    for line in done.left_out:
        print(f"too large, or no name for a file, left out: {line}", file=sys.stderr)
    for line in done.unreadable:
        print(line, file=sys.stderr)
    kept = f", {len(done.kept)} kept of another run of the same spec" if done.kept else ""
    print(
        f"{len(done.added)} runs added, {len(done.updated)} updated, "
        f"{len(done.same)} unchanged{kept}: {done.table}"
    )
