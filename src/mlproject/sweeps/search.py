"""A search with Optuna as a source of cells."""

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from mlproject.sweeps.cell_source import CellSource, NamedWriter
from mlproject.sweeps.cells import Cell, DataSets, make_cell
from mlproject.sweeps.plan import Plan, Search, metric_of
from mlproject.sweeps.samplers import SAMPLERS
from mlproject.sweeps.space import Space, make_space
from mlproject.sweeps.task import Outcome
from mlproject.system.errors import UserError, reason
from mlproject.system.interrupts import Interrupted

ABANDONED = "abandoned"

optuna.logging.set_verbosity(optuna.logging.ERROR)


class StudyCells(CellSource):
    """The trials of a study as cells.

    A trial counts once, however often the driver is killed: an interrupted trial is resumed under
    its number.

    Attributes:
        search: the search of the plan.
        study: Optuna's study.
        total: number of trials.
        space: space of the search.
    """

    def __init__(self, plan: Plan, data: DataSets, home: Path) -> None:
        assert plan.search is not None
        self.search: Search = plan.search
        self.space: Space = make_space(plan, plan.search, data)
        grid = self.search.sampler == "grid"
        self.total = min(self.search.trials, self.space.size if grid else self.search.trials)
        self._plan, self._data = plan, data
        self.study = self._open(home)
        self._trials: dict[int, Trial] = {}
        self._resumable = self._interrupted()

    @property
    def best_by(self) -> list[tuple[str, bool]]:
        """Final metrics of the objectives, each with whether more is better."""
        return [
            (metric_of(name), way == "maximize") for name, way in self.search.objectives.items()
        ]

    def ended(self) -> list[tuple[Cell, Outcome]]:
        """Return the trials that have ended in earlier sessions of this search."""
        states = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "PRUNED"}
        rows = []
        for trial in self._counted():
            if trial.state.is_finished():
                status = states.get(trial.state, "FAILED")
                names = [name for name, _ in self.best_by]
                metrics = dict(zip(names, trial.values or [], strict=False))
                attributes = trial.user_attrs
                run_id, reason = attributes.get("run_id"), attributes.get("reason", "")
                outcome = Outcome(status, run_id, metrics if status == "FINISHED" else {}, reason)
                rows.append((self._cell(trial), outcome))
        return rows

    def ask(self) -> Cell | None:
        """Return the cell of the next trial, None if no trial is left now."""
        if self._resumable:
            trial = self._resumable.pop(0)
            self._trials[trial.number] = trial
            return self._cell(trial)
        if len(self._counted()) >= self.total:
            return None
        trial = self.study.ask(self.space.distributions)
        self._trials[trial.number] = trial
        return self._cell(trial)

    def tell(self, cell: Cell, outcome: Outcome) -> Outcome:
        """Record the outcome of a trial; return it, as FAILED if an objective is missing."""
        assert cell.trial is not None
        trial = self._trials.pop(cell.trial)
        names = [name for name, _ in self.best_by]
        if outcome.status == "FINISHED":
            missing = [name for name in names if name not in outcome.metrics]
            if missing:
                reason = f"the run has no {missing[0]}"
                outcome = outcome._replace(status="FAILED", reason=reason)
        if outcome.run_id:
            trial.set_user_attr("run_id", outcome.run_id)
        if outcome.reason:
            trial.set_user_attr("reason", outcome.reason)
        values, state = None, TrialState.FAIL
        if outcome.status == "FINISHED":
            values, state = [outcome.metrics[name] for name in names], TrialState.COMPLETE
        elif outcome.status == "PRUNED":
            state = TrialState.PRUNED
        self.study.tell(trial.number, values, state, skip_if_finished=True)
        return outcome

    def report(self, cell: Cell, epoch: int, values: Mapping[str, float]) -> bool:
        """Report the values of an epoch to the pruner; return whether to stop the trial."""
        trial = self._trials.get(cell.trial if cell.trial is not None else -1)
        name = next(iter(self.search.objectives))
        if trial is None or self.search.pruner == "none" or name not in values:
            return False
        known = self.study.get_trials(deepcopy=False)[trial.number].intermediate_values
        if epoch not in known:
            trial.report(values[name], epoch)
        return bool(trial.should_prune())

    def files(self) -> Iterator[NamedWriter]:
        """Yield the table of trials and the figures that the study has enough trials for."""
        from mlproject.sweeps.study_files import study_files

        return study_files(self.study)

    def _cell(self, trial: Trial | FrozenTrial) -> Cell:
        options = self.space.options(trial.params)
        cell = make_cell(self._plan.base | options, self._data, options)
        return cell._replace(name=f"trial {trial.number} · {cell.name}", trial=trial.number)

    def _counted(self) -> list[FrozenTrial]:
        trials = self.study.get_trials(deepcopy=False)
        return [trial for trial in trials if ABANDONED not in trial.user_attrs]

    def _interrupted(self) -> list[Trial]:
        """Return the trials that have begun and not ended; abandon those without values."""
        found = []
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            live = Trial(self.study, trial._trial_id)
            if set(trial.params) == set(self.space.distributions):
                found.append(live)
            else:
                live.set_user_attr(ABANDONED, "cut off before its values were chosen")
                self.study.tell(trial.number, state=TrialState.FAIL)
        return found

    def _open(self, home: Path) -> optuna.Study:
        search = self.search
        study = _create(
            search.storage or storage_path(home, self._plan.name),
            study_name=self._plan.name,
            directions=list(search.objectives.values()),
            load_if_exists=True,
        )
        described = {"base": self._plan.base, **search.model_dump(mode="json", by_alias=True)}
        described = {key: described[key] for key in ("base", "space", "objectives")}
        described["space"] = {name: repr(one) for name, one in self.space.distributions.items()}
        text = json.dumps(described, sort_keys=True)
        if (before := study.user_attrs.get("search", text)) != text:
            changed = [key for key, value in described.items() if json.loads(before)[key] != value]
            raise UserError(
                f"`name` must be of the same search: study {self._plan.name} was begun with "
                f"another {changed[0]}; give the plan another name"
            )
        study.set_user_attr("search", text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # experimental since Optuna 3.2
            study.set_metric_names(list(search.objectives))
        seed = search.seed + len(study.get_trials(deepcopy=False))
        study.sampler = SAMPLERS[search.sampler](search, self.space, seed)
        study.pruner = self._pruner()
        return study

    def _pruner(self) -> optuna.pruners.BasePruner:
        search = self.search
        if search.pruner == "median":
            return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=search.warmup + 1)
        if search.pruner == "hyperband":
            epochs = make_cell(self._plan.base | self.space.base, self._data).spec.epochs
            return optuna.pruners.HyperbandPruner(max(1, search.warmup), epochs)
        return optuna.pruners.NopPruner()


def storage_path(home: Path, name: str) -> Path:
    """Return the path of a study's journal."""
    return home / "runs" / f"{name}.optuna.log"


def _create(place: str | Path, **settings: Any) -> optuna.Study:
    """Open a study in a storage of Optuna, or in a journal, whose path is given."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            storage = _journal(place) if isinstance(place, Path) else place
            return optuna.create_study(storage=storage, **settings)
    except Interrupted:
        raise
    except Exception as error:
        said = f"({type(error).__name__}: {reason(error)})"
        if isinstance(place, Path):
            if isinstance(error, OSError):
                raise
            raise UserError(
                f"the record of a search must be intact: {place} is damaged {said}; restore it, or "
                "move it away to begin the search again"
            ) from error
        raise UserError(
            f"`search.storage` must be a study storage that can be written: got {place} {said}"
        ) from error


def _journal(path: Path) -> JournalStorage:
    """Open the journal of a study without an incomplete last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and (text := path.read_bytes()) and not text.endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)
    return JournalStorage(JournalFileBackend(str(path)))
