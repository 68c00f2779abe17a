"""Find and make experiments, by name or from MLflow's environment; deleted ones are refused."""

import os

import mlflow
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException

from mlproject.store.errors import is_absent
from mlproject.system.errors import UserError, short_repr

LONGEST_NAME = 500  # characters, the limit of MLflow
WAYS = "MLFLOW_EXPERIMENT_NAME, `--experiment` or, with `mlflow run`, `--experiment-name`"


def find_experiment(client: mlflow.MlflowClient, name: str | None) -> Experiment | None:
    """Return the experiment `name` (default: that of MLflow's environment), None if none exists.

    Raises:
        UserError: it is deleted, no experiment has the id in ``MLFLOW_EXPERIMENT_ID``, or the name
            is empty, too long, or has line breaks.
    """
    found: Experiment | None
    by_id = os.environ.get("MLFLOW_EXPERIMENT_ID") if name is None else None
    if by_id:
        try:
            found = client.get_experiment(by_id)
        except MlflowException as error:
            if not is_absent(error):
                raise
            raise UserError(
                f"`MLFLOW_EXPERIMENT_ID` must be the id of an experiment in the tracking store: "
                f"got {by_id}, which does not exist; unset it, or choose with {WAYS}"
            ) from error
    else:
        found = client.get_experiment_by_name(_name(name))
    if found is not None and found.lifecycle_stage == "deleted":
        raise UserError(
            f"experiment {found.name!r} (id {found.experiment_id}) is deleted: restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`, or choose "
            f"another with {WAYS}"
        )
    return found


def make_experiment(client: mlflow.MlflowClient, name: str | None) -> str:
    """Return the id of the experiment, which is made if it does not exist.

    Several processes may make the same experiment at once.

    Raises:
        UserError: see `find_experiment`.
    """
    found = find_experiment(client, name)
    if found is None:
        try:
            return str(client.create_experiment(_name(name)))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = find_experiment(client, name)
            if found is None:
                raise
    return str(found.experiment_id)


def _name(name: str | None) -> str:
    found = name or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
    if not (found.strip() and found.isprintable() and len(found) <= LONGEST_NAME):
        raise UserError(
            f"the name of an experiment must be one line of 1 to {LONGEST_NAME} characters: got "
            f"{short_repr(found)}; choose another with {WAYS}"
        )
    return found
