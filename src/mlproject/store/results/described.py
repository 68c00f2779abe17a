"""What the tags and inputs of a run say: its spec, the profile of its data set, its address."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import pandas

from mlproject.architectures import recorded_spec
from mlproject.data.paper import RELEVANT
from mlproject.names import Tag, metric_name
from mlproject.spec import RunSpec
from mlproject.store import Store, connect
from mlproject.store.results.recorded import Profile, parse_spec
from mlproject.system.errors import UserError

MATCHES = "/match_jaspar"
Run: TypeAlias = str | Mapping[str, Any] | pandas.Series


def spec_of(run: Run, store: Store | None = None) -> RunSpec:
    """Return a run's spec; arguments as for `history`."""
    if isinstance(run, str):
        tags = (store or connect()).run(run).data.tags
        if Tag.SPEC not in tags:
            raise UserError(f"run `{run}` must be one of this project: it has no spec")
        try:
            return parse_spec(tags[Tag.SPEC])
        except UserError as error:
            raise UserError(f"run `{run}` cannot be read: {error}") from error
    return recorded_spec(run["spec"])


def relevant(row: Mapping[str, Any] | pandas.Series) -> dict[str, tuple[str, ...]]:
    """Return class -> ids of relevant motifs of a run's data set, from its row.

    They are in the profile of the run's inputs. In runs without a profile, the paper's classes have
    the paper's motifs, and other classes have none.
    """
    profile = profile_of(row["inputs"], str(row["run_id"]))
    if "relevant" in profile:
        return {name: tuple(ids) for name, ids in profile["relevant"].items()}
    found = [name for name in RELEVANT if f"conv1/filters/{metric_name(name)}" in row]
    return {name: RELEVANT[name] for name in found}


def first_layer(row: Mapping[str, Any] | pandas.Series) -> str:
    """Return the layer whose filters stand for a run: the first that was read, mostly ``conv1``."""
    named = [*str(row.get("layers", "")).split(","), *(str(name) for name in row.keys())]  # noqa: SIM118
    for name in named:
        layer = name.removesuffix(MATCHES)
        if not layer.startswith("val_") and pandas.notna(row.get(f"{layer}{MATCHES}")):
            return layer
    return "conv1"


def profile_of(inputs: Any, run_id: str) -> dict[str, Any]:
    """Return the profile of a run's data set: ``length``, ``classes``, ``relevant``.

    Raises:
        UserError: the profile is invalid.
    """
    for one in inputs.dataset_inputs if inputs else ():
        try:
            profile = Profile.model_validate_json(one.dataset.profile or "{}")
        except ValueError as error:
            raise UserError(
                f"the profile of the data set of run `{run_id}` cannot be read: "
                f"{' '.join(str(error).split())[:200]}"
            ) from error
        if "relevant" in profile.model_fields_set:
            return profile.model_dump(exclude_unset=True)
    return {}


def address(row: Mapping[str, Any] | pandas.Series, base: str) -> str:
    """Return the address of a run in the MLflow UI that runs at `base`."""
    return f"{base.rstrip('/')}/#/experiments/{row['experiment_id']}/runs/{row['run_id']}"


def id_of(run: Run, store: Store) -> str:
    """Return the id of a run, given its id, the start of its id, or its row."""
    return store.full_id(run) if isinstance(run, str) else str(run["run_id"])
