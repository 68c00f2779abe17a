"""``python -m mlproject sweep``: many runs from one plan."""

import re
import sys
from pathlib import Path
from typing import Any

import click

from mlproject.commands.options import (
    BACKEND,
    EXPERIMENT,
    FILE,
    NO_CHECK,
    QUIET,
    REGISTER,
    experiment_of,
    option,
)
from mlproject.system.errors import UserError
from mlproject.system.variables import MOST_THREADS

_amount = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII).fullmatch


@click.command()
@click.argument("plan", type=FILE)
@click.option("--workers", type=click.IntRange(1), help="processes on this machine [one a core]")
@click.option("--scheduler", metavar="ADDRESS", help="a running Dask cluster, tcp://host:8786")
@click.option(
    "--resources", metavar="NAME=N", multiple=True, help="what a cell takes of a worker: GPU=1"
)
@option("--retries", default=1, type=click.IntRange(0), help="of a failed cell")
@EXPERIMENT
@BACKEND
@option("--threads", default=1, type=click.IntRange(1, MOST_THREADS), help="of each process")
@click.option("--dry-run", is_flag=True, help="show the cells, what is done and how long it takes")
@QUIET
@NO_CHECK
@click.option(
    "--together",
    is_flag=True,
    help="train the seeds of a network at the same time, in one process [--workers 1]",
)
@REGISTER
def sweep(
    plan: Path, resources: tuple[str, ...], dry_run: bool, no_check: bool, **options: Any
) -> None:
    """Run the cells of a PLAN, or search with Optuna; start it again to go on.

    PLAN is a YAML file, or the name of a plan of this project, such as table1. Data, runs and the
    tracking store are in the current folder.

    Exit code 0: all cells are done.
    """
    from mlproject.store import check_registered_name
    from mlproject.sweeps.dry_run import dry_run as show
    from mlproject.sweeps.options import SweepOptions
    from mlproject.sweeps.plan_file import find_plan
    from mlproject.sweeps.run_plan import run_plan

    if options["register"]:
        check_registered_name(options["register"])
    plan = find_plan(plan)
    options["experiment"] = plan_experiment(options["experiment"], plan)
    settings = SweepOptions(
        Path.cwd(), resources=_parse_resources(resources), check=not no_check, **options
    )
    if dry_run:
        show(plan, settings)
    elif not run_plan(plan, settings):
        sys.exit(1)


def plan_experiment(given: str | None, plan: Path) -> str | None:
    """Return the experiment of a plan's runs: what the user says, else the plan's name.

    A plan that earlier runs have begun in MLflow's default experiment goes on there.
    """
    from mlproject.store import find_store
    from mlproject.store.liveness import find_runs
    from mlproject.sweeps.plan_file import read_plan

    name = read_plan(plan).name
    own = experiment_of(given, name)
    if given or own is None or (store := find_store()) is None:
        return own
    default = store.find_experiment()
    return None if default and find_runs(store, default, sweep=name) else own


def _parse_resources(texts: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not (name and _amount(value)) or name in found:
            raise UserError(
                f"`--resources` is written NAME=N, each name once: got {' '.join(texts)[:60]}"
            )
        found[name] = float(value)
    return found
