"""One or several trained networks of the same classes, as one."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlproject import results
from mlproject.insilico.embedding import Score
from mlproject.names import distinct, metric_names
from mlproject.network.build import predictor
from mlproject.run.members import member_runs
from mlproject.run.scoring import BATCH, logit_score
from mlproject.store import connect
from mlproject.store.results.described import profile_of
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity


class Ensemble(NamedTuple):
    """Trained networks.

    Attributes:
        run_ids: their runs.
        classes: names of their outputs.
        length: nt of their sequences.
        probabilities: of each network, from codes (N, length) to (N, classes), as in its test.
        logits: of each network, of the given strand.
    """

    run_ids: tuple[str, ...]
    classes: tuple[str, ...]
    length: int
    probabilities: tuple[Score, ...]
    logits: tuple[Score, ...]

    @property
    def columns(self) -> list[str]:
        """Columns of tables: the classes, and with several networks ``CLASS_sd`` of each."""
        deviations = [f"{name}_sd" for name in self.classes] if len(self.run_ids) > 1 else []
        return distinct([*self.classes, *deviations])


def load_ensemble(run_ids: Sequence[str]) -> Ensemble:
    """Return the networks of runs.

    Raises:
        UserError: a run does not exist or has no model, is given twice, or the runs have other
            classes, lengths or tasks.
    """
    store = connect()
    ids = member_runs(store, run_ids)
    found: list[tuple[tuple[str, ...], int, str]] = []
    probabilities: list[Score] = []
    logits: list[Score] = []
    for run_id in ids:
        model = results.model(run_id, store)
        classes = tuple(map(str, results.per_class(run_id, store)["name"]))
        task = profile_of(store.run(run_id).inputs, run_id).get("task", "binary")
        found.append((classes, int(model.input_shape[1]), task))
        if found[-1] != found[0]:
            raise UserError(
                f"runs must have the same classes, length of sequences and task: {ids[0]} has "
                f"{_described(*found[0])}, {run_id} {_described(*found[-1])}"
            )
        average = results.spec_of(run_id, store).average == "reverse_complement"
        scores = predictor(model, BATCH)
        probabilities.append(_both(scores) if average else scores)
        logits.append(logit_score(model))
    metric_names(found[0][0])
    return Ensemble(ids, *found[0][:2], tuple(probabilities), tuple(logits))


def combined(values: np.ndarray) -> np.ndarray:
    """Return means over networks, then standard deviations if there are several networks.

    Args:
        values: (networks, N, classes).

    Returns:
        (N, classes), or (N, 2 x classes).
    """
    mean = values.mean(axis=0, dtype=np.float64)
    if len(values) == 1:
        return mean
    return np.concatenate([mean, values.std(axis=0, ddof=1, dtype=np.float64)], axis=1)


def cell(value: float) -> str:
    """Return a number of a table, six digits."""
    return f"{value + 0.0:.6g}"


def _both(scores: Score) -> Score:
    from mlproject.sequence import reverse_complement

    return lambda codes: (scores(codes) + scores(reverse_complement(codes))) / 2


def _described(classes: tuple[str, ...], length: int, task: str) -> str:
    names = ", ".join(classes[:4]) + (", ..." if len(classes) > 4 else "")
    return f"{quantity(len(classes), 'class', 'classes')} ({names}) on {length} nt, {task}"
