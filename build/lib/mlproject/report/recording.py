"""Build a report, write it to a folder, record it as a run of the tracking store."""

import shutil
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mlproject.names import Tag
from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.report.document import Report
from mlproject.report.page import write_report
from mlproject.store import Store, connect, first_line
from mlproject.store.environment import offered_run_id


class WrittenReport(NamedTuple):
    """A report that was written to a folder.

    Attributes:
        report: its tables and figures.
        files: the files that were written.
        run_id: run of the tracking store that holds copies of the files, None if there is none.
    """

    report: Report
    files: list[Path]
    run_id: str | None


def make_report(request: ReportRequest, out: Path, record: bool = True) -> WrittenReport:
    """Build a report from the tracking store, write it to a folder, record it as a run.

    Args:
        request: choice of runs, tables and figures.
        out: folder to write to.
        record: whether the files become artifacts of a report run.

    Raises:
        UserError: see `build` and `write_report`, or the store cannot be written.
    """
    store = connect()
    report = build(request, store)
    files = write_report(report, out)
    run_id = _record(report, files, out, store) if record else None
    return WrittenReport(report, files, run_id)


def _record(report: Report, files: list[Path], out: Path, store: Store) -> str:
    experiment = None if offered_run_id() else report.experiment
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
