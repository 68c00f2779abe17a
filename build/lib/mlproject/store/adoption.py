"""The run that ``mlflow run`` makes for the process it starts, named by ``MLFLOW_RUN_ID``."""

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_PROJECT_ENTRY_POINT,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from mlproject.names import is_project_tag
from mlproject.store.environment import offered_run_id
from mlproject.store.errors import is_absent
from mlproject.system.variables import take_run_id

PROJECT = Path(__file__).resolve().parents[3]


def find_offered_run(client: mlflow.MlflowClient) -> Run | None:
    """Return the run that ``mlflow run`` made for this process.

    Any other run in ``MLFLOW_RUN_ID`` is not used: a note says why, and the variable is removed.
    """
    run_id = offered_run_id()
    if run_id is None:
        return None
    run, reason = check_offered_run(client, run_id)
    if run is None:
        print(f"note: MLFLOW_RUN_ID={run_id} is not used: {reason}", file=sys.stderr)
        take_run_id()
    return run


def check_offered_run(client: mlflow.MlflowClient, run_id: str) -> tuple[Run | None, str]:
    """Return the run if it was made for this process, else None and the reason.

    A left-over ``MLFLOW_RUN_ID`` may name a run of another program, or one with results.
    """
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if not is_absent(error):
            raise
        return None, "the tracking store has no such run"
    tags = run.data.tags
    if run.info.lifecycle_stage == "deleted":
        return None, "it is deleted"
    if run.info.status != "RUNNING":
        return None, f"it is {run.info.status}"
    made_by_mlflow_run = (
        tags.get(MLFLOW_SOURCE_TYPE) == "PROJECT" and MLFLOW_PROJECT_ENTRY_POINT in tags
    )
    if not made_by_mlflow_run or not _is_this_project(tags.get(MLFLOW_SOURCE_NAME, "")):
        return None, "`mlflow run` did not make it for this project"
    has_our_tags = any(is_project_tag(name) for name in tags)
    if has_our_tags or run.data.metrics or (run.outputs and run.outputs.model_outputs):
        return None, "it has results"
    return run, ""


def _is_this_project(source: str) -> bool:
    """Return whether a source is this checkout, or the address of a repository."""
    address, _, below = source.partition("#")
    if address.startswith("file://"):
        address = unquote(urlsplit(address).path)
    elif "://" in address or (":" in address and not Path(address).exists()):
        return True  # such as git@github.com:...; MLflow clones it to a temporary folder
    try:
        return (Path(address) / below).samefile(PROJECT)
    except OSError:
        return False
