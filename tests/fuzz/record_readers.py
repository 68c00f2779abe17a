"""How the project reads options, plans and what runs have left; all take the files' folder."""

import hashlib
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hdf5_seeds import OWNER
from readers import word
from record_seeds import exported, scan


def read_where(folder: Path) -> None:
    import pandas

    from mlproject.store.results.conditions import check_columns, parse, select

    columns = {"pool1": [1, 25], "arch": ["CNN-1", "CNN-25"], "x": [0.5, None], "y": [True, False]}
    conditions = parse(word(folder))
    check_columns([one.column for one in conditions], [*columns])
    select(pandas.DataFrame(columns), conditions)


def read_options(folder: Path) -> None:
    from mlproject.architectures import make_spec
    from mlproject.commands.train import spec_options

    spec = make_spec(spec_options(word(folder).split(" ")))
    spec.map_lengths(spec.length)
    spec.train_sha256("0" * 64)


def read_spec(folder: Path) -> None:
    from mlproject.architectures import recorded_spec

    try:
        values = json.loads((folder / "words").read_bytes())
    except (ValueError, RecursionError):
        return
    if isinstance(values, dict):
        recorded_spec(values)


def read_plan(folder: Path) -> None:
    from mlproject.sweeps.plan import expand
    from mlproject.sweeps.plan_file import read_plan as read

    plan = read(folder / "a.yaml")
    if plan.search is None:
        for number, _ in enumerate(expand(plan)):
            if number == 20:
                break


def read_scan(folder: Path) -> None:
    """A damaged scan is not used: what is used says what the whole one says."""
    from mlproject.run.baseline import read_pwm_scan

    (path,) = folder.iterdir()
    whole = _whole_scan()
    kept = read_pwm_scan(path, whole["dataset_sha256"])
    assert kept is None or json.loads(path.read_bytes()) == whole


@cache
def _whole_scan() -> dict[str, Any]:
    (content,) = scan().values()
    whole: dict[str, Any] = json.loads(content)
    return whole


def read_exported(folder: Path) -> None:
    """Read a run whose hashes are made to fit what was changed, so that all of it is looked at."""
    from mlproject.store.exchange.folder import RUN, read

    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError):
        about = json.loads((folder / RUN).read_bytes())
        for name in about["files"]:
            content = (folder / name).read_bytes()
            about["files"][name] = hashlib.sha256(content).hexdigest()
        about.pop("sha256", None)
        (folder / RUN).write_text(json.dumps(about))
    run = folder / _exported_key()
    run.mkdir()
    for path in [*folder.iterdir()]:
        if path != run:
            path.rename(run / path.name)
    assert read(run).files


@cache
def _exported_key() -> str:
    about = json.loads(exported()["run.json"])
    key: str = about["tags"]["mlproject.spec_sha256"][:16]
    return key


def read_journal(folder: Path) -> None:
    """What cannot be read is left out, and what is written afterwards is not."""
    from mlproject.store.journal import Journal

    record = Journal(folder)
    assert len(record.pending()) <= len(record.entries())
    assert record.status in (None, "FINISHED", "FAILED", "KILLED")
    assert isinstance(record.origin, dict)
    record.is_live()
    record.damaged()
    for entry in record.pending()[:1]:
        record.mark_delivered(entry)
    before = record.entries()
    record.append("tags", values={"last": "one"})
    after = Journal(folder).entries()
    assert after[: len(before)] == before  # a whole last line without its end counts from now on
    assert after[-1].content == {"values": {"last": "one"}}


def _seal(path: Path) -> None:
    """Give a changed file the hash that belongs to it, so that it is read in spite of that."""
    from mlproject.system.files import SEAL, SEAL_LENGTH, has_seal

    content = path.read_bytes()[: -SEAL_LENGTH if has_seal(path) else None]
    path.write_bytes(content + SEAL + hashlib.sha256(content).hexdigest().encode())


def read_attributions(folder: Path) -> None:
    from mlproject.attribution.files import read_attributions

    _seal(folder / "a.h5")
    found = read_attributions(folder / "a.h5")
    assert found.importance.shape == found.contributions.shape == found.codes.shape


def read_state(folder: Path) -> None:
    from mlproject.network.checkpoint import read, read_history

    read_history(folder / "a.h5")
    read(folder / "a.h5", OWNER)


def read_sealed_state(folder: Path) -> None:
    _seal(folder / "a.h5")
    read_state(folder)
