"""Attributions averaged over several finished runs, recorded as a run of their own."""

from collections.abc import Sequence
from pathlib import Path

from mlproject import results
from mlproject.data import Dataset
from mlproject.data.folds import tested_together
from mlproject.fields import parse_methods
from mlproject.names import Tag
from mlproject.run.attributed_rows import Choice
from mlproject.run.attributions import attribute_run, check
from mlproject.run.context import RunContext, Settings
from mlproject.run.finished_run import AddedAttributions, dataset_of
from mlproject.spec import RunSpec
from mlproject.store import Store, connect, first_line
from mlproject.store.environment import offered_run_id
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted, Interrupts


def interpret_runs(
    run_ids: Sequence[str],
    methods: str,
    choice: Choice | None = None,
    dataset: Path | None = None,
    quiet: bool = False,
) -> AddedAttributions:
    """Attribute the same test sequences with each of several networks and record the means.

    Runs of one data set, such as seeds, have one test split. The folds of a data set have test
    splits without a common sequence: all of these together are attributed, each sequence by every
    network, also by those that trained on it.

    Args:
        run_ids: full ids of finished runs, see `mlproject.run.members.member_runs`.
        methods: names of `mlproject.fields.ATTRIBUTIONS`, comma-separated.
        choice: sequences and classes to attribute.
        dataset: present path of the data set; None: the recorded path, or generate it again.
        quiet: show no progress.

    Returns:
        The metrics and the id of a new run, which has the files of `mlproject.run.attributions`,
        and ``METHOD_sd.h5`` beside each ``METHOD.h5``.

    Raises:
        UserError: see `mlproject.run.finished_run.interpret_run`; or the runs are not of one data
            set. Nothing is recorded then.
        Interrupted: SIGINT, SIGTERM or SIGHUP; the methods that are done are recorded.
    """
    names = parse_methods(methods)
    check(names)
    choice = choice or Choice()
    with Interrupts() as interrupts:
        store = connect()
        specs = [results.spec_of(run_id, store) for run_id in run_ids]
        data = _common(run_ids, specs, dataset, store)
        models = [results.model(run_id, store) for run_id in run_ids]
        choice.rows(models, data)
        runs = [store.run(run_id).info for run_id in run_ids]
        experiment = store.client.get_experiment(runs[0].experiment_id).name
        name = " · ".join([f"mean of {len(runs)}", *_common_parts([run.run_name for run in runs])])
        tags = {Tag.MEAN_OF: " ".join(run_ids), Tag.DATASET_SHA256: data.sha256}
        place = None if offered_run_id() else experiment
        tracker = store.start(name, tags, Path("runs"), place)
        context = RunContext(name, specs[0], data, Settings(quiet=quiet), tracker, interrupts)
        try:
            tracker.note(_note([run.run_name for run in runs], run_ids, methods))
            values = attribute_run(context, models, names, choice)
        except BaseException as error:
            stopped = isinstance(error, Interrupted | KeyboardInterrupt)
            with interrupts.deferred():
                tracker.finish("KILLED" if stopped else "FAILED", first_line(error))
            raise
        with interrupts.deferred():
            tracker.finish("FINISHED")
    return AddedAttributions(values, tracker.problem, tracker.run_id)


def _common(
    run_ids: Sequence[str],
    specs: Sequence[RunSpec],
    path: Path | None,
    store: Store,
) -> Dataset:
    """Return the data set whose test split the runs share, or that of all their folds together."""
    found: dict[str, Dataset] = {}
    of: dict[str, str] = {}
    for run_id in run_ids:
        data = dataset_of(run_id, store, path)
        found.setdefault(data.sha256, data)
        of.setdefault(data.sha256, run_id)
    if len(found) == 1:
        return next(iter(found.values()))
    first = specs[0]
    for run_id, spec in zip(run_ids, specs, strict=True):
        if not spec.folds or spec.folds != first.folds:
            raise UserError(
                "runs to average must have one data set, or be folds of one: "
                f"{run_ids[0][:12]} and {run_id[:12]} are neither"
            )
    return tested_together([*found.values()])


def _common_parts(names: Sequence[str]) -> list[str]:
    """Return what the names of all runs have in common: ``CNN-25`` of ``CNN-25 · fold=1``."""
    parts = [name.split(" · ") for name in names]
    return [part for part in parts[0] if all(part in other for other in parts)]


def _note(names: Sequence[str], run_ids: Sequence[str], methods: str) -> str:
    """Return the description of the new run: the runs that it averages."""
    lines = [f"Attributions ({methods}) averaged over {len(run_ids)} networks:", ""]
    lines += [f"- {name} (`{run_id}`)" for name, run_id in zip(names, run_ids, strict=True)]
    return "\n".join(lines)
