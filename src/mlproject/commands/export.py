"""``python -m mlproject export``: finished runs as folders of text."""

import sys
from pathlib import Path

import click

from mlproject.commands.options import EXPERIMENTS, OUT_FOLDER, WHERE, option
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN...]")
@EXPERIMENTS
@WHERE
@option("--out", default="docs/reproduction/koo_eddy_2019", type=OUT_FOLDER, help="folder")
@click.option("--weights", is_flag=True, help="also the trained weights, 0.7 MB a run and more")
def export(
    runs: tuple[str, ...], experiments: tuple[str, ...], where: str, out: Path, weights: bool
) -> None:
    """Write finished RUNS [all] as small folders of text, for a repository or another machine.

    A sweep stands for its finished cells. OUT/runs.csv lists the runs; `import` makes runs of
    them. What is in OUT stays.
    """
    if runs and (experiments or where):
        raise UserError("`export` takes RUNS, or `--experiment` and `--where`: got both")
    from mlproject.run.members import member_runs
    from mlproject.store import connect
    from mlproject.store.exchange.exporting import export as export_runs

    store = connect()
    chosen = member_runs(store, runs) if runs else ()
    done = export_runs(store, out, list(experiments) or None, where, weights, chosen)
    for line in done.left_out:
        print(f"too large, or no name for a file, left out: {line}", file=sys.stderr)
    for line in done.unreadable:
        print(line, file=sys.stderr)
    kept = f", {len(done.kept)} kept of another run of the same spec" if done.kept else ""
    print(
        f"{quantity(len(done.added), 'run')} added, {len(done.updated)} updated, "
        f"{len(done.same)} unchanged{kept}: {done.table}"
    )
