"""``--dry-run``: the cells, those that are done, and the time and disk space of the others."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dask.system import CPU_COUNT
from rich.console import Console
from rich.table import Table

from mlproject.fields import BLOCKS
from mlproject.names import Metric, Tag
from mlproject.spec import RunSpec
from mlproject.store import STORE_ERRORS, Store, find_store
from mlproject.sweeps.cells import Cell, DataSets, Seconds, make_cell, plan_cells, seconds_of
from mlproject.sweeps.display import duration
from mlproject.sweeps.options import SweepOptions
from mlproject.sweeps.plan import FieldValues, Plan
from mlproject.sweeps.plan_file import read_plan
from mlproject.sweeps.ranges import Range
from mlproject.sweeps.run_state import finished_runs
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity

SAMPLE = 3


def dry_run(path: Path, options: SweepOptions) -> None:
    """Print the cells of a plan and the estimates, without a run.

    Raises:
        UserError: the plan, the data, a model or the store cannot be used.
    """
    plan = read_plan(path)
    workers = options.workers or CPU_COUNT
    store = find_store()
    data = DataSets(options.home / "data")
    experiment_id = store.find_experiment(options.experiment) if store else None
    runs = options.home / "runs"
    known = finished_runs(store, experiment_id, runs) if store and experiment_id else {}
    if plan.search is not None:
        _show_search(plan, data, known, workers, options)
        return
    cells = plan_cells(plan, data)
    _check_models(plan, cells, data, options)
    done = {
        cell.spec_sha256: known[cell.spec_sha256] for cell in cells if cell.spec_sha256 in known
    }
    times = {key: _seconds(run) for key, run in done.items()}
    seconds = seconds_of(cells, {key: value for key, value in times.items() if value})
    table = Table(box=None, header_style="bold")
    for name in ("", "cell", "spec", "state", "estimate"):
        table.add_column(name, justify="right" if name in ("", "estimate") else "left")
    for number, cell in enumerate(cells, 1):
        state = (
            f"done, run {done[cell.spec_sha256].info.run_id[:8]}"
            if cell.spec_sha256 in done
            else ""
        )
        timed = cell.spec_sha256 in seconds
        needs = "" if state else duration(seconds[cell.spec_sha256]) if timed else "?"
        table.add_row(str(number), cell.name, cell.spec_sha256[:12], state, needs)
    console = Console(width=None if Console().is_terminal else 120)
    console.print(table, highlight=False)
    left = [cell for cell in cells if cell.spec_sha256 not in done]
    console.print(
        _totals(left, len(done), seconds, list(done.values()), store, workers), highlight=False
    )


def _check_models(plan: Plan, cells: Iterable[Cell], data: DataSets, options: SweepOptions) -> None:
    """Build each model of a function once, as a run does before it begins.

    Raises:
        UserError: a model cannot be built or trained.
    """
    models: dict[tuple[object, ...], Cell] = {}
    for cell in cells:
        spec = cell.spec
        if spec.model != BLOCKS:
            named = spec.model, spec.model_args, spec.layers
            models.setdefault((*named, *_shape(spec, data)), cell)
    if not models:
        return
    from mlproject.system.startup import prepare_keras

    prepare_keras(options.backend)
    from mlproject.run.checks import check_model

    for cell in models.values():
        try:
            check_model(cell.spec, *_shape(cell.spec, data))
        except UserError as error:
            raise UserError(f"plan {plan.name}, cell {cell.name}: {error}") from error


def _shape(spec: RunSpec, data: DataSets) -> tuple[int, int, str]:
    facts = data.facts(spec)
    return facts.length, facts.classes, facts.task


def _seconds(run: Any) -> Seconds | None:
    """Return the time of a run, None if it did not record it."""
    values = run.data.metrics
    if Metric.TIME_TOTAL not in values:
        return None
    train = values.get(Metric.TIME_TRAIN, values[Metric.TIME_TOTAL])
    return Seconds(train, max(values[Metric.TIME_TOTAL] - train, 0.0))


def _totals(
    left: list[Cell],
    done: int,
    seconds: dict[str, float],
    runs: list[Any],
    store: Store | None,
    workers: int,
) -> str:
    line = f"{quantity(len(left) + done, 'cell')}, {done} done, {len(left)} to do"
    if not left:
        return line
    if not seconds:
        return f"{line}; time and disk can be estimated once a cell is finished"
    total = sum(seconds[cell.spec_sha256] for cell in left) / workers
    size = _bytes(runs, store) * len(left) / 1e6
    line += f": about {duration(total)} with {quantity(workers, 'worker')}"
    return f"{line}, {size:,.0f} MB of artifacts"


def _bytes(runs: list[Any], store: Store | None) -> float:
    """Return the mean size of a few runs, bytes."""
    if store is None:
        return 0.0
    sizes = []
    for run in runs[:SAMPLE]:
        try:
            sizes.append(store.bytes_of(run))
        except STORE_ERRORS:
            continue
    return sum(sizes) / len(sizes) if sizes else 0.0


def _show_search(
    plan: Plan, data: DataSets, known: dict[str, Any], workers: int, options: SweepOptions
) -> None:
    from mlproject.sweeps.space import make_space

    assert plan.search is not None
    space = make_space(plan, plan.search, data)
    axes = plan.search.space
    first = {
        name: axis.start if isinstance(axis, Range) else axis[0] for name, axis in axes.items()
    }
    named = axes.get("model")
    models: list[FieldValues] = (
        [{"model": one} for one in named] if isinstance(named, list) else [{}]
    )
    cells = [make_cell(plan.base | first | space.base | model, data) for model in models]
    _check_models(plan, cells, data, options)
    console = Console()
    for name, distribution in space.distributions.items():
        console.print(f"{name}: {distribution}", highlight=False)
    for line in space.left_out:
        console.print(line, highlight=False)
    facts = data.facts(cells[0].spec)
    like = [
        run
        for run in known.values()
        if run.data.tags.get(Tag.DATASET_SHA256) == facts.sha256
        and Metric.TIME_TOTAL in run.data.metrics
    ]
    line = f"{quantity(plan.search.trials, 'trial')} at most"
    if like:
        mean = sum(run.data.metrics[Metric.TIME_TOTAL] for run in like) / len(like)
        total = duration(mean * plan.search.trials / workers)
        line += (
            f": about {total} with {quantity(workers, 'worker')}, if a trial takes as long as the "
            f"{quantity(len(like), 'finished run')} on this data"
        )
    console.print(line, highlight=False)
