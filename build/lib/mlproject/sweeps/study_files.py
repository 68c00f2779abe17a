"""Files about the trials of a search: a table, history, importances, Pareto front."""

import csv
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as pictures

from mlproject.sweeps.cell_source import NamedWriter


def study_files(study: optuna.Study) -> Iterator[NamedWriter]:
    """Yield the table of trials and the figures that a study has enough trials for."""
    yield "search/trials.csv", lambda path: write_trials(study, path)
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = study.metric_names or ["objective"]
    if not done:
        return
    for number, name in enumerate(names):
        options: dict[str, Any] = {
            "target": _value(number) if len(names) > 1 else None,
            "target_name": name,
        }
        plain = name.replace("/", "_")
        draw = partial(pictures.plot_optimization_history, study, **options)
        yield f"search/history_{plain}.png", _writer(draw)
        if len(done) > 3 and len(study.trials[0].params) > 1:
            draw = partial(pictures.plot_param_importances, study, **options)
            yield f"search/importances_{plain}.png", _writer(draw)
    if len(names) in (2, 3):
        yield "search/front.png", _writer(partial(pictures.plot_pareto_front, study))


def write_trials(study: optuna.Study, path: Path) -> None:
    """Write all trials as CSV: number, state, objectives, parameters, run, whether on the front."""
    names = study.metric_names or ["objective"]
    trials = study.get_trials(deepcopy=False)
    params = list(dict.fromkeys(name for trial in trials for name in trial.params))
    front = {trial.number for trial in study.best_trials} if len(names) > 1 else set()
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "state", *names, *params, "run_id", "front"])
        for trial in trials:
            values = trial.values or [""] * len(names)
            chosen = [trial.params.get(name, "") for name in params]
            run_id = trial.user_attrs.get("run_id", "")
            on_front = trial.number in front
            writer.writerow([trial.number, trial.state.name, *values, *chosen, run_id, on_front])


def _value(number: int) -> Callable[[FrozenTrial], float]:
    return lambda trial: float(trial.values[number])


def _writer(draw: Callable[[], Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        with warnings.catch_warnings(), plt.style.context("default"):
            warnings.simplefilter("ignore")
            axes = draw()
            figure = axes.figure if hasattr(axes, "figure") else axes.flat[0].figure
            figure.set_size_inches(8, 5)
            figure.tight_layout()
            figure.savefig(path, dpi=150)
            plt.close(figure)

    return write
