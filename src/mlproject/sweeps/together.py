"""The seeds of one network trained together, in the worker that begins the first of them.

Their states lie in ``runs/together`` until each seed's own run has taken its one up: it finds the
training done, and tests, reads filters and records as any run does.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlproject.architectures import make_spec
from mlproject.spec import RunSpec
from mlproject.sweeps.cells import Cell
from mlproject.sweeps.lock import HeldError, plan_lock
from mlproject.sweeps.task import CellTask, Outcome
from mlproject.system.errors import UserError
from mlproject.system.interrupts import Interrupted, Interrupts

if TYPE_CHECKING:
    from mlproject.data import Dataset
    from mlproject.network.together import Member

FOLDER = "together"


def in_groups(cells: Sequence[Cell]) -> list[Cell]:
    """Return cells with the seeds of a network one after the other, else in their order."""
    groups: dict[RunSpec, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(without_seed(cell.spec), []).append(cell)
    return [cell for group in groups.values() for cell in group]


def without_seed(spec: RunSpec) -> RunSpec:
    """Return what seeds that are trained together have in common."""
    return spec.model_copy(update={"seed": 0})


def state_of(task: CellTask, train_sha256: str) -> Path:
    """Return where the state of a training lies until its run takes it up."""
    return Path(task.home) / "runs" / FOLDER / f"{train_sha256[:32]}.h5"


def train_group(
    task: CellTask,
    should_stop: Callable[[], bool | str],
    tell: Callable[[str], None],
    on_epoch: Callable[[int, Mapping[str, float]], None],
) -> Any:
    """Train a cell with the other seeds of its group, if that is not done yet.

    Args:
        task: the cell; `CellTask.together` has the specs of the group.
        should_stop: asked before each launch.
        tell: told of faults, and of seeds that fail.
        on_epoch: called after each epoch of the cell's own.

    Returns:
        The state to go on from, with the faults of the device and the reason of a failed training;
        or an `Outcome` where another worker trains the group.

    Raises:
        Interrupted: it was stopped; the states are kept.
        UserError: the specs differ in more than the seed.
    """
    from mlproject.data import load
    from mlproject.network.together import Member, fit_together
    from mlproject.run.context import Previous

    own = make_spec(task.options)
    data = load(own, Path(task.home) / "data")
    if data.sha256 != task.dataset_sha256:
        return None  # the run says so
    specs = [make_spec(options) for options in task.together]
    members = [Member(spec, state_of(task, spec.train_sha256(data.sha256))) for spec in specs]
    mine = state_of(task, task.train_sha256)
    if task.from_start:
        forget(task)
    _remove_unusable(members, data, tell)

    def note_fault(number: int, element: str) -> None:
        tell(f"seed {specs[number].seed}: the device spoilt {element}; the epoch is repeated")
        with _faults_of(members[number].state).open("a", encoding="utf-8") as file:
            file.write(f"{element}\n")

    group = mine.with_name(f"{without_seed(own).train_sha256(data.sha256)[:32]}.lock")
    try:
        with plan_lock(group) as lock, Interrupts(should_stop) as interrupts:

            def stopped() -> bool:
                lock.touch()
                return interrupts.reason is not None

            failures = fit_together(
                members,
                data.train,
                data.valid,
                task=data.task,
                on_epoch=lambda number, epoch: (
                    on_epoch(epoch.epoch, epoch.values) if specs[number] == own else None
                ),
                on_fault=note_fault,
                should_stop=stopped,
            )
            reason = interrupts.reason
    except HeldError:
        return Outcome("ELSEWHERE", reason="its seeds are being trained together")
    if reason:
        raise Interrupted(f"interrupted by {reason}")
    for spec, failure in zip(specs, failures, strict=True):
        if failure is not None and spec != own:
            tell(f"seed {spec.seed}, trained together: {failure}")
    found = _faults_of(mine)
    faults = found.read_text("utf-8").splitlines() if found.exists() else []
    return Previous("", own, mine, data.sha256, tuple(faults), failures[specs.index(own)])


def _remove_unusable(
    members: Sequence["Member"], data: "Dataset", tell: Callable[[str], None]
) -> None:
    """Remove the states from which the trainings of `members` cannot go on."""
    from mlproject.network.training_state import check_state

    for member in members:
        if member.state.exists():
            try:
                check_state(member.state, member.spec, data.train, data.valid, data.task)
            except UserError as error:
                tell(f"a state is passed over: {error}")
                member.state.unlink()
                _faults_of(member.state).unlink(missing_ok=True)


def forget(task: CellTask) -> None:
    """Remove the state of a cell whose run has ended."""
    from mlproject.network.checkpoint import earlier

    path = state_of(task, task.train_sha256)
    for one in (path, earlier(path), _faults_of(path)):
        one.unlink(missing_ok=True)


def _faults_of(state: Path) -> Path:
    """Return the file of the elements of a training that a device has corrupted, one a line."""
    return state.with_suffix(".faults")
