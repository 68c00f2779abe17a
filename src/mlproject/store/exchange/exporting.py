"""``export``: write finished runs of the tracking store as small folders, with a table."""

import csv
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas

from mlproject.architectures import network_order
from mlproject.names import Artifact, Tag, tag
from mlproject.store.client import Store
from mlproject.store.errors import STORE_ERRORS, first_line
from mlproject.store.exchange import folder as folders
from mlproject.store.exchange.checks import SUFFIXES, is_file_name
from mlproject.store.exchange.folder import RUNS, key_of, read_all
from mlproject.store.results import frame
from mlproject.store.results.conditions import equals, parse
from mlproject.store.transfer import RecordedRun, read_run
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file
from mlproject.system.messages import quantity
from mlproject.system.numbers import whole_number

ROOM = 1 << 20
FACTS = (
    "arch", "protocol", "seed", "spec_sha256", "train_sha256", "dataset_sha256", "metric_version",
    "backend", "device", "threads", "commit", "epochs_done",
)  # fmt: skip


class Exported(NamedTuple):
    """The result of `export`; runs are given by the names of their folders.

    Attributes:
        added: new folders.
        updated: folders that had fewer files or other content.
        same: folders that did not change.
        kept: folders of another run of the same spec, which did not change.
        left_out: files that exceeded the size limit.
        unreadable: a sentence on each run that could not be exported.
        table: the table of all runs of the folder.
    """

    added: list[str]
    updated: list[str]
    same: list[str]
    kept: list[str]
    left_out: list[str]
    unreadable: list[str]
    table: Path


def export(
    store: Store,
    out: Path,
    experiment: list[str] | None = None,
    where: str = "",
    weights: bool = False,
    run_ids: Sequence[str] = (),
) -> Exported:
    """Write the counted runs below ``out/runs`` and list all runs there in ``out/runs.csv``.

    Runs already in the folder stay. A run replaces another run of the same spec only if its metrics
    have a later version. A run that cannot be read is named and left out.

    Args:
        store: the tracking store.
        out: folder.
        experiment: names of the experiments, None: all.
        where: conditions, see `mlproject.results.runs`.
        weights: also the trained weights.
        run_ids: full ids of the only runs to write; none: all.

    Raises:
        UserError: see `mlproject.results.runs`; no run, or one of `run_ids`, is not finished, the
            folder cannot be written, or contains damaged runs.
    """
    chosen = [equals("run_id", run_ids)] if run_ids else []
    found = frame.find(experiment, [*parse(where), *chosen], store)
    unreadable = [
        line for line in found.unreadable if not run_ids or any(one in line for one in run_ids)
    ]
    _require_finished(run_ids, found.runs, unreadable)
    done = Exported([], [], [], [], [], unreadable, out / "runs.csv")
    present = {key_of(run): run for run in _present(out)}
    counted = frame.counted(found.runs).sort_values(
        "metric_version", key=lambda column: column.map(_version)
    )
    if counted.empty and not unreadable:
        known = quantity(len(found.runs), "run")
        raise UserError(f"`export` writes finished runs: got none among {known} found")
    for row in counted.to_dict("records"):
        try:
            recorded = read_run(
                store, store.run(row["run_id"]), SUFFIXES, (Artifact.WEIGHTS,) * weights
            )
        except (UserError, *STORE_ERRORS) as error:
            _require_room()
            _require_answer(store)
            done.unreadable.append(_left_out(row["run_id"], error))
            continue
        try:
            _export(out, recorded, present, done)
        except UserError:
            raise
        except (KeyError, ValueError) as error:
            done.unreadable.append(_left_out(row["run_id"], error))
    with atomic_file(done.table) as file:
        file.write(_table(list(present.values())).encode())
    return done


