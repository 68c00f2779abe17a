"""``python -m mlproject import``: runs from the folders that ``export`` wrote."""

from pathlib import Path

import click

from mlproject.commands.options import FILE, exit_if_interrupted, option
from mlproject.system.messages import quantity


@click.command(name="import")
@option(
    "--from", "source", default="docs/reproduction", type=FILE, help="folder that `export` wrote"
)
@click.option("--experiment", help="MLflow experiment [Default, or as MLFLOW_EXPERIMENT_NAME says]")
def import_runs(source: Path, experiment: str | None) -> None:
    """Make finished runs of what `export` wrote; sweeps and reports take them as runs."""
    from mlproject.store import connect
    from mlproject.store.exchange import importing

    with exit_if_interrupted():
        done = importing.import_runs(connect(), source, experiment)
    completed = f"{len(done.completed)} completed, " if done.completed else ""
    print(f"{quantity(len(done.added), 'run')} imported, {completed}{done.present} were there")
