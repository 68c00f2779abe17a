"""The command `interpret`: attributions of a run that has finished, added to it."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlproject import results
from mlproject.data import Dataset
from mlproject.run.attributions import Choice, Place, attribute_run, check
from mlproject.spec import parse_methods
from mlproject.store import STORE_ERRORS, Store, connect
from mlproject.store.liveness import tag_run
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupts


class Interpreted(NamedTuple):
    """What was added to a run: metrics, and why the store lacks some of it (None: it has all)."""

    metrics: dict[str, float]
    undelivered: str | None


def interpret(
    run_id: str,
    methods: str,
    choice: Choice | None = None,
    dataset: Path | None = None,
    home: Path = Path(),
    quiet: bool = False,
) -> Interpreted:
    """Attribute with the model of a finished run and add what is found to the run.

    Args:
        run_id: the run.
        methods: names of `mlproject.spec.ATTRIBUTIONS`, comma-separated.
        choice: of which sequences.
        dataset: where the run's data set is now; None: where it was, or generated again.
        home: folder of ``data`` and ``runs``.
        quiet: show no progress.

    Raises:
        UserError: an unknown method; no such run, or one that has not finished or has no model; a
            data set that is not there or not the run's; see also `attribute_run`.
        Interrupted: SIGINT or SIGTERM; methods that were done are recorded, the others are not.
    """
    names = parse_methods(methods)
    check(names)
    with Interrupts() as interrupts:
        store = connect()
        spec = results.spec_of(run_id, store)
        tracker = store.amend(run_id, home / "runs")
        try:
            place = Place(
                name=store.run(run_id).info.run_name,
                model=results.model(run_id, store),
                data=_dataset(run_id, home, store, dataset),
                tracker=tracker,
                interrupts=interrupts,
                seed=spec.seed,
                evalue=spec.evalue,
                quiet=quiet,
            )
            values = attribute_run(place, names, choice or Choice())
        finally:
            with interrupts.deferred():
                tracker.close()
        if adopted := store.adopted():
            with suppress(*STORE_ERRORS):
                tag_run(store, adopted, {"interprets": run_id})
                store.client.update_run(adopted, name=f"interpret · {place.name}")
        return Interpreted(values, tracker.problem)


def _dataset(run_id: str, home: Path, store: Store, path: Path | None) -> Dataset:
    try:
        found: Dataset = results.dataset(run_id, home / "data", store, path)
    except UserError as error:
        if path is not None:
            raise
        raise UserError(f"{error}; `--dataset` says where it is now") from error
    return found
