"""Attributions of a finished run, computed later and added to it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from mlproject import results
from mlproject.data import Dataset
from mlproject.fields import parse_methods
from mlproject.names import Tag
from mlproject.run.attributed_rows import Choice
from mlproject.run.attributions import attribute_run, check
from mlproject.run.context import RunContext, Settings
from mlproject.store import STORE_ERRORS, Store, connect
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupts


class AddedAttributions(NamedTuple):
    """Attributions that were added to a finished run.

    Attributes:
        metrics: the new metrics.
        undelivered: error because of which the store lacks some of them, None if it has all.
        run_id: the run that has them.
    """

    metrics: dict[str, float]
    undelivered: str | None
    run_id: str


def interpret_run(
    run_id: str,
    methods: str,
    choice: Choice | None = None,
    dataset: Path | None = None,
    quiet: bool = False,
) -> AddedAttributions:
    """Attribute with the model of a finished run and add the results to the run.

    Args:
        run_id: the run.
        methods: names of `mlproject.fields.ATTRIBUTIONS`, comma-separated.
        choice: sequences and classes to attribute.
        dataset: present path of the run's data set; None: the recorded path, or generate it again.
        quiet: show no progress.

    Raises:
        UserError: the method is unknown; the run does not exist, has not finished or has no model;
            the data set is missing or another one; see also `attribute_run`.
        Interrupted: SIGINT, SIGTERM or SIGHUP; only the completed methods are recorded.
    """
    names = parse_methods(methods)
    check(names)
    with amended(run_id, dataset, quiet, "interpret") as context:
        model = results.model(context.tracker.run_id)
        values = attribute_run(context, [model], names, choice or Choice())
    return AddedAttributions(values, context.tracker.problem, context.tracker.run_id)


@contextmanager
def amended(run_id: str, dataset: Path | None, quiet: bool, verb: str) -> Iterator[RunContext]:
    """Yield the context of a finished run to which the ``with`` block adds results.

    Args:
        run_id: the run, or the start of its id.
        dataset: present path of the run's data set; None: the recorded path, or generate it again.
        quiet: show no progress.
        verb: the command, in the name of the run that ``mlflow run`` has made for it.

    Raises:
        UserError: the run does not exist or has not finished; the data set is missing or another
            one.
        Interrupted: SIGINT, SIGTERM or SIGHUP.
    """
    with Interrupts() as interrupts:
        store = connect()
        run_id = store.full_id(run_id)
        spec = results.spec_of(run_id, store)
        tracker = store.amend(run_id, Path("runs"))
        try:
            context = RunContext(
                name=store.run(run_id).info.run_name,
                spec=spec,
                data=dataset_of(run_id, store, dataset),
                settings=Settings(quiet=quiet),
                tracker=tracker,
                interrupts=interrupts,
            )
            yield context
        finally:
            with interrupts.deferred():
                tracker.close()
        if offered := store.take_offered_run():
            with suppress(*STORE_ERRORS):
                store.set_tags(offered, {Tag.INTERPRETS: run_id})
                store.client.update_run(offered, name=f"{verb} · {context.name}")


def dataset_of(run_id: str, store: Store, path: Path | None) -> Dataset:
    """Return the data set of a run.

    Args:
        run_id: the run.
        store: where the run is.
        path: present path of the data set; None: the recorded path, or generate it again.

    Raises:
        UserError: it is missing or another one.
    """
    try:
        found: Dataset = results.dataset(run_id, store=store, path=path)
    except UserError as error:
        if path is not None:
            raise
        raise UserError(f"{error}; `--dataset` says where it is now") from error
    return found
