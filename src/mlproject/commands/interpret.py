"""``python -m mlproject interpret``: attributions of a finished run."""

from pathlib import Path

import click

from mlproject.commands.options import (
    BACKEND,
    FILE,
    QUIET,
    THREADS,
    exit_if_interrupted,
    option,
    print_undelivered,
    split_list,
)
from mlproject.fields import ATTRIBUTIONS, MODISCO, parse_methods
from mlproject.system.startup import prepare_keras

SEQUENCES = 300


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@option(
    "--method",
    default="deeplift",
    help=f"methods, comma-separated: {', '.join(ATTRIBUTIONS)}; and {MODISCO} after one",
)
@click.option(
    "--sequences",
    type=click.IntRange(1),
    help=f"so many test sequences, evenly over the classes [{SEQUENCES}; with --above all]",
)
@click.option(
    "--above",
    type=click.FloatRange(0, 1),
    help="for the classes that the network gives more than this [those of the labels]",
)
@click.option("--classes", default="", help="for these classes only, comma-separated [all]")
@click.option("--dataset", "data", type=FILE, help="where the run's data set is now")
@BACKEND
@THREADS
@QUIET
def interpret(
    runs: tuple[str, ...],
    method: str,
    sequences: int | None,
    above: float | None,
    classes: str,
    data: Path | None,
    backend: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Attribute the predictions of a finished RUN to letters, and add the scores to the run.

    Scores each method against the planted positions where they are known. The attributions of
    several RUNs, such as seeds or folds, are averaged and become a new run. A sweep stands for its
    finished cells.
    """
    parse_methods(method)
    prepare_keras(backend, threads)
    from mlproject.run.attributed_rows import Choice
    from mlproject.run.averaged_run import interpret_runs
    from mlproject.run.finished_run import interpret_run
    from mlproject.run.members import member_runs
    from mlproject.store import connect

    count = sequences or (SEQUENCES if above is None else None)
    choice = Choice(count, above, split_list(classes))
    with exit_if_interrupted("; what was done before is recorded"):
        ids = member_runs(connect(), runs)
        if len(ids) == 1:
            added = interpret_run(ids[0], method, choice, data, quiet=quiet)
        else:
            added = interpret_runs(ids, method, choice, data, quiet=quiet)
    print_undelivered(added.undelivered)
    areas = [
        f"{name.partition('/')[0]} {value:.4f}"
        for name, value in added.metrics.items()
        if name.endswith(("/auroc", "/coverage"))
    ]
    print(f"run {added.run_id}: {', '.join(areas) or 'recorded'}")
