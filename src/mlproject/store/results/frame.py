"""The runs of a tracking server as one typed table, a row for each run."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas

from mlproject.architectures import make_spec
from mlproject.fields import Group, canonical_sha256
from mlproject.names import Tag, tag
from mlproject.parameters import field_info, field_names, kind_of
from mlproject.spec import fields_of
from mlproject.store import STORE_ERRORS, Store, connect, first_line
from mlproject.store.results.conditions import (
    Condition,
    check_columns,
    equals,
    parse,
    select,
    unknown_values,
)
from mlproject.store.results.recorded import parse_spec
from mlproject.system.errors import UserError, nearest
from mlproject.system.masking import mask_addresses

COUNTED = "finished"
FACTS = ("run_id", "name", "experiment", "state", "started", "seconds", "parent", "imported")
TAGS = (
    "arch", "protocol", "spec_sha256", "train_sha256", "dataset_sha256", "metric_version",
    "backend", "device",
)  # fmt: skip
HIDDEN = ("spec", "experiment_id", "inputs", "replicates")
_STATES = {"RUNNING": "running", "SCHEDULED": "running", "FAILED": "failed", "KILLED": "killed"}
_VARYING = (
    "seed", *fields_of(Group.DATA), "attributions", "attributed", "embedded", "backgrounds",
)  # fmt: skip


class Found(NamedTuple):
    """The runs of a tracking server.

    Attributes:
        runs: the table that `runs` returns.
        unreadable: a sentence on each run that cannot be read.
        hints: a sentence on each condition with a value that no run has.
    """

    runs: pandas.DataFrame
    unreadable: list[str]
    hints: tuple[str, ...] = ()


def runs(
    experiment: str | Sequence[str] | None = None,
    where: str = "",
    store: Store | None = None,
    **equal: object,
) -> pandas.DataFrame:
    """Return the runs of this project on a tracking server, oldest first.

    Args:
        experiment: name of the experiment, or several; None: all.
        where: conditions such as ``"pool1 >= 10 and test_auroc > 0.9"``, see
            `mlproject.store.results.conditions.parse`.
        store: the tracking store; None: the one that ``MLFLOW_TRACKING_URI`` names.
        equal: columns and their required value, or several allowed values: ``arch="CNN-25"``,
            ``pool1=[10, 25]``.

    Returns:
        One row a run. Columns: the facts ``run_id name experiment state started seconds parent
        imported``; tags without their prefix (``arch protocol spec_sha256 ...``); the spec's
        fields (``pool1`` is Int64, ``l2`` float64); final metrics (``test_auroc``,
        ``conv1/match_relevant``, float64). ``state`` is ``finished`` for a run that counts, else
        ``duplicate`` (a run of the same spec, data set and metric version finished earlier),
        ``resumed`` (another run continued it), ``running``, ``failed`` or ``killed``. The columns
        `HIDDEN` serve other functions; ``replicates`` is equal for runs that differ in the seed
        only: same spec otherwise, same data set, same metric version. A run that cannot be read is
        left out, with a warning that names it. A text that no run has, such as ``arch="CNN25"``,
        gives a warning with the nearest ones.

    Raises:
        UserError: an experiment or a column does not exist, a condition is invalid, or the server
            does not answer.
    """
    conditions = [*parse(where), *(equals(name, value) for name, value in equal.items())]
    found = find(experiment, conditions, store)
    for text in (*found.unreadable, *found.hints):
        warnings.warn(text, stacklevel=2)
    return found.runs


def find(
    experiment: str | Sequence[str] | None = None,
    conditions: Sequence[Condition] = (),
    store: Store | None = None,
) -> Found:
    """Return the table of `runs`, and its warnings."""
    store = store or connect()
    try:
        found, unreadable = _rows(store, _experiments(store, experiment))
    except STORE_ERRORS as error:
        raise UserError(
            f"the tracking store must answer: {store.address} answers '{first_line(error)}'; "
            "start it, or set MLFLOW_TRACKING_URI"
        ) from error
    frame = _typed(found)
    hints: tuple[str, ...] = ()
    if len(frame):
        check_columns([condition.column for condition in conditions], visible(frame))
        hints = tuple(unknown_values(frame, conditions))
        frame = select(frame, conditions)
    return Found(_with_state(frame), unreadable, hints)


def counted(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Return the runs that count: finished runs, one for each spec."""
    return frame[frame["state"] == COUNTED]


