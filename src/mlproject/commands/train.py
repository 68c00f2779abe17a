"""``python -m mlproject train``: one run of one network."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlproject.commands.options import (
    BACKEND,
    EXPERIMENT,
    JSON,
    NO_CHECK,
    QUIET,
    REGISTER,
    THREADS,
    TRUST,
    exit_if_interrupted,
    experiment_of,
    print_undelivered,
)
from mlproject.parameters import default_of, field_info, field_names, parse_value
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest
from mlproject.system.startup import prepare_keras
from mlproject.system.variables import RUN_ID

if TYPE_CHECKING:
    from mlproject.run.context import RunResult

INPUTS = ("arch", "protocol")
FLAGS = (
    "resume",
    "experiment",
    "name",
    "backend",
    "threads",
    "quiet",
    "json",
    "no-check",
    "trust",
    "register",
)


class _TrainCommand(click.Command):
    """A command whose help lists the fields of the spec."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"\n{_field_help()}\n")


def _field_help() -> str:
    from mlproject.architectures import ARCHITECTURES, PROTOCOLS, make_spec

    default = make_spec({}).flat()
    rows: list[tuple[str, str, object]] = [
        ("--arch", f"a network of the paper: {', '.join(ARCHITECTURES)}", "CNN-25"),
        ("--protocol", f"how to train: {' or '.join(PROTOCOLS)}", "released"),
    ]
    for name in field_names():
        info = field_info(name)
        rows.append((f"--{name}", info.description if info else "", default.get(name, "")))
    lines = [f"  {name:<16} {about} [{value}]" for name, about, value in rows]
    return "Fields of the spec, [default] (blocks 4 and on likewise):\n\n" + "\n".join(lines)


@click.command(
    cls=_TrainCommand,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.option("--resume", metavar="RUN_ID", help="go on from an interrupted run")
@EXPERIMENT
@click.option("--name", help="name of the run in MLflow")
@BACKEND
@THREADS
@QUIET
@JSON
@NO_CHECK
@TRUST
@REGISTER
@click.pass_context
def train(
    context: click.Context,
    resume: str | None,
    experiment: str | None,
    name: str | None,
    backend: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
    no_check: bool,
    trust: bool,
    register: str,
) -> None:
    """Train one network, read its filters, record everything in MLflow.

    `mlflow run . -P pool1=25` is `train --pool1 25`.
    """
    from mlproject.architectures import make_spec

    if trust and not resume:
        raise UserError("`--trust` is for `--resume`: it runs the model's file that a run has kept")
    launched = bool(os.environ.get(RUN_ID))  # the run that is adopted leaves the environment
    options = spec_options(context.args)
    spec = make_spec(options) if not resume else None
    prepare_keras(backend, threads)
    from mlproject import store
    from mlproject.network.vouching import ensure_checked
    from mlproject.run.context import Settings
    from mlproject.run.resuming import complete, find_previous
    from mlproject.run.run import run

    if register:
        store.check_registry(store.connect(), register)
    if resume and (completed := complete(resume)):
        print_result(completed, quiet, as_json)
        return
    previous = find_previous(resume, trusted=trust) if resume else None
    if previous:
        check_resumed(previous.run_id, previous.spec, options)
        spec = previous.spec
        experiment = experiment or _experiment_of_run(previous.run_id)
    assert spec is not None
    experiment = experiment_of(experiment, Path(spec.dataset).stem)
    ensure_checked(Path(), check=not no_check)
    with exit_if_interrupted():
        settings = Settings(experiment=experiment, name=name, quiet=quiet or as_json)
        result = run(spec, settings, previous)
    if register and not result.undelivered:
        version = store.register(store.connect(), result.run_id, register)
        print(f"registered: models:/{register}/{version}", file=sys.stderr)
    print_result(result, quiet, as_json, launched)


def spec_options(arguments: list[str]) -> dict[str, str]:
    """Return the ``--name value`` and ``--name=value`` pairs of the spec's fields.

    Raises:
        UserError: no option, an unknown field, no value, or a field that is given twice.
    """
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        option = rest.pop(0)
        name, equals, value = option.removeprefix("--").partition("=")
        name = name.replace("-", "_")
        if not option.startswith("--"):
            raise UserError(f"options are written `--name value`: got {option!r}")
        if field_info(name) is None and name not in INPUTS:
            hint = nearest(name, [*field_names(), *INPUTS, *FLAGS])
            raise UserError(f"unknown parameter `{name}`: {hint}")
        if not equals:
            if not rest:
                raise UserError(f"`--{name}` needs a value")
            value = rest.pop(0)
        if name in options:
            raise UserError(f"`--{name}` is given twice: {options[name]} and {value}")
        options[name] = value
    return options


def check_resumed(run_id: str, recorded: RunSpec, options: Mapping[str, str]) -> None:
    """Check the options that a user gives together with ``--resume``.

    Raises:
        UserError: one differs from the recorded spec; the message has both values.
    """
    from mlproject.architectures import preset_names

    known = recorded.flat() | preset_names(recorded)
    changed = []
    for name, text in options.items():
        value = text if name in INPUTS else parse_value(name, text)
        before = known.get(name, default_of(name))
        if value != before:
            changed.append(f"{name}={value} (the run has {before})")
    if changed:
        raise UserError(
            f"`resume` goes on with the spec of run {run_id}: got {', '.join(changed)}; leave "
            "these out, or start a new run"
        )


def _experiment_of_run(run_id: str) -> str | None:
    """Return the name of a run's experiment; None if ``mlflow run`` has made another run."""
    from mlproject.store import connect

    if os.environ.get(RUN_ID):
        return None
    store = connect()
    return str(store.client.get_experiment(store.run(run_id).info.experiment_id).name)


def print_result(
    result: "RunResult", quiet: bool = False, as_json: bool = False, launched: bool = False
) -> None:
    """Print what a person wants to know of a finished run, one line, or a JSON object.

    Args:
        result: the run.
        quiet: only the run's id and its test scores.
        as_json: an object with the fields of `RunResult`.
        launched: whether ``mlflow run`` has made the run.
    """
    from mlproject.run.outcome import headline, learned_nothing

    print_undelivered(result.undelivered)
    if as_json:
        print(json.dumps(result._asdict(), allow_nan=False))
        return
    print(f"run {result.run_id}: {headline(result.metrics)}")
    if quiet or not result.name:
        return
    for line in result.lines:
        if line.startswith("Found:") or " filters match " in line:
            print(line)
    if result.card:
        print(f"card: {result.card}")
    print(f"in the UI: {result.url} (`make ui` starts it)")
    print(f"all runs: {result.runs_url}")
    if not learned_nothing(result.metrics):
        print(f"next: python -m mlproject interpret {result.run_id[:8]} --method deeplift,ism")
    if launched and "/experiments/0/" in result.url:
        print(
            "note: `mlflow run` put this run into the experiment Default; with --experiment-name "
            "NAME it makes another",
            file=sys.stderr,
        )
