"""``python -m mlproject pool RUN RUN ...``: test scores of the folds of a data set together."""

import click

from mlproject.commands.options import BACKEND
from mlproject.system.messages import quantity
from mlproject.system.startup import prepare_keras


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@BACKEND
def pool(runs: tuple[str, ...], backend: str | None) -> None:
    """Score the test sequences of several runs together, such as all folds of a plan.

    Each run predicts its own test split; the scores are those of all sequences at once.
    """
    prepare_keras(backend, None)
    from mlproject.run.pooling import pool_runs

    found = pool_runs(runs)
    sizes = " + ".join(map(str, found.sequences))
    print(f"{quantity(len(found.sequences), 'run')}, {sizes} test sequences")
    for name, value in found.values.items():
        print(f"{name}\t{value:.4f}")
