"""The command line: it collects the commands, and prints each error on one line.

Exit codes: 0 done, 2 the user has to change something, 1 anything else. A command imports heavy
libraries when it runs, so that ``--help`` is quick.
"""

import os
import sys
from contextlib import suppress

import click

from mlproject.commands.atlas import atlas
from mlproject.commands.baseline import baseline
from mlproject.commands.check import check
from mlproject.commands.compare import compare
from mlproject.commands.dataset import dataset
from mlproject.commands.doctor import doctor
from mlproject.commands.embed import embed
from mlproject.commands.export import export
from mlproject.commands.import_runs import import_runs
from mlproject.commands.interpret import interpret
from mlproject.commands.match import match
from mlproject.commands.options import CONTEXT
from mlproject.commands.pool import pool
from mlproject.commands.predict import predict
from mlproject.commands.report import report
from mlproject.commands.sweep import sweep
from mlproject.commands.sync import sync
from mlproject.commands.tracks import tracks
from mlproject.commands.train import train
from mlproject.commands.variants import variants
from mlproject.system.errors import UserError
from mlproject.system.masking import mask
from mlproject.system.startup import default_backend
from mlproject.system.streams import lasting_streams
from mlproject.system.variables import draw_to_files, take_run_id

COMMANDS = (
    *(atlas, baseline, check, compare, dataset, doctor, embed, export, import_runs, interpret),
    *(match, pool, predict, report, sweep, sync, tracks, train, variants),
)
STORE_ERROR_NAMES = {"mlflow.exceptions.MlflowException", "sqlalchemy.exc.SQLAlchemyError"}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="mlproject", message="%(version)s")
def cli() -> None:
    """Train CNNs on DNA, read their filters as motifs, and match these with JASPAR."""


for command in COMMANDS:
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    draw_to_files()
    os.environ.setdefault("KERAS_BACKEND", default_backend())  # Keras' own default is TensorFlow
    try:
        with lasting_streams():
            _run(arguments)
    except BrokenPipeError:
        sys.exit(1)
    except UserError as error:
        with lasting_streams():
            print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _run(arguments: list[str] | None) -> None:
    try:
        cli.main(arguments, prog_name="mlproject", standalone_mode=False)
    except click.exceptions.Exit as error:
        if error.exit_code:
            sys.exit(error.exit_code)
    except click.UsageError as error:
        _fail(error.format_message().replace("\n", " "))
    except UserError as error:
        _fail(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}")
    except MemoryError as error:
        _fail(f"what this command does must fit into memory: {error or 'there is no more'}")
    except (click.Abort, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        if not _is_of_store(error):
            raise
        from mlproject.store.address import store_address
        from mlproject.store.errors import unwritable

        _fail(str(unwritable(store_address(), error)))


def _is_of_store(error: Exception) -> bool:
    """Return whether a tracking store failed that had answered before; imports nothing for it."""
    names = {f"{one.__module__}.{one.__name__}" for one in type(error).__mro__}
    ours = getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE"  # a mistake of the code
    return bool(names & STORE_ERROR_NAMES) and not ours


def _fail(message: str) -> None:
    message = mask(" ".join(message.split()))
    _end_adopted_run(message)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _end_adopted_run(reason: str) -> None:
    """Record the reason in the run that ``mlflow run`` made, if no command has adopted it."""
    if run_id := take_run_id():
        from mlproject.store import STORE_ERRORS, connect

        with suppress(UserError, *STORE_ERRORS):
            connect().fail(run_id, reason)
