"""``python -m mlproject train``: one run of one network."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlproject.commands.options import (
    BACKEND,
    EXPERIMENT,
    NO_CHECK,
    QUIET,
    THREADS,
    exit_if_interrupted,
    print_undelivered,
)
from mlproject.parameters import default_of, field_info, field_names, parse_value
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest
from mlproject.system.startup import prepare_keras

if TYPE_CHECKING:
    from mlproject.run.context import RunResult

INPUTS = ("arch", "protocol")
FLAGS = ("resume", "experiment", "name", "backend", "threads", "quiet", "no-check")


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
@NO_CHECK
@click.pass_context
def train(
    context: click.Context,
    resume: str | None,
    experiment: str | None,
    name: str | None,
    backend: str | None,
    threads: int | None,
    quiet: bool,
    no_check: bool,
) -> None:
    """Train one network, read its filters, record everything in MLflow.

    `mlflow run . -P pool1=25` is `train --pool1 25`.
    """
    from mlproject.architectures import make_spec

    options = spec_options(context.args)
    spec = make_spec(options) if not resume else None
    prepare_keras(backend, threads)
    from mlproject.network.vouching import ensure_checked
    from mlproject.run.context import Settings
    from mlproject.run.resuming import complete, find_previous
    from mlproject.run.run import run

    if resume and (completed := complete(resume)):
        _print_result(completed)
        return
    previous = find_previous(resume) if resume else None
    if previous:
        check_resumed(previous.run_id, previous.spec, options)
        spec = previous.spec
    assert spec is not None
    ensure_checked(Path(), check=not no_check)
    with exit_if_interrupted():
        result = run(spec, Settings(experiment=experiment, name=name, quiet=quiet), previous)
    _print_result(result)


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


def _print_result(result: "RunResult") -> None:
    """Print the test scores of a finished run, and what the tracking store lacks of it."""
    print_undelivered(result.undelivered)
    names = {"AUROC": "test_auroc", "AUPR": "test_aupr", "AP": "test_ap"}
    names |= {"accuracy": "test_accuracy", "Pearson": "test_pearson", "Spearman": "test_spearman"}
    names |= {"R²": "test_r2", "deviance": "test_deviance"}
    scores = [
        f"{label} {result.metrics[name]:.4f}"
        for label, name in names.items()
        if name in result.metrics
    ]
    print(f"run {result.run_id}: test {', '.join(scores) or 'areas are not defined'}")
