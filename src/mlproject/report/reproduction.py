"""The page of a reproduction: the exported runs of a folder beside the published numbers.

The page depends on the files in the folder only, so that anybody can make it again.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mlproject import results
from mlproject.draw.output import save_figure
from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.report.document import Report
from mlproject.report.page import small
from mlproject.report.papers.reading import paper_names, read_paper
from mlproject.report.published import PAPER
from mlproject.report.reproduction_page import markdown, paper_page
from mlproject.report.table import Table
from mlproject.store import temporary_store
from mlproject.store.exchange.folder import RUNS
from mlproject.store.exchange.importing import import_runs
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file, atomic_folder
from mlproject.system.texts import decoded

MARK = "<!-- made by `python -m mlproject report --reproduction"
PICTURES = ("message", "filters", "fig2", "fig3", "atlas_synthetic", "figS1", "truth_filters")
LARGEST, COLORS = 290_000, (64, 32, 16, 8)


def make_reproductions(folder: Path) -> list[Path]:
    """Write the pages of a folder of exported runs, or of each paper's folder in it.

    A folder of the name of a paper, see `paper_names`, has runs of that paper; any other folder has
    runs of the first paper. Several papers get an index, ``README.md``.

    Returns:
        The files, README.md first.

    Raises:
        UserError: see `make_reproduction`.
    """
    if folder.name in paper_names():
        return make_reproduction(folder, folder.name)
    papers = [name for name in paper_names() if (folder / name / RUNS).is_dir()]
    if not papers:
        return make_reproduction(folder)
    _check_own(folder / "README.md")
    paths = [path for name in papers for path in make_reproduction(folder / name, name)]
    index = folder / "README.md"
    with atomic_file(index) as file:
        file.write(_index(folder, papers).encode())
    return [index, *paths]


def _index(folder: Path, papers: Sequence[str]) -> str:
    """Return the page of all papers: title, first paragraphs and first picture of each page."""
    parts = [f"{MARK} FOLDER`, do not edit -->", "# Papers, trained again"]
    for name in papers:
        title, *lines = (folder / name / "README.md").read_text(encoding="utf-8").split("\n\n")[1:4]
        title = title.removeprefix("# ")
        parts += [f"## [{title}]({name}/README.md)"]
        parts += [line for line in lines if not line.startswith("#")]
        drawn = ["message"]
        if name != PAPER:
            drawn = [one.name for one in read_paper(name).parts()]
        found = [one for one in drawn if (folder / name / "figures" / f"{one}.png").exists()]
        parts += [f"![{title}]({name}/figures/{one}.png)" for one in found[:1]]
    return "\n\n".join(parts) + "\n"


def make_reproduction(folder: Path, paper: str = PAPER) -> list[Path]:
    """Write ``README.md``, ``figures/`` and ``tables/`` (CSV) of the runs that `folder` has.

    If the folder has ``notes.md``, it becomes a section.

    Args:
        folder: where `mlproject.store.exchange.exporting.export` wrote the runs.
        paper: the paper that they reproduce.

    Returns:
        The files, README.md first.

    Raises:
        UserError: no exported runs, damaged ones, or a README.md that is not of this kind.
    """
    _check_own(folder / "README.md")
    notes = _notes(folder / "notes.md")
    with temporary_store() as store:
        import_runs(store, folder, "runs")
        counted = results.counted(results.runs("runs", store=store))
        if counted.empty:
            raise UserError(f"`--reproduction` needs runs that `export` wrote: {folder} has none")
        report = build(ReportRequest(experiment=("runs",), paper=paper), store)
    own = paper == PAPER
    page = markdown(report, counted, notes) if own else paper_page(paper, report, counted, notes)
    texts = {"README.md": page}
    texts |= {f"tables/{one.name}.csv": one.csv() for one in _tables(report)}
    paths = []
    with atomic_folder(folder) as aside:
        for name, text in texts.items():
            with atomic_file(aside / name) as file:
                file.write(text.encode())
            paths.append(folder / name)
        for name in PICTURES if own else report.pictures:
            if name in report.pictures:
                (path,) = save_figure(
                    report.pictures[name].figure, aside / "figures" / name, ["png"]
                )
                _shrink(path)
                paths.append(folder / "figures" / path.name)
    return paths


def _notes(path: Path) -> str:
    try:
        return decoded(path.read_bytes()).strip() if path.exists() else ""
    except ValueError as error:
        raise UserError(f"notes must be readable text: {path}: {error}") from error


def _check_own(readme: Path) -> None:
    """Raise a `UserError` if a README.md exists that is not a page of a reproduction."""
    if readme.exists() and not readme.read_text(encoding="utf-8", errors="replace").startswith(
        MARK
    ):
        raise UserError(
            f"`--reproduction` writes README.md: {readme} was not written by it; move the file, or "
            "rename it to notes.md to have it as a section"
        )


def _tables(report: Report) -> list[Table]:
    """Return the tables that become files, without the ids of runs: each import makes new ones."""
    return [
        dataclasses.replace(
            one, rows=[{k: v for k, v in row.items() if k != "run_ids"} for row in one.rows]
        )
        for one in report.tables
        if one.name not in ("runs", "table2")
    ]


def _shrink(path: Path) -> None:
    """Reduce the colours of a picture until its file is small enough for a repository."""
    content = path.read_bytes()
    for colors in COLORS:
        content = small(path, colors)
        if len(content) <= LARGEST:
            break
    with atomic_file(path) as file:
        file.write(content)
