"""The command line: it parses, calls, and prints errors on one line.

Exit codes: 0 done, 2 the user has to change something, 1 anything else. Heavy imports wait until a
command needs them, so that ``--help`` is quick.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlproject.commands.dataset import dataset
from mlproject.spec import ATTRIBUTIONS, MODISCO, field_info, field_names, parse_methods
from mlproject.system.environment import BACKENDS
from mlproject.system.errors import UserError, nearest
from mlproject.system.masking import mask
from mlproject.system.startup import prepare_keras
from mlproject.system.streams import lasting_streams
from mlproject.system.variables import MOST_THREADS, draw_to_files, take_run_id

if TYPE_CHECKING:
    from mlproject.run.run import RunResult

INPUTS = ("arch", "protocol")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mlproject", message="%(version)s")
def cli() -> None:
    """Train CNNs on DNA, read their filters as motifs, and match these with JASPAR."""


cli.add_command(dataset)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    draw_to_files()
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


def _fail(message: str) -> None:
    message = mask(" ".join(message.split()))
    _end_adopted_run(message)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _end_adopted_run(reason: str) -> None:
    """Write the reason to the run that ``mlflow run`` has made, if it was not taken over yet."""
    if run_id := take_run_id():
        from mlproject.store import STORE_ERRORS, connect

        with suppress(UserError, *STORE_ERRORS):
            connect().fail(run_id, reason)


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
    return "Fields of the spec, [default] (blocks 4 and on likewise):\n\n\b\n" + "\n".join(lines)


class _TrainCommand(click.Command):
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write("\n" + _field_help().replace("\b\n", "") + "\n")


@cli.command(
    cls=_TrainCommand,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.option("--resume", metavar="RUN_ID", help="go on from an interrupted run")
@click.option("--experiment", help="MLflow experiment [Default, or as MLFLOW_EXPERIMENT_NAME says]")
@click.option("--name", help="name of the run in MLflow")
@click.option("--backend", type=click.Choice(BACKENDS), help="Keras backend [KERAS_BACKEND, jax]")
@click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), help="processor cores to use [all]"
)
@click.option("--quiet", is_flag=True, help="show no progress")
@click.pass_context
def train(
    context: click.Context,
    resume: str | None,
    experiment: str | None,
    name: str | None,
    backend: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Train one network, read its filters, record everything in MLflow.

    `mlflow run . -P pool1=25` is `train --pool1 25`.
    """
    from mlproject.architectures import make_spec

    options = _spec_options(context.args)
    spec = make_spec(options) if options or not resume else None
    prepare_keras(backend, threads)
    from mlproject.run.run import complete, find_previous, run
    from mlproject.run.stages import Settings
    from mlproject.system.interrupts import Interrupted, ignore_signals

    if resume and (done := complete(resume)):
        _tell_run(done)
        return
    previous = find_previous(resume) if resume else None
    if previous and spec and spec != previous.spec:
        changed = [
            key for key, value in spec.flat().items() if previous.spec.flat().get(key) != value
        ]
        raise UserError(
            f"`resume` goes on with the spec of run {resume}: got another {', '.join(changed)}; "
            "leave the other parameters out"
        )
    wanted = previous.spec if previous else spec
    assert wanted is not None
    settings = Settings(experiment=experiment, name=name, quiet=quiet)
    try:
        done = run(wanted, settings, previous)
    except Interrupted as error:
        ignore_signals()
        print(error, file=sys.stderr)
        sys.exit(1)
    _tell_run(done)


def _tell_run(done: "RunResult") -> None:
    """Print what the store lacks, and how good the network of a finished run is."""
    _tell_undelivered(done.undelivered)
    names = {"AUROC": "test_auroc", "AUPR": "test_aupr", "AP": "test_ap"}
    found = [
        f"{label} {done.metrics[name]:.4f}" for label, name in names.items() if name in done.metrics
    ]
    print(f"run {done.run_id}: test {', '.join(found) or 'areas are not defined'}")


def _tell_undelivered(problem: str | None) -> None:
    if problem:
        print(
            f"the tracking store lacks something ('{problem}'): when it is back, "
            "run `python -m mlproject sync`",
            file=sys.stderr,
        )


