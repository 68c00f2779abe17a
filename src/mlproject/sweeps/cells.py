"""The cells of a plan, in order, each with its hashes and its cost."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mlproject.architectures import arch_name, make_spec, printed_name, protocol_name
from mlproject.data import load
from mlproject.fields import Group
from mlproject.network.tasks import check_task
from mlproject.parameters import field_info
from mlproject.spec import RunSpec, fields_of
from mlproject.sweeps.plan import FieldValues, Plan, expand
from mlproject.system.errors import UserError
from mlproject.system.interrupts import check_interrupts


class Cell(NamedTuple):
    """A planned run.

    Attributes:
        name: name of the run.
        options: fields of the spec that the plan sets.
        spec: the complete spec.
        spec_sha256: hash that identifies the cell.
        train_sha256: hash without the interpretation.
        dataset_sha256: hash of the data.
        cost: multiply-adds of the training, all epochs.
        trial: number of Optuna's trial, None in a grid.
    """

    name: str
    options: FieldValues
    spec: RunSpec
    spec_sha256: str
    train_sha256: str
    dataset_sha256: str
    cost: float
    trial: int | None = None


class DataFacts(NamedTuple):
    """Hash, sizes and task of a data set."""

    sha256: str
    length: int
    classes: int
    sequences: int
    task: str


class DataSets:
    """Facts of data sets; each is loaded once, and generated if it does not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._facts: dict[tuple[object, ...], DataFacts] = {}

    def facts(self, spec: RunSpec) -> DataFacts:
        """Return the facts of a spec's data set; raises the errors of `mlproject.data.load`."""
        key = tuple(getattr(spec, name) for name in fields_of(Group.DATA))
        if key not in self._facts:
            data = load(spec, self._folder)
            self._facts[key] = DataFacts(
                data.sha256, data.length, len(data.classes), len(data.train.codes), data.task
            )
        return self._facts[key]


def make_cell(options: FieldValues, data: DataSets, varied: Iterable[str] = ()) -> Cell:
    """Make a cell.

    Args:
        options: fields of the spec.
        data: facts of the data sets.
        varied: options to show in the name, besides `arch` and `seed`.

    Raises:
        UserError: the spec is not valid, or does not fit its data.
    """
    spec = make_spec(options)
    facts = data.facts(spec)
    check_task(spec, facts.task, facts.classes)
    kernels = spec.kernels(facts.length, facts.classes)
    forward = sum(kernel.multiply_adds for kernel in kernels)
    return Cell(
        _name(spec, options, varied),
        options,
        spec,
        spec.spec_sha256(facts.sha256),
        spec.train_sha256(facts.sha256),
        facts.sha256,
        forward * facts.sequences * spec.all_epochs * 3,
    )


def _name(spec: RunSpec, options: FieldValues, varied: Iterable[str]) -> str:
    """Return the name of a run: the network, the varied options, the seed."""
    shown = [name for name in varied if name not in ("arch", "seed")]
    arch = arch_name(spec)
    if arch.endswith(f", {spec.activation}"):
        shown = [name for name in shown if name != "activation"]
    if arch == "custom":
        arch = str(options.get("arch", ""))
        if arch:
            shown += [name for name in options if _of_network(name) and name not in shown]
    values = {"protocol": protocol_name(spec), **spec.columns()}
    parts = [f"{name}={_short(values[name])}" for name in shown if name in options]
    label = printed_name(arch) if arch else "" if parts else "custom"
    return " · ".join([*([label] if label else []), *parts, f"seed {spec.seed}"])


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def plan_cells(plan: Plan, data: DataSets) -> list[Cell]:
    """Return the cells of a grid in the order in which they run.

    The cells of one seed come before those of the next. Within a seed expensive cells come first,
    so that the workers finish at about the same time.

    Raises:
        UserError: a cell does not fit its data.
    """
    varied = dict.fromkeys([*plan.axes, *(name for row in plan.cells for name in row), "fold"])
    cells: dict[str, Cell] = {}
    for options, _ in expand(plan):
        check_interrupts()
        try:
            cell = make_cell(options, data, varied)
        except UserError as error:
            named = ", ".join(f"{name}={options[name]}" for name in varied if name in options)
            raise UserError(f"plan {plan.name}, cell {named}: {error}") from error
        cells.setdefault(cell.spec_sha256, cell)
    seeds = {
        seed: rank for rank, seed in enumerate(dict.fromkeys(c.spec.seed for c in cells.values()))
    }
    return sorted(cells.values(), key=lambda cell: (seeds[cell.spec.seed], -cell.cost))


class Seconds(NamedTuple):
    """The time of a finished cell: of its training, and of all the rest, seconds."""

    train: float
    rest: float


def seconds_of(cells: Iterable[Cell], known: Mapping[str, Seconds]) -> dict[str, float]:
    """Estimate the seconds of cells from those of finished cells.

    Args:
        cells: all cells, the finished ones included.
        known: times of finished cells by `spec_sha256`.

    Returns:
        Seconds by `spec_sha256`: the mean of the cells that differ in the seed only; else a
        training in proportion to the cost, and the mean of all the rest. Empty if no cell is
        finished.
    """
    cells = list(cells)
    shapes: dict[RunSpec, list[float]] = {}
    rates, rest = [], []
    for cell in cells:
        if (seconds := known.get(cell.spec_sha256)) is not None:
            shapes.setdefault(_shape(cell), []).append(seconds.train + seconds.rest)
            rates.append(seconds.train / cell.cost if cell.cost else 0.0)
            rest.append(seconds.rest)
    if not rates:
        return {}
    rate, constant = sum(rates) / len(rates), sum(rest) / len(rest)
    return {
        cell.spec_sha256: (
            sum(shapes[_shape(cell)]) / len(shapes[_shape(cell)])
            if _shape(cell) in shapes
            else rate * cell.cost + constant
        )
        for cell in cells
    }


def _shape(cell: Cell) -> RunSpec:
    return cell.spec.model_copy(update={"seed": 0})


def _of_network(name: str) -> bool:
    info = field_info(name)
    return info is not None and info.group is Group.NETWORK
