"""The registry of sections: each table or figure of a report registers itself.

A module of `mlproject.report.sections` defines a function and decorates it: `table` for a table of
the runs that count, `figure` for a figure of them, `section` for anything else. No other file
changes for a new table.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from mlproject.report.content import Content
from mlproject.report.document import Missing, Part, Picture, Report
from mlproject.report.table import Table
from mlproject.report.trials import OTHER, dataset_kinds

Item = Table | Picture | Missing | None
Make = Callable[[Content], Iterable[Item]]
F = TypeVar("F", bound=Callable[..., Any])
PARTS = {
    "custom": "Your table",
    "own": "Your data",
    "pool": "Pool size",
    "synthetic": "Synthetic sequences",
    "invivo": "In vivo sequences",
    "deeper": "Deeper layers",
    "joint": "All cells together",
    "statements": "Statements",
    "truth": "Filters and attributions against the truth",
    "atlas": "Atlas",
    "factors": "Factors",
    "filters": "Filters side by side",
    "count": "Number of filters",
    "pareto": "Accuracy and interpretability",
    "protocol": "Alignment and protocol",
    "toy": "Toy model",
    "runs": "Runs",
}


PAPERS = frozenset(
    ("pool", "synthetic", "invivo", "deeper", "joint", "statements", "count", "toy", "protocol")
)
"""Parts that stand beside the paper: a report on other data only leaves them out."""


class Section(NamedTuple):
    """A registered section.

    Attributes:
        place: sections are made in the order of their places.
        part: of the page, a key of `PARTS`; another text is a new part at the end of the page.
        make: returns tables and figures; None among them is left out.
        first: whether its tables come before the figures in README.md.
        drawn: whether it draws; a report without figures leaves such sections out.
    """

    place: int
    part: str
    make: Make
    first: bool = False
    drawn: bool = False


_SECTIONS: list[Section] = []


def section(
    place: int, part: str, *, first: bool = False, drawn: bool = False
) -> Callable[[Make], Make]:
    """Register a function of the loaded content; see `Section` for the arguments."""

    def register(make: Make) -> Make:
        _SECTIONS.append(Section(place, part, make, first, drawn))
        return make

    return register


def table(place: int, part: str, *options: str, first: bool = False) -> Callable[[F], F]:
    """Register a function of the runs that count, and of `options`, that returns tables."""

    def register(function: F) -> F:
        def make(content: Content) -> Iterable[Item]:
            made = function(content.counted, *options)
            return made if isinstance(made, list) else [made]

        _SECTIONS.append(Section(place, part, make, first))
        return function

    return register


def figure(place: int, part: str, name: str, title: str, caption: str) -> Callable[[F], F]:
    """Register a function of the runs that count that returns a figure, None if it cannot draw."""

    def register(function: F) -> F:
        def make(content: Content) -> Iterable[Item]:
            drawn = function(content.counted)
            few = Missing(f"{title}: not enough runs.")
            return [few if drawn is None else Picture(name, drawn, title, caption)]

        _SECTIONS.append(Section(place, part, make, drawn=True))
        return function

    return register


def sections() -> list[Section]:
    """Import all modules of `mlproject.report.sections` and return their sections in order."""
    package = importlib.import_module("mlproject.report.sections")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return sorted(_SECTIONS, key=lambda one: one.place)


def fill(report: Report, content: Content) -> None:
    """Make all sections and add them to a report.

    Args:
        report: gets tables, pictures and parts.
        content: the loaded runs.
    """
    parts = {key: Part(title, key) for key, title in PARTS.items()}
    own_only = len(content.counted) > 0 and set(dataset_kinds(content.counted)) == {OTHER}
    for one in sections():
        if own_only and one.part in PAPERS:
            continue
        if one.drawn and not content.request.figures:
            continue
        part = parts.setdefault(one.part, Part(one.part, one.part.lower().replace(" ", "-")))
        for item in one.make(content):
            if isinstance(item, Table):
                report.tables.append(item)
                part.tables.append(item.name)
                report.first |= {item.name} if one.first else set()
            elif isinstance(item, Picture):
                report.pictures[item.name] = item
                part.pictures.append(item.name)
            elif item:
                report.missing.append(item.text)
    report.parts = [part for part in parts.values() if part.tables or part.pictures]
