"""The command `report`: build it, write it, record it."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mlproject.names import Tag
from mlproject.report.build import build
from mlproject.report.content import Report, Wish
from mlproject.report.page import write_report
from mlproject.store import Store, connect, first_line


class Made(NamedTuple):
    """What was made: the report, its files, the run that holds them (None: not recorded)."""

    report: Report
    files: list[Path]
    run_id: str | None


def make_report(
    wish: Wish, out: Path, record: bool = True, tell: Callable[[str], None] = lambda text: None
) -> Made:
    """Build a report from the tracking store, write it to a folder, record it as a run.

    Args:
        wish: what to report.
        out: folder to write to.
        record: whether the files become artifacts of a report run.
        tell: is told what is going on.

    Raises:
        UserError: see `build` and `write_report`, or the store cannot be written.
    """
    store = connect()
    report = build(wish, store, tell)
    tell("writing")
    files = write_report(report, out)
    run_id = _record(report, files, out, store) if record else None
    return Made(report, files, run_id)


def _record(report: Report, files: list[Path], out: Path, store: Store) -> str:
    experiment = None if "MLFLOW_RUN_ID" in os.environ else report.experiment
    tracker = store.start("report", {Tag.REPORT: "1"}, Path("runs"), experiment)
    try:
        tracker.note("\n".join(f"- {line}" for line in report.summary))
        for path in files:
            copy = partial(shutil.copyfile, path)
            tracker.artifact(path.relative_to(out).as_posix(), copy)
    except BaseException as error:
        tracker.finish("FAILED", first_line(error))
        raise
    tracker.finish("FINISHED")
    return tracker.run_id
