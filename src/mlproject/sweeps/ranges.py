"""Ranges of a plan, counted by arithmetic: a huge range is never written out."""

from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from mlproject.system.errors import UserError
from mlproject.system.yaml_file import LARGEST_NUMBER

LARGEST = 100_000


class PlanPart(BaseModel):
    """A part of a plan, which allows neither unknown keys nor infinite numbers."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def _of_bounded_size(value: int | float) -> int | float:
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise ValueError(f"must be at most {LARGEST_NUMBER:,}")
    return value


Number = Annotated[int | float, BeforeValidator(_no_boolean), AfterValidator(_of_bounded_size)]


class Range(PlanPart):
    """Numbers from `start` to `to`, both included; in a search also without `step`."""

    start: Number = Field(alias="from")
    to: Number
    step: Number | None = None
    log: bool = False

    @property
    def given(self) -> tuple[int | float, ...]:
        """The numbers that the plan gives: start, end and step."""
        return (self.start, self.to, *(() if self.step is None else (self.step,)))

    @property
    def count(self) -> int:
        """Number of values ``from, from + step, ... to``, 0 if they do not go up."""
        start, step = self._exact
        return max(0, (_fraction(self.to) - start) // step + 1) if step > 0 else 0

    @property
    def last(self) -> int | float:
        """The largest value."""
        return self._number(self.count - 1)

    def values(self) -> list[int | float]:
        """Return the values.

        Raises:
            UserError: there are more values than a plan may have cells.
        """
        if self.count > LARGEST:
            raise UserError(f"a range must have at most {LARGEST:,} values: got {self.count:,}")
        return [self._number(number) for number in range(self.count)]

    @property
    def _exact(self) -> tuple[Fraction, Fraction]:
        return _fraction(self.start), _fraction(1 if self.step is None else self.step)

    def _number(self, number: int) -> int | float:
        start, step = self._exact
        value = start + step * number
        integers = all(isinstance(one, int) for one in (self.start, self.to, self.step or 1))
        return int(value) if integers else float(value)


def _fraction(value: int | float) -> Fraction:
    """Return the exact value of a number's text: 0.1 is one tenth."""
    return Fraction(str(value))
