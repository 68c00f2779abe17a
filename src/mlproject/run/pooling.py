"""Test scores of several runs pooled, such as the folds of a data set."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlproject import results
from mlproject.data.folds import tested
from mlproject.network.build import predict
from mlproject.network.evaluation import metrics
from mlproject.network.tasks import Score, test_rows
from mlproject.run.members import member_runs
from mlproject.store import connect
from mlproject.system.errors import UserError


class Pooled(NamedTuple):
    """Scores over the test sequences of several runs together.

    Attributes:
        rows: a row for each class or output.
        sequences: number of test sequences, of each run.
        values: all numbers by metric name.
    """

    rows: Sequence[Score]
    sequences: tuple[int, ...]
    values: dict[str, float]


def pool_runs(run_ids: Sequence[str]) -> Pooled:
    """Predict the test split of each run with its model, and score all of them together.

    Args:
        run_ids: runs whose test splits share no sequence, such as those of a plan with `folds`, or
            the sweep that has them.

    Raises:
        UserError: the runs have other classes or tasks, or a sequence is tested twice.
    """
    store = connect()
    truth, found = [], []
    seen: set[bytes] = set()
    first = None
    for run_id in member_runs(store, run_ids):
        spec = results.spec_of(run_id, store)
        data = results.dataset(run_id, store=store)
        first = first or data
        if (data.classes, data.task) != (first.classes, first.task):
            raise UserError(f"runs must have the same classes and task: {run_id} has others")
        codes = np.asarray(data.test.codes[:])
        own = tested(data)
        if own & seen:
            raise UserError(
                f"runs must be tested on different sequences, as folds are: {run_id} shares "
                f"{len(own & seen):,} with the runs before it"
            )
        seen |= own
        truth.append(np.asarray(data.test.labels[:]))
        found.append(predict(results.model(run_id, store), codes, average=spec.average))
    assert first is not None
    rows = test_rows(np.concatenate(truth), np.concatenate(found), first.classes, first.task)
    return Pooled(rows, tuple(map(len, truth)), metrics(rows, "pooled_"))
