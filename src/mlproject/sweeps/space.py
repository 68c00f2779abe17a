"""The search space of a plan as Optuna's distributions, without values that do not fit."""

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from mlproject.parameters import field_info, kind_of, parse_value
from mlproject.sweeps.cells import DataSets, make_cell
from mlproject.sweeps.plan import Axis, FieldValues, Plan, Search, Value, count_values
from mlproject.sweeps.ranges import Range
from mlproject.system.errors import UserError

MOST = 20_000


class Space(NamedTuple):
    """The space that Optuna chooses from.

    Attributes:
        distributions: by parameter; fields that depend on each other form one, ``pool1, pool2``.
        choices: values of such a joint parameter, by their text ``25, 4``.
        left_out: a line for each value that does not fit.
        base: a combination that fits.
    """

    distributions: dict[str, BaseDistribution]
    choices: dict[str, dict[str, FieldValues]]
    left_out: list[str]
    base: FieldValues

    def options(self, params: Mapping[str, Value]) -> FieldValues:
        """Return the fields of the spec for a trial's parameters."""
        options: FieldValues = {}
        for name, value in params.items():
            options |= self.choices[name][str(value)] if name in self.choices else {name: value}
        return options

    @property
    def size(self) -> int:
        """Number of combinations of a space of choices."""
        return math.prod(
            len(one.choices)
            for one in self.distributions.values()
            if isinstance(one, CategoricalDistribution)
        )


def make_space(plan: Plan, search: Search, data: DataSets) -> Space:
    """Return the space of a search, in which every combination fits the data.

    Raises:
        UserError: no combination fits, or a value is not allowed.
    """
    shaping = [name for name in search.space if _must_fit(name)]
    combinations = math.prod(count_values(search.space[name]) for name in shaping)
    if combinations > MOST:
        raise UserError(
            f"`search.space` must have at most {MOST:,} combinations of {', '.join(shaping)}: "
            f"got {combinations:,}; use fewer choices"
        )
    lists = {name: _choices(name, search.space[name]) for name in shaping}
    fitting: list[FieldValues] = []
    refusal: UserError | None = None
    for row in itertools.product(*lists.values()):
        options = dict(zip(shaping, row, strict=True))
        try:
            make_cell(plan.base | options, data)
            fitting.append(options)
        except UserError as error:
            refusal = error
    if not fitting:
        raise UserError(f"`search.space` has no valid combination: {refusal}") from refusal
    kept = {name: [v for v in lists[name] if any(o[name] == v for o in fitting)] for name in lists}
    left_out = [
        f"{name}={value} left out, it does not fit"
        for name in shaping
        for value in lists[name]
        if value not in kept[name]
    ]
    grid = search.sampler == "grid"
    distributions: dict[str, BaseDistribution] = {}
    choices: dict[str, dict[str, FieldValues]] = {}
    if len(fitting) == math.prod(len(values) for values in kept.values()):
        for name in shaping:
            axis = search.space[name]
            complete = isinstance(axis, Range) and kept[name] == lists[name]
            distributions[name] = _distribution(name, axis if complete else kept[name], grid)
    elif shaping:
        joint = ", ".join(shaping)
        choices[joint] = {", ".join(map(str, one.values())): one for one in fitting}
        distributions[joint] = CategoricalDistribution(list(choices[joint]))
    for name, axis in search.space.items():
        if name in shaping:
            continue
        distributions[name] = _distribution(name, axis, grid)
        ends = [axis.start, axis.to] if isinstance(axis, Range) else axis
        for value in ends:
            make_cell(plan.base | fitting[0] | {name: value}, data)
    return Space(distributions, choices, left_out, fitting[0])


def _choices(name: str, axis: Axis) -> list[Value]:
    if isinstance(axis, Range):
        if axis.log:
            raise UserError(f"`search.space.{name}` must be a list or have a step, without log")
        return list(axis.values())
    return _typed(name, axis)


def _typed(name: str, values: list[Value]) -> list[Value]:
    """Return values with the field's type: YAML reads ``1e-3`` as a text."""
    return values if field_info(name) is None else [parse_value(name, one) for one in values]


def _distribution(name: str, axis: Axis, grid: bool) -> BaseDistribution:
    if not isinstance(axis, Range):
        return CategoricalDistribution(_typed(name, axis))
    if grid:
        return CategoricalDistribution(axis.values())
    if name not in ("arch", "protocol") and kind_of(name, *axis.given) is int:
        low, high, step = int(axis.start), int(axis.last), int(axis.step or 1)
        return IntDistribution(low, high, log=axis.log, step=step)
    if axis.step is None:
        return FloatDistribution(float(axis.start), float(axis.to), log=axis.log)
    return FloatDistribution(float(axis.start), axis.last, step=float(axis.step))


def _must_fit(name: str) -> bool:
    info = field_info(name)
    return name == "arch" or (info is not None and info.fits)