def _require_finished(
    run_ids: Sequence[str], runs: pandas.DataFrame, unreadable: list[str]
) -> None:
    """Raise a `UserError` if a chosen run has no results to write."""
    states = dict(zip(runs["run_id"], runs["state"], strict=True))
    for run_id in run_ids:
        state = states.get(run_id, "no run of this project")
        if state not in (frame.COUNTED, "duplicate") and not any(
            run_id in line for line in unreadable
        ):
            raise UserError(f"`export` writes finished runs: {run_id} is {state}")


def _left_out(run_id: str, error: Exception) -> str:
    return f"run `{run_id}` is left out, it cannot be read completely: {first_line(error)}"


def _require_room() -> None:
    """Raise a `UserError` if this machine has no room for the files of a run."""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError as error:
        raise UserError(
            f"`export` needs room for the files of a run in {tempfile.gettempdir()}: "
            f"{error.strerror or error}; free some, or set TMPDIR"
        ) from error


def _require_answer(store: Store) -> None:
    """Raise a `UserError` if the store does not answer, so that no run can be read."""
    try:
        store.client.search_experiments(max_results=1)
    except STORE_ERRORS as error:
        raise UserError(
            f"the tracking store must answer: {store.address} answers '{first_line(error)}'; start "
            "it again, then continue with `export`"
        ) from error


def _present(out: Path) -> list[RecordedRun]:
    """Return the runs of the folder, after the repair of a replacement that was cut off."""
    if not (out / RUNS).is_dir():
        return []
    try:
        for folder in folders.partial_folders(out):
            folders.recover(folder)
    except OSError as error:
        raise UserError(f"cannot write {out / RUNS}: {error.strerror or error}") from error
    return read_all(out)


def _export(
    out: Path, recorded: RecordedRun, present: dict[str, RecordedRun], done: Exported
) -> None:
    key = key_of(recorded)
    before = present.get(key)
    if before and before.run_id != recorded.run_id and not _is_later(recorded, before):
        done.kept.append(key)
        return
    if before and before.run_id == recorded.run_id and Artifact.WEIGHTS in before.files:
        recorded.files.setdefault(Artifact.WEIGHTS, before.files[Artifact.WEIGHTS])
    for name in [name for name in recorded.files if not is_file_name(name)]:
        del recorded.files[name]
        done.left_out.append(f"{key}/{name!r} ({recorded.name})")
    left_out = folders.write(out / RUNS / key, recorded) if recorded != before else []
    done.left_out.extend(left_out)
    (done.added if before is None else done.updated if recorded != before else done.same).append(
        key
    )
    present[key] = recorded


def _version(text: str | None) -> int:
    return whole_number(text or "") or 0


def _is_later(recorded: RecordedRun, before: RecordedRun) -> bool:
    versions = [_version(one.tags.get(Tag.METRIC_VERSION)) for one in (recorded, before)]
    return versions[0] > versions[1]


def _table(runs: list[RecordedRun]) -> str:
    """Return all runs as CSV, a row each, in the order of the paper's networks and the seed."""
    finals = [
        {one.metric: one.value for one in recorded.metrics if one.step == 0} for recorded in runs
    ]
    metrics = sorted({name for values in finals for name in values})
    rows = []
    for recorded, values in zip(runs, finals, strict=True):
        tags = recorded.tags
        spec = json.loads(tags[Tag.SPEC])
        facts: dict[str, Any] = {name: tags.get(tag(name), "") for name in FACTS}
        facts |= {"seed": spec["seed"], "commit": tags.get(Tag.COMMIT, "")[:12]}
        facts["epochs_done"] = max((one.step for one in recorded.metrics), default=0)
        place = (
            network_order(facts["arch"]), facts["protocol"], spec["seed"], facts["spec_sha256"],
        )  # fmt: skip
        cells = [facts[name] for name in FACTS]
        cells += [f"{values[name]:.6g}" if name in values else "" for name in metrics]
        rows.append((place, cells))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FACTS, *metrics])
    writer.writerows(cells for _, cells in sorted(rows))
    return text.getvalue()
