"""The runs that a command averages or pools: given one by one, or as the sweep that they are of."""

from collections.abc import Sequence

from mlproject.names import Tag
from mlproject.store import Store
from mlproject.system.errors import UserError


def member_runs(store: Store, given: Sequence[str]) -> tuple[str, ...]:
    """Return the full ids of runs; a sweep stands for its finished cells.

    Args:
        store: where the runs are.
        given: ids, starts of ids, or several of them with commas or blanks between.

    Raises:
        UserError: a run does not exist or is given twice, or a sweep has no finished cell.
    """
    found: list[str] = []
    for name in " ".join(given).replace(",", " ").split():
        run_id = store.full_id(name)
        run = store.run(run_id)
        tags = run.data.tags
        if Tag.SWEEP not in tags or Tag.SPEC in tags:
            found.append(run_id)
            continue
        cells = store.search(
            [run.info.experiment_id],
            f"tags.`{Tag.PARENT}` = '{run_id}' AND attributes.status = 'FINISHED'",
            "start_time ASC",
        )
        own = [cell.info.run_id for cell in cells if Tag.SPEC in cell.data.tags]
        if not own:
            raise UserError(f"a sweep needs finished cells: {run_id} has none yet")
        found += own
    if not found:
        raise UserError("give the id of a run: got none")
    if len(set(found)) < len(found):
        raise UserError(f"a run is given once: got {', '.join(given)}")
    return tuple(found)