def _spec_options(arguments: list[str]) -> dict[str, str]:
    """Read ``--name value`` and ``--name=value`` pairs of the spec's fields."""
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        option = rest.pop(0)
        name, equals, value = option.removeprefix("--").partition("=")
        if not option.startswith("--"):
            raise UserError(f"options are written `--name value`: got {option!r}")
        if field_info(name) is None and name not in INPUTS:
            flags = ("resume", "experiment", "name", "backend", "threads", "quiet")
            hint = nearest(name, [*field_names(), *INPUTS, *flags])
            raise UserError(f"unknown parameter `{name}`: {hint}")
        if not equals:
            if not rest:
                raise UserError(f"`--{name}` needs a value")
            value = rest.pop(0)
        if name in options:
            raise UserError(f"`--{name}` is given twice: {options[name]} and {value}")
        options[name] = value
    return options


@cli.command()
@click.argument("run")
@click.option(
    "--method", default="deeplift", show_default=True,
    help=f"ways to attribute, comma-separated: {', '.join(ATTRIBUTIONS)}; and {MODISCO} after one",
)  # fmt: skip
@click.option(
    "--sequences", type=click.IntRange(1),
    help="the first so many test sequences [300; with --above all]",
)  # fmt: skip
@click.option(
    "--above", type=click.FloatRange(0, 1),
    help="for the classes that the network gives more than this [those of the labels]",
)  # fmt: skip
@click.option("--classes", default="", help="for these classes only, comma-separated [all]")
@click.option(
    "--dataset", "data", type=click.Path(path_type=Path), help="where the run's data set is now"
)
@click.option("--backend", type=click.Choice(BACKENDS), help="Keras backend [KERAS_BACKEND, jax]")
@click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), help="processor cores to use [all]"
)
@click.option("--quiet", is_flag=True, help="show no progress")
def interpret(
    run: str,
    method: str,
    sequences: int | None,
    above: float | None,
    classes: str,
    data: Path | None,
    backend: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Ask a finished RUN which letters its answers rest on, and add that to the run.

    Scores each method against the planted positions where they are known.
    """
    parse_methods(method)
    prepare_keras(backend, threads)
    from mlproject.commands.interpret import interpret as do
    from mlproject.run.attributions import Choice
    from mlproject.system.interrupts import Interrupted, ignore_signals

    count = sequences or (300 if above is None else None)
    names = tuple(name.strip() for name in classes.split(",") if name.strip())
    try:
        done = do(run, method, Choice(count, above, names), data, quiet=quiet)
    except Interrupted as error:
        ignore_signals()
        print(f"{error}; what was done before is recorded", file=sys.stderr)
        sys.exit(1)
    _tell_undelivered(done.undelivered)
    areas = [
        f"{name.partition('/')[0]} {value:.4f}"
        for name, value in done.metrics.items()
        if name.endswith(("/auroc", "/coverage"))
    ]
    print(f"run {run}: {', '.join(areas) or 'recorded'}")


@cli.command()
@click.argument("runs", nargs=-1, required=True)
@click.option(
    "--method", show_default=True,
    default="saliency,gradient_x_input,integrated_gradients,deeplift,ism",
    help="ways to attribute, comma-separated, a row each",
)  # fmt: skip
@click.option(
    "--sequence", type=click.IntRange(0),
    help="row of the test split [the first with three planted motifs close to each other]",
)  # fmt: skip
@click.option("--region", metavar="FROM-TO", help="nt to show, from 1 [around the planted motifs]")
@click.option(
    "--out", default="tracks.png", show_default=True, type=click.Path(path_type=Path),
    help="PNG or PDF file",
)  # fmt: skip
@click.option("--backend", type=click.Choice(BACKENDS), help="Keras backend [KERAS_BACKEND, jax]")
@click.option(
    "--threads", type=click.IntRange(1, MOST_THREADS), help="processor cores to use [all]"
)
def tracks(
    runs: tuple[str, ...],
    method: str,
    sequence: int | None,
    region: str | None,
    out: Path,
    backend: str | None,
    threads: int | None,
) -> None:
    """Draw one test sequence under several methods, finished RUNS side by side."""
    parse_methods(method)
    span = None
    if region:
        first, dash, last = region.partition("-")
        if not (dash and first.isdigit() and last.isdigit() and int(first)):
            raise UserError(f"`--region` is written FROM-TO, such as 21-90: got {region!r}")
        span = int(first) - 1, int(last)
    prepare_keras(backend, threads)
    from mlproject.commands.tracks import make_tracks

    found = make_tracks(runs, method, out, sequence, span)
    print(f"{out}: test sequence {found}")


@cli.command()
@click.argument("query", type=click.Path(path_type=Path))
@click.option(
    "--targets", type=click.Path(path_type=Path), help="MEME file [JASPAR 2016 vertebrates]"
)
@click.option("--evalue", default=0.1, show_default=True, type=float, help="largest E-value")
@click.option("--out", type=click.Path(path_type=Path), help="file to write [standard output]")
def match(query: Path, targets: Path | None, evalue: float, out: Path | None) -> None:
    """Match the motifs of a MEME file, as MEME Suite's Tomtom does, and print its table."""
    from mlproject.motifs.tomtom import match_files
    from mlproject.system.files import atomic_file

    table = match_files(query, targets, evalue)
    if out is None:
        print(table, end="")
    else:
        with atomic_file(out) as file:
            file.write(table.encode())


@cli.command()
@click.option("--dataset", "file", default="synthetic", show_default=True, help="or an HDF5 file")
@click.option("--sequences", default=25_000, show_default=True, type=int, help="synthetic data")
@click.option("--length", default=200, show_default=True, type=int, help="synthetic data: nt")
@click.option("--data_seed", default=0, show_default=True, type=click.IntRange(0))
def baseline(file: str, sequences: int, length: int, data_seed: int) -> None:
    """Scan the test sequences for the classes' known motifs: what needs no network.

    A class scores a sequence by the best place of its motifs on either strand.
    """
    from mlproject.architectures import make_spec
    from mlproject.data import load
    from mlproject.run.baseline import cached_pwm_scan, format_baseline

    options: dict[str, object] = {"dataset": file}
    if file == "synthetic":
        options |= {"sequences": sequences, "length": length, "data_seed": data_seed}
    data = load(make_spec(options), Path("data"))
    print(format_baseline(cached_pwm_scan(data, Path("data"))))


@cli.command()
@click.option("--experiment", multiple=True, help="MLflow experiment, may be repeated [all]")
@click.option("--where", default="", help='runs to take: "pool1 >= 10 and arch != CNN-25"')
@click.option("--rows", help="a table of your own: what makes a row, such as arch")
@click.option("--columns", help="its columns, such as test_auroc,conv1/match_relevant")
@click.option("--networks", help="networks to show side by side, such as CNN-2,CNN-25")
@click.option(
    "--out", default="report", show_default=True, type=click.Path(path_type=Path), help="folder"
)
@click.option("--ui", default="", help="address of the MLflow UI, for links")
@click.option("--figures/--no-figures", default=True, help="draw figures [yes]")
@click.option("--record/--no-record", default=True, help="keep it in MLflow as a run [yes]")
@click.option(
    "--reproduction",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="write FOLDER/README.md about the runs that `export` wrote there, and nothing else",
)
def report(
    experiment: tuple[str, ...],
    where: str,
    rows: str | None,
    columns: str | None,
    networks: str | None,
    out: Path,
    ui: str,
    figures: bool,
    record: bool,
    reproduction: Path | None,
) -> None:
    """Make tables and figures of the recorded runs, beside the paper's, and a page to browse.

    Writes OUT/report.html, OUT/README.md, OUT/tables and OUT/figures. All runs are read from the
    tracking server.
    """
    if reproduction:
        from mlproject.report.reproduction import make_reproduction

        files = make_reproduction(reproduction)
        print(f"{len(files)} files: {files[0]}")
        return
    if bool(rows) != bool(columns):
        raise UserError("`--rows` and `--columns` go together: give both, or neither")
    from mlproject.commands.report import make_report
    from mlproject.report.content import Wish

    def listed(text: str | None) -> tuple[str, ...]:
        return tuple(part.strip() for part in (text or "").split(",") if part.strip())

    wish = Wish(experiment, where, listed(rows), listed(columns), listed(networks), figures, ui)
    made = make_report(wish, out, record)
    if rows:
        print(made.report.tables[0].markdown())
    for line in made.report.unreadable:
        print(line, file=sys.stderr)
    for line in made.report.summary:
        print(line)
    print(f"{len(made.files)} files: {out / 'report.html'}")


@cli.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(1), help="processes on this machine [one a core]")
@click.option("--scheduler", metavar="ADDRESS", help="a running Dask cluster, tcp://host:8786")
@click.option(
    "--resources", metavar="NAME=N", multiple=True, help="what a cell takes of a worker: GPU=1"
)
@click.option(
    "--retries", default=1, show_default=True, type=click.IntRange(0), help="of a failed cell"
)
@click.option("--experiment", help="MLflow experiment [Default, or as MLFLOW_EXPERIMENT_NAME says]")
@click.option("--backend", type=click.Choice(BACKENDS), help="Keras backend [KERAS_BACKEND, jax]")
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(1, MOST_THREADS),
    help="of each process",
)
@click.option("--dry-run", is_flag=True, help="show the cells, what is done and how long it takes")
@click.option("--quiet", is_flag=True, help="show no progress")
def sweep(
    plan: Path,
    workers: int | None,
    scheduler: str | None,
    resources: tuple[str, ...],
    retries: int,
    experiment: str | None,
    backend: str | None,
    threads: int,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Run the cells of a PLAN, or search with Optuna; start it again to go on.

    Exit code 0: all cells are done.
    """
    from mlproject.commands.sweep import Options, do

    amounts = _amounts(resources)
    options = Options(
        Path.cwd(), experiment, workers, scheduler, amounts, retries, backend, threads, quiet
    )
    sys.exit(0 if do(plan, options, dry_run) else 1)


def _amounts(texts: tuple[str, ...]) -> dict[str, float]:
    try:
        return {name: float(value) for name, _, value in (text.partition("=") for text in texts)}
    except ValueError as error:
        raise UserError(f"`--resources` is written NAME=N: got {' '.join(texts)}") from error


@cli.command()
@click.option("--experiment", multiple=True, help="MLflow experiment, may be repeated [all]")
@click.option("--where", default="", help='runs to take: "pool1 >= 10 and arch != CNN-25"')
@click.option(
    "--out",
    default="docs/reproduction",
    show_default=True,
    type=click.Path(path_type=Path),
    help="folder",
)
@click.option("--weights", is_flag=True, help="also the trained weights, 0.7 MB a run and more")
def export(experiment: tuple[str, ...], where: str, out: Path, weights: bool) -> None:
    """Write finished runs as small folders of text, for a repository or another machine.

    OUT/runs.csv lists them; `import` makes runs of them. What is in OUT stays.
    """
    from mlproject.store import connect
    from mlproject.store.exchange.exporting import export as export_runs

    done = export_runs(connect(), out, list(experiment) or None, where, weights)
    for line in done.left_out:
        print(f"too large, or no name for a file, left out: {line}", file=sys.stderr)
    for line in done.unreadable:
        print(line, file=sys.stderr)
    kept = f", {len(done.kept)} kept of another run of the same spec" if done.kept else ""
    print(
        f"{len(done.added)} runs added, {len(done.updated)} updated, "
        f"{len(done.same)} unchanged{kept}: {done.table}"
    )


@cli.command(name="import")
@click.option(
    "--from",
    "source",
    default="docs/reproduction",
    show_default=True,
    type=click.Path(path_type=Path),
    help="folder that `export` wrote",
)
@click.option("--experiment", help="MLflow experiment [Default, or as MLFLOW_EXPERIMENT_NAME says]")
def import_command(source: Path, experiment: str | None) -> None:
    """Make finished runs of what `export` wrote; sweeps and reports take them as runs."""
    from mlproject.store import connect
    from mlproject.store.exchange.importing import import_runs
    from mlproject.system.interrupts import Interrupted, ignore_signals

    try:
        done = import_runs(connect(), source, experiment)
    except Interrupted as error:
        ignore_signals()
        print(error, file=sys.stderr)
        sys.exit(1)
    completed = f"{len(done.completed)} completed, " if done.completed else ""
    print(f"{len(done.added)} runs imported, {completed}{done.present} were there")


@cli.command()
def sync() -> None:
    """Deliver what earlier runs have recorded and the tracking store does not have yet."""
    from mlproject.store import connect
    from mlproject.store import sync as deliver_all

    done = deliver_all(Path("runs"), connect())
    print(f"{len(done.runs)} runs brought up to date, {len(done.failed)} still lack something")
    for run_id, note in done.notes.items():
        print(f"note: {run_id}: {note}", file=sys.stderr)
    for run_id, reason in done.failed.items():
        print(f"{run_id}: {reason}", file=sys.stderr)
    sys.exit(1 if done.failed else 0)


@cli.command()
def check() -> None:
    """Say whether the tracking store can be used; `make run` asks before it starts."""
    from mlproject.store import connect

    connect()
