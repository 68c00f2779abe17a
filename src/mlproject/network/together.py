"""The seeds of one network trained at the same time, each to what its own training would give.

On a processor that is bit for bit so: the seeds take their turns. On an accelerator they are one
program, see `mlproject.network.seed_steps`, equal up to rounding.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from mlproject.data import Split
from mlproject.network import backend, fast_pass
from mlproject.network.build import build, predictor
from mlproject.network.epoch import train_epochs_together
from mlproject.network.guard import DeviceFaultError
from mlproject.network.inputs import is_letters, make_attack, make_inputs
from mlproject.network.loss import make_loss
from mlproject.network.protocol import Epoch, reason_to_stop
from mlproject.network.seed_steps import SeedSteps, make_seed_steps
from mlproject.network.trainer import Training
from mlproject.network.training_state import check_version, corrupted, kernels_of
from mlproject.network.training_tools import Tools, built_optimizer, score_check
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError


class Member(NamedTuple):
    """One seed: what to train, and the file of its state, which is gone on from if it is there."""

    spec: RunSpec
    state: Path


def fit_together(
    members: Sequence[Member],
    train: Split,
    valid: Split,
    *,
    task: str = "binary",
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
    on_fault: Callable[[int, str], None] = lambda number, element: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[UserError | None]:
    """Train several seeds; their states are then those of trainings that have ended.

    `mlproject.network.training.fit` goes on from such a state, and so finds nothing more to train.
    A seed that a device fault has hit repeats its epoch in the next round, while the others go on.

    Args:
        members: specs that differ in `seed` only, and in the number of epochs trained.
        train: trained on, by each seed in its own order.
        valid: for the best epoch of each.
        task: of the data.
        on_epoch: called with the number of the member after each of its new epochs.
        on_fault: called with the number of the member and the spoilt element.
        should_stop: asked before each launch; the unfinished round is thrown away.

    Returns:
        For each member why its training failed; None where it has ended, or was interrupted.

    Raises:
        UserError: the specs differ in more than the seed.
    """
    for member in members:
        check_version(member.spec)
        if member.spec.model_copy(update={"seed": 0}) != members[0].spec.model_copy(
            update={"seed": 0}
        ):
            raise UserError("networks trained together may differ in `seed` only: they differ")
    backend.prepare()
    group = _Group(members, train, valid, task, on_fault, should_stop)
    while group.round(on_epoch):
        pass
    return group.failures


class _Group:
    def __init__(
        self,
        members: Sequence[Member],
        train: Split,
        valid: Split,
        task: str,
        on_fault: Callable[[int, str], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._train, self._should_stop = train, should_stop
        self.failures: list[UserError | None] = [None] * len(members)
        self._faulty = [False] * len(members)
        length, classes = train.codes.shape[1], train.labels.shape[1]
        models = [build(one.spec, length, classes, task) for one in members]
        optimizers = [built_optimizer(one.spec, m) for one, m in zip(members, models, strict=True)]
        calls = backend.forwards(models, fast_pass.choose_prediction(models[0]))
        references = backend.host_forwards(models)
        self._trainings = []
        for number, (spec, state) in enumerate(members):
            tools = Tools(
                optimizers[number],
                None,
                predictor(models[number], call=calls[number]),
                score_check(valid, references[number], task),
            )

            def tell(element: str, number: int = number) -> None:
                on_fault(number, element)

            one = Training(
                models[number], spec, train, valid, state, should_stop, tell, tools, task
            )
            if state.exists():
                one.resume()
            else:
                one.save()
            self._trainings.append(one)
        spec = members[0].spec
        loss = make_loss(spec, train.labels, task)
        self._steps: SeedSteps = make_seed_steps(
            [*zip(models, optimizers, strict=True)],
            fast_pass.choose(models[0], is_letters(spec))[0],
            fast_pass.choose_together(models[0]),
            loss,
            make_inputs(spec),
            [make_attack(spec, model, loss) for model in models],
        )

    def round(self, on_epoch: Callable[[int, Epoch], None]) -> bool:
        """Train an epoch of each seed that has not ended; return whether a round follows."""
        active = [
            self.failures[number] is None and reason_to_stop(one.history, one.spec) is None
            for number, one in enumerate(self._trainings)
        ]
        if not any(active):
            return False
        started = time.perf_counter()
        epochs = [
            one.begin() if wanted else None
            for one, wanted in zip(self._trainings, active, strict=True)
        ]
        kernels = [kernels_of(one.model) for one in self._trainings]
        specs = [one.epoch_spec for one in self._trainings]
        losses = train_epochs_together(self._steps, self._train, specs, epochs, self._should_stop)
        if losses is None:
            return False
        shared = (time.perf_counter() - started) / sum(active)
        for number, loss in enumerate(losses):
            one, clock = self._trainings[number], time.perf_counter()
            if loss is None:
                continue
            try:
                if isinstance(loss, DeviceFaultError):
                    raise loss
                predicted = one.score()
                seconds = shared + time.perf_counter() - clock
                one.record(loss, predicted, kernels[number], seconds)
            except DeviceFaultError as fault:
                self._go_back(number, fault)
                continue
            except UserError as error:
                self.failures[number] = error
                continue
            self._faulty[number] = False
            on_epoch(number, one.history[-1])
        return True

    def _go_back(self, number: int, fault: DeviceFaultError) -> None:
        one = self._trainings[number]
        one.go_back(fault)
        if self._faulty[number]:
            self.failures[number] = corrupted(fault, len(one.history) + 1, one.spec)
        self._faulty[number] = True
