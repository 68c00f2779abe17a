"""A plan: the cells of a sweep, or the space and the objectives of a search."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import (
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
)

from mlproject.architectures import make_spec, preset_names
from mlproject.fields import MOST_FOLDS
from mlproject.parameters import field_info, parse_value
from mlproject.spec import RunSpec
from mlproject.sweeps.ranges import LARGEST, PlanPart, Range
from mlproject.system.errors import UserError

EPOCH_OBJECTIVES = (
    "val_loss", "val_cross_entropy", "val_auroc", "val_accuracy", "val_pearson", "val_spearman",
    "val_r2", "val_mse", "val_deviance",
)  # fmt: skip

Value = StrictInt | StrictFloat | StrictStr
FieldValues = dict[str, Value]

Axis = Annotated[
    Annotated[list[Value], Tag("list")] | Annotated[Range, Tag("Range")],
    Discriminator(lambda axis: "Range" if isinstance(axis, (dict, Range)) else "list"),
]
Direction = Literal["maximize", "minimize"]


class Search(PlanPart):
    """A search with Optuna: space, objectives and settings."""

    space: Annotated[dict[str, Axis], Field(min_length=1)]
    objectives: Annotated[dict[str, Direction], Field(min_length=1)]
    trials: Annotated[StrictInt, Field(ge=1, le=LARGEST)]
    sampler: str = "tpe"
    pruner: Literal["none", "median", "hyperband"] = "none"
    warmup: Annotated[StrictInt, Field(ge=0, le=LARGEST)] = 5
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] = 0
    storage: str | None = None


class Plan(PlanPart):
    """A sweep: the fields of the spec that all cells share, and those that vary.

    Attributes:
        name: name of the sweep's run and of the lock file; default the file's name.
        base: fields of the spec, `arch`, `protocol`.
        axes: values of fields; each combination is a cell.
        cells: further cells, each with its difference from the base.
        exclude: rows of values; a cell that has all values of a row is left out.
        search: a search with Optuna, instead of axes and cells.
        text: content of the file.
    """

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    base: dict[str, Value] = Field(default={})
    axes: dict[str, Axis] = Field(default={})
    cells: list[dict[str, Value]] = Field(default=[])
    exclude: list[dict[str, Value | list[Value]]] = Field(default=[])
    search: Search | None = None
    text: str = ""


def metric_of(objective: str) -> str:
    """Return the final metric of an objective; for an objective of each epoch, that of the best."""
    return f"best_{objective}" if objective in EPOCH_OBJECTIVES else objective


def count_cells(plan: Plan) -> int:
    """Return the number of cells of a grid before exclusions, by arithmetic: builds no cell."""
    axes = dict(plan.axes)
    folds = axes.pop("folds", None)
    chosen: FieldValues = {"fold": 1} if "fold" in axes else {}
    rows = [chosen] if folds is None else [{"folds": one, **chosen} for one in _values(folds)]
    grid = math.prod(map(count_values, axes.values())) * _cells_of(plan, rows) if plan.axes else 0
    return grid + _cells_of(plan, plan.cells) or _cells_of(plan, [{}])


def _cells_of(plan: Plan, rows: Sequence[FieldValues]) -> int:
    return sum(_count_folds({**plan.base, **row}) for row in rows)


def count_values(axis: Axis) -> int:
    """Return the number of values of an axis."""
    return axis.count if isinstance(axis, Range) else len(axis)


def expand(plan: Plan) -> Iterator[tuple[FieldValues, RunSpec]]:
    """Yield the options and the spec of each cell of a grid, in the plan's order, without repeats.

    Raises:
        UserError: the spec of a cell is not valid, or an exclusion matches no cell.
    """
    axes = {name: list(_values(axis)) for name, axis in plan.axes.items()}
    grid = (dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values()))
    rows: list[FieldValues] = [*(grid if axes else []), *plan.cells]
    rows = [each for row in rows or [{}] for each in _folds({**plan.base, **row}, row)]
    seen: set[RunSpec] = set()
    used = [False] * len(plan.exclude)
    for row in rows:
        options = {**plan.base, **row}
        try:
            spec = make_spec(options)
        except UserError as error:
            named = ", ".join(f"{key}={value}" for key, value in row.items()) or "base"
            raise UserError(f"cell {named}: {error}") from error
        have = _exclusion_values(spec) if plan.exclude else {}
        matches = [_matches((have, options), exclusion) for exclusion in plan.exclude]
        used = [one or two for one, two in zip(used, matches, strict=True)]
        if not any(matches) and spec not in seen:
            seen.add(spec)
            yield options, spec
    for exclusion, hit in zip(plan.exclude, used, strict=True):
        if not hit:
            raise UserError(f"`exclude` must name cells of the plan: {exclusion} is none of them")


def _folds(options: FieldValues, row: FieldValues) -> list[FieldValues]:
    """Return a row once for each fold, if it has `folds` and does not choose one."""
    count = _count_folds(options)
    return [row] if count == 1 else [{**row, "fold": fold} for fold in range(1, count + 1)]


def _count_folds(options: FieldValues) -> int:
    """Return the number of cells that options give; 1 if their folds are not valid."""
    try:
        folds = parse_value("folds", options.get("folds", 0))
    except UserError:
        return 1
    valid = isinstance(folds, int) and 1 <= folds <= MOST_FOLDS and "fold" not in options
    return int(folds) if valid else 1


def _values(axis: Axis) -> Sequence[Value]:
    return axis.values() if isinstance(axis, Range) else axis


def _exclusion_values(spec: RunSpec) -> dict[str, Value]:
    return {**preset_names(spec), **spec.columns()}


def _matches(
    known: Sequence[Mapping[str, Value]], exclusion: Mapping[str, Value | list[Value]]
) -> bool:
    """Return whether a row of `exclude` names a cell: by its spec, or as the plan writes it."""
    for name, wanted in exclusion.items():
        several = wanted if isinstance(wanted, list) else [wanted]
        parsed = [one if field_info(name) is None else parse_value(name, one) for one in several]
        if not any(name in have and have[name] in parsed for have in known):
            return False
    return True
