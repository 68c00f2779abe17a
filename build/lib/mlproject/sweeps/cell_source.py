"""Sources of cells behind one ask and tell: the interface, and a grid."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mlproject.spec import RunSpec
from mlproject.sweeps.cells import Cell
from mlproject.sweeps.task import Outcome
from mlproject.sweeps.together import without_seed

NamedWriter = tuple[str, Callable[[Path], object]]
"""Name of an artifact, and a function that writes it to a path."""


class CellSource:
    """The cells of a grid, in order; a search overrides all methods.

    Attributes:
        total: number of cells.
    """

    def __init__(self, cells: list[Cell]) -> None:
        self.total = len(cells)
        self._cells = iter(cells)
        self._groups: dict[RunSpec, list[Cell]] = {}
        for cell in cells:
            self._groups.setdefault(without_seed(cell.spec), []).append(cell)

    def ask(self) -> Cell | None:
        """Return the next cell, None if no cell is left now."""
        return next(self._cells, None)

    def tell(self, cell: Cell, outcome: Outcome) -> Outcome:
        """Record the outcome of a cell and return it, corrected if the source requires it."""
        return outcome

    def report(self, cell: Cell, epoch: int, values: Mapping[str, float]) -> bool:
        """Record the values of an epoch; return whether to prune the cell."""
        return False

    def group(self, cell: Cell) -> Sequence[Cell]:
        """Return the cells of a grid that differ from one in the seed only, and that one."""
        return self._groups[without_seed(cell.spec)]

    def files(self) -> Iterator[NamedWriter]:
        """Yield artifacts of the sweep, besides its table of cells."""
        return iter(())
