"""MLflow's model registry: versions of a named model, each of a run."""

import re

from mlflow.exceptions import MlflowException

from mlproject.store.connection import StoreConnection
from mlproject.store.errors import STORE_ERRORS, first_line
from mlproject.store.models import DNA, NETWORK
from mlproject.system.errors import UserError

BEST = "best"
MOST_NAME = 200

_name = re.compile(r"[^/:]+").fullmatch


def check_registered_name(name: str) -> None:
    """Raise a `UserError` for a name that MLflow's registry refuses."""
    if not _name(name) or len(name) > MOST_NAME or not name.isprintable() or name != name.strip():
        raise UserError(
            f"`--register` must be a name of at most {MOST_NAME} letters without / and : : got "
            f"{name[:60]!r}"
        )


def check_registry(store: StoreConnection, name: str) -> None:
    """Raise a `UserError` for a name that `register` would refuse, or if no registry answers."""
    check_registered_name(name)
    try:
        store.client.search_registered_models(max_results=1)
    except STORE_ERRORS as error:
        raise UserError(
            f"`--register` needs a registry of models: it answers '{first_line(error)}'; start it, "
            "or set MLFLOW_REGISTRY_URI"
        ) from error


def register(store: StoreConnection, run_id: str, name: str, alias: str = "") -> str:
    """Make the logged model of a run a version of a registered model.

    The model that takes DNA is registered, where the run has one. A run that is registered already
    keeps its version.

    Args:
        store: where the run is.
        run_id: the run.
        name: of the registered model, which is made if it does not exist.
        alias: to set to the version, such as ``best``; "" for none.

    Returns:
        The version, ``1``, ``2``, ...

    Raises:
        UserError: the run has no logged model, or the registry refuses.
    """
    check_registered_name(name)
    models = store.logged_models(run_id)
    logged = models.get(DNA) or models.get(NETWORK)
    if logged is None:
        raise UserError(f"run `{run_id}` has logged no model: train it, or take another run")
    client = store.client
    try:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        full = store.full_id(run_id)
        known = client.search_model_versions(f"run_id = '{full}'")
        own = [one for one in known if (one.name, one.source) == (name, logged.artifact_location)]
        version = own[0] if own else client.create_model_version(
            name, logged.artifact_location, run_id=full, model_id=logged.model_id
        )  # fmt: skip
        if alias:
            client.set_registered_model_alias(name, alias, str(version.version))
    except STORE_ERRORS as error:
        raise UserError(
            f"the model of run `{run_id}` cannot be registered as {name!r}: {first_line(error)}"
        ) from error
    return str(version.version)
