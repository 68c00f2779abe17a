"""The request for a report, and the loaded runs that its sections are made from."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas

from mlproject import results
from mlproject.filters.reading import LayerReading
from mlproject.motifs.pwm import Motif
from mlproject.report.published import PAPER
from mlproject.store import Store, connect
from mlproject.store.connection import UI
from mlproject.store.results.conditions import parse
from mlproject.system.errors import UserError


class ReportRequest(NamedTuple):
    """The subject of a report.

    Attributes:
        experiment: names of the experiments, () = all.
        where: conditions on the runs, see `mlproject.results.runs`.
        rows: columns that make the rows of the user's table, () = no such table.
        columns: its columns.
        networks: names of networks to show side by side in a figure.
        figures: whether to draw figures.
        ui: address of the MLflow UI, for links; "" = from the tracking store.
        paper: the paper that the runs stand beside, see `mlproject.report.papers.data`.
    """

    experiment: tuple[str, ...] = ()
    where: str = ""
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    figures: bool = True
    ui: str = ""
    paper: str = PAPER


@dataclass
class Content:
    """The runs of a report.

    Attributes:
        request: the subject of the report.
        runs: all runs, one row each.
        counted: the runs that count, see `mlproject.results.counted`.
        store: where the runs have their files.
        ui: address of the MLflow UI.
        unreadable: sentences on runs, or files of runs, that could not be read.
    """

    request: ReportRequest
    runs: pandas.DataFrame
    counted: pandas.DataFrame
    store: Store
    ui: str
    unreadable: list[str] = field(default_factory=list)
    _readings: dict[tuple[str, str], LayerReading] = field(default_factory=dict)
    _targets: dict[tuple[str, str], dict[str, Motif]] = field(default_factory=dict)

    def filters(
        self, run: pandas.Series, layer: str
    ) -> tuple[LayerReading, Mapping[str, Sequence[str]]] | None:
        """Return the filters of a layer of a run, and the relevant motifs of each class.

        None: they could not be read, and `unreadable` says why. Each layer is loaded once.
        """
        key = (str(run["run_id"]), layer)
        try:
            if key not in self._readings:
                self._readings[key] = results.filters(run, layer, self.store)
            return self._readings[key], results.relevant(run)
        except UserError as error:
            self._note(error)
            return None

    def targets(self, run: pandas.Series) -> dict[str, Motif]:
        """Return the motifs of a run's databases by id; {} if they could not be read."""
        key = (str(run["motifs"]), str(run["motifs_sha256"])) if "motifs" in run else ("", "")
        try:
            if key not in self._targets:
                found = results.targets(run, self.store)
                self._targets[key] = {motif.id: motif for motif in found}
            return self._targets[key]
        except UserError as error:
            self._note(error)
            return {}

    def table(self, kind: str, run: pandas.Series, layer: str) -> pandas.DataFrame | None:
        """Return a table of a layer's filters that not every run has.

        Args:
            kind: ``site_truth`` or ``importance``, see `mlproject.results`.
            run: row of the run.
            layer: the layer.
        """
        with suppress(UserError):
            found: pandas.DataFrame = getattr(results, kind)(run, layer, self.store)
            return found
        return None

    def history(self, run: pandas.Series) -> pandas.DataFrame | None:
        """Return a run's epochs, None if it has none."""
        with suppress(UserError):
            return results.history(run, self.store)
        return None

    def kernels(self, run: pandas.Series) -> Any:
        """Return the first layer's kernels after each epoch, None if the run has none."""
        with suppress(UserError):
            return results.kernels(run, self.store)
        return None

    def _note(self, error: UserError) -> None:
        if str(error) not in self.unreadable:
            self.unreadable.append(str(error))


def load_content(
    experiment: Sequence[str] | None = None, where: str = "", store: Store | None = None
) -> Content:
    """Load the runs of experiments that meet conditions; see `mlproject.results.runs`.

    Raises:
        UserError: see `mlproject.results.runs`.
    """
    store = store or connect()
    found = results.find(experiment, parse(where), store)
    names = tuple(experiment or ())
    request = ReportRequest(names, where)
    notes = [*found.unreadable, *found.hints]
    return Content(request, found.runs, results.counted(found.runs), store, UI, notes)
