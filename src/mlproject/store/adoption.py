"""The run that ``mlflow run`` makes for the process it starts, told by its environment."""

import os
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
from mlproject.store.basis import is_absent

PROJECT = Path(__file__).resolve().parents[3]


def offered_run() -> str | None:
    """Return the id in ``MLFLOW_RUN_ID``, None if there is none."""
    return os.environ.get("MLFLOW_RUN_ID") or None


def find_offered(client: mlflow.MlflowClient, run_id: str) -> tuple[Run | None, str]:
    """Return the run if it was made for this process, else None and why it is left alone.

    A left-over ``MLFLOW_RUN_ID`` may name any run: that of another program, or one with results.
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
    if not made_by_mlflow_run or not _of_this_project(tags.get(MLFLOW_SOURCE_NAME, "")):
        return None, "`mlflow run` has not made it for this project"
    ours = any(is_project_tag(name) for name in tags)
    if ours or run.data.metrics or (run.outputs and run.outputs.model_outputs):
        return None, "it has results"
    return run, ""


def _of_this_project(source: str) -> bool:
    """Return whether a source is this checkout, or an address of which it may be a clone."""
    address, _, below = source.partition("#")
    if address.startswith("file://"):
        address = unquote(urlsplit(address).path)
    elif "://" in address or (":" in address and not Path(address).exists()):
        return True  # such as git@github.com:...; it is cloned to a temporary folder
    try:
        return (Path(address) / below).samefile(PROJECT)
    except OSError:
        return False