def visible(frame: pandas.DataFrame) -> list[str]:
    """Return the names of a table's columns that users may name."""
    return [name for name in frame.columns if name not in HIDDEN]


def metric_columns(frame: pandas.DataFrame) -> list[str]:
    """Return the names of a table's columns that hold final metrics."""
    names = [str(name) for name in frame.columns]
    known = {*FACTS, *TAGS, *HIDDEN}
    return [
        name
        for name in names
        if name not in known
        and field_info(name) is None
        and pandas.api.types.is_float_dtype(frame[name])
    ]


def _experiments(store: Store, wanted: str | Sequence[str] | None) -> dict[str, str]:
    """Return id -> name of the wanted experiments."""
    names = {one.experiment_id: one.name for one in store.client.search_experiments()}
    if wanted is None:
        return names
    chosen = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in chosen:
        if name not in names.values():
            raise UserError(
                f"no experiment {name!r} in {store.address}: {nearest(name, names.values())}"
            )
    return {key: name for key, name in names.items() if name in chosen}


def _rows(store: Store, experiments: Mapping[str, str]) -> tuple[list[dict[str, Any]], list[str]]:
    rows: list[dict[str, Any]] = []
    unreadable: list[str] = []
    for run in store.search(list(experiments), order="start_time ASC"):
        if Tag.SPEC in run.data.tags:
            try:
                rows.append(_row(run, experiments))
            except UserError as error:
                unreadable.append(f"run `{run.info.run_id}` is left out: {error}")
    return rows, unreadable


def _row(run: Any, experiments: Mapping[str, str]) -> dict[str, Any]:
    info, tags = run.info, run.data.tags
    end = info.end_time or info.start_time
    parsed = parse_spec(tags[Tag.SPEC])
    spec = parsed.flat()
    row: dict[str, Any] = dict(run.data.metrics)
    row |= {
        "run_id": info.run_id,
        "name": mask_addresses(info.run_name or ""),
        "experiment": experiments[info.experiment_id],
        "state": _state(info.status, tags),
        "started": info.start_time,
        "seconds": (end - info.start_time) / 1000,
        "parent": tags.get(Tag.PARENT),
        "imported": Tag.IMPORTED in tags,
    }
    known = {name: tags.get(tag(name)) for name in TAGS}
    row |= {name: value and mask_addresses(value) for name, value in known.items()}
    row |= parsed.columns()
    alike = {key: value for key, value in spec.items() if key not in _VARYING}
    row["replicates"] = canonical_sha256(
        alike | {"data": row["dataset_sha256"], "version": row["metric_version"]}
    )
    row |= {"spec": spec, "experiment_id": info.experiment_id, "inputs": run.inputs}
    return row


def _state(status: str, tags: Mapping[str, str]) -> str:
    if Tag.RESUMED_BY in tags:
        return "resumed"
    return _STATES.get(status, COUNTED)


def _typed(rows: list[dict[str, Any]]) -> pandas.DataFrame:
    if not rows:
        plain = make_spec({}).flat()
        rows_of_none = dict.fromkeys([*FACTS, *TAGS, *plain, *HIDDEN], None)
        return pandas.DataFrame(columns=list(rows_of_none))
    frame = pandas.DataFrame.from_records(rows)
    usual = field_names()
    fields = [name for name in usual if name in frame]
    fields += [name for name in frame if field_info(str(name)) and name not in usual]
    known = [*FACTS, *TAGS, *fields]
    metrics = sorted(name for name in frame if name not in known and name not in HIDDEN)
    frame = frame[[*known, *metrics, *HIDDEN]]
    kinds: dict[str, str] = dict.fromkeys(metrics, "float64") | {"seconds": "float64"}
    for name in fields:
        kind = kind_of(name, *frame[name].dropna())
        if kind is not str:
            kinds[name] = "Int64" if kind is int else "float64"
    frame = frame.astype(kinds).copy()  # one block again: pandas warns about fragmented frames
    return frame.assign(started=pandas.to_datetime(frame["started"], unit="ms", utc=True))


def _with_state(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Mark the second and later finished runs of one spec as duplicates."""
    if not len(frame):
        return frame
    done = frame[frame["state"] == COUNTED]
    again = done[["spec_sha256", "metric_version"]].duplicated()
    state = frame["state"].mask(frame.index.isin(done.index[again]), "duplicate")
    return frame.assign(state=state).reset_index(drop=True)
