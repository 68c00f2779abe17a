"""Options that several commands share, and what the commands do with their values."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from mlproject.fields import JASPAR_2016
from mlproject.system.environment import BACKENDS
from mlproject.system.errors import UserError
from mlproject.system.outputs import require_writable
from mlproject.system.variables import MOST_THREADS


class _File(click.Path):
    """A file or a folder, which must have a name: an empty one would be the current folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "" and param:
            raise UserError(f"`{param.opts[0]}` must be a path, such as . or results: got ''")
        return super().convert(value, param, ctx)


class _Output(_File):
    """A file or a folder to write, checked before the command works for it."""

    def __init__(self, folder: bool = False) -> None:
        super().__init__()
        self._folder = folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not (ctx and ctx.resilient_parsing):  # as for completion in a shell
            require_writable(path, self._folder)
        return path


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
FILE = _File()
OUT_FILE, OUT_FOLDER = _Output(), _Output(folder=True)
Command = TypeVar("Command", bound=Callable[..., Any])


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """Return an option whose help shows the default, if it has one."""
    return click.option(*names, show_default=True, **settings)


EXPERIMENT = click.option(
    "--experiment",
    help="MLflow experiment [MLFLOW_EXPERIMENT_NAME, else the name of the plan or the data set]",
)
EXPERIMENTS = click.option(
    "--experiment", "experiments", multiple=True, help="MLflow experiment, may be repeated [all]"
)
WHERE = click.option("--where", default="", help='runs to take: "pool1 >= 10 and arch != CNN-25"')
MOTIFS = option(
    "--motifs",
    "--targets",
    "--release",
    "motifs",
    default=JASPAR_2016,
    help="databases of known motifs, comma-separated: jaspar2016 to jaspar2026, "
    "jaspar2026_plants and so on, MEME files",
)
BACKEND = click.option(
    "--backend", type=click.Choice(BACKENDS), help="Keras backend [KERAS_BACKEND, jax]"
)
THREADS = click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), help="processor cores to use [all]"
)
REGISTER = click.option(
    "--register",
    metavar="NAME",
    default="",
    help="make the model a version of this one in MLflow's registry; of a sweep the best cell's, "
    "with the alias best",
)
QUIET = click.option("--quiet", is_flag=True, help="show no progress")
JSON = click.option(
    "--json", "as_json", is_flag=True, help="print the result as one JSON object, and no progress"
)
TRUST = click.option(
    "--trust",
    is_flag=True,
    help="with --resume: run the copy of the model's FILE.py that the run has, if the file is gone "
    "or has changed here",
)
NO_CHECK = click.option(
    "--no-check", is_flag=True, help="train on an accelerator without its self-test"
)


def experiment_of(given: str | None, own: str) -> str | None:
    """Return the name of the experiment of new runs: what the user says, else `own`.

    None leaves it to MLflow: its environment names one, or ``mlflow run`` has made the run.
    """
    names = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")
    return given or (None if any(os.environ.get(name) for name in names) else own)


def split_list(text: str | None) -> tuple[str, ...]:
    """Return the parts of a comma-separated text, without blanks and empty parts."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


@contextmanager
def exit_if_interrupted(then: str = "") -> Iterator[None]:
    """Exit with code 1 and one line, `then` at its end, when a signal interrupts the command."""
    from mlproject.system.interrupts import Interrupted, ignore_signals

    try:
        yield
    except Interrupted as error:
        ignore_signals()
        print(f"{error}{then}", file=sys.stderr)
        sys.exit(1)


def print_undelivered(problem: str | None) -> None:
    """Print how to deliver what the tracking store lacks, if a problem kept it from the store."""
    if problem:
        print(
            f"the tracking store lacks something ('{problem}'): when it is back, "
            "run `python -m mlproject sync`",
            file=sys.stderr,
        )
