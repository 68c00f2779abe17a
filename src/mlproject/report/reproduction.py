"""The page of a reproduction: what the exported runs of a folder say, beside what the paper says.

It is made of the files in the folder alone, so that anybody can make it again.
"""

import dataclasses
import re
from pathlib import Path

import pandas

from mlproject import results
from mlproject.draw.logos import save
from mlproject.draw.templating import text_template
from mlproject.report.build import build
from mlproject.report.content import Report, Wish
from mlproject.report.cost import cost_table
from mlproject.report.page import small
from mlproject.report.paper_tables import label_of, main_table
from mlproject.report.published import SYNTHETIC
from mlproject.report.sentences import (
    METRICS,
    alignment_says,
    protocol_fields,
    protocol_says,
    result,
    short,
    verdicts,
    who,
)
from mlproject.report.table import Column, Table
from mlproject.store import temporary_store
from mlproject.store.exchange.importing import import_runs
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file, atomic_folder

MARK = "<!-- made by `python -m mlproject report --reproduction"
PICTURES = ("message", "filters", "fig2", "fig3", "atlas_synthetic", "figS1", "truth_filters")
LARGEST, COLORS = 290_000, (64, 32, 16, 8)


def make_reproduction(folder: Path) -> list[Path]:
    """Write ``README.md``, ``figures/`` and ``tables/`` (CSV) of the runs that `folder` has.

    ``notes.md`` of the folder, where there is one, becomes a section.

    Returns:
        The files, README.md first.

    Raises:
        UserError: no exported runs, damaged ones, or a README.md that is not of this kind.
    """
    readme = folder / "README.md"
    if readme.exists() and not readme.read_text(encoding="utf-8").startswith(MARK):
        raise UserError(
            f"`--reproduction` writes README.md: {readme} is not one of its own; move it away, or "
            "call it notes.md to have it as a section"
        )
    with temporary_store() as store:
        import_runs(store, folder, "runs")
        counted = results.counted(results.runs("runs", store=store))
        if counted.empty:
            raise UserError(f"`--reproduction` needs runs that `export` wrote: {folder} has none")
        report = build(Wish(experiment=("runs",)), store)
    note = folder / "notes.md"
    notes = note.read_text(encoding="utf-8").strip() if note.exists() else ""
    texts = {"README.md": markdown(report, counted, notes)}
    texts |= {f"tables/{one.name}.csv": one.csv() for one in _tables(report)}
    paths = []
    with atomic_folder(folder) as aside:
        for name, text in texts.items():
            with atomic_file(aside / name) as file:
                file.write(text.encode())
            paths.append(folder / name)
        for name in PICTURES:
            if name in report.pictures:
                (path,) = save(report.pictures[name].figure, aside / "figures" / name, ["png"])
                _shrink(path)
                paths.append(folder / "figures" / path.name)
    return paths


def _tables(report: Report) -> list[Table]:
    """Return the tables that become files, without ids of the runs, which are new each time."""
    return [
        dataclasses.replace(one, frame=one.frame.drop(columns="run_ids", errors="ignore"))
        for one in report.tables
        if one.name not in ("runs", "table2")
    ]


def _shrink(path: Path) -> None:
    """Reduce a picture's colours until it is small enough for a repository."""
    content = path.read_bytes()
    for colors in COLORS:
        content = small(path, colors)
        if len(content) <= LARGEST:
            break
    with atomic_file(path) as file:
        file.write(content)


def markdown(report: Report, counted: pandas.DataFrame, notes: str) -> str:
    """Return the page.

    Args:
        report: of the runs.
        counted: the runs.
        notes: what is written by hand, Markdown.
    """
    table1 = main_table(counted[counted["protocol"] == "released"], SYNTHETIC)
    protocols = report.table("protocols")
    alignments, statements = report.table("alignments_synthetic"), report.table("statements")
    cost = cost_table(counted)

    def picture(name: str) -> str:
        one = report.pictures.get(name)
        return f"![{one.title}](figures/{name}.png)\n\n{one.caption}" if one else ""

    def shown(table: Table | None) -> str:
        return dataclasses.replace(table, commands=()).markdown() if table else ""

    text = text_template("reproduction.md.j2").render(
        who=who(counted),
        result=result(statements),
        verdicts=verdicts(table1),
        table1=shown(compact(table1)),
        joint=shown(_of_one_kind(report.table("joint"))),
        readings=shown(_with_runs(report.table("readings"), "n")),
        statements=shown(_with_runs(statements, "n")),
        deeper=shown(_with_runs(report.table("deeper_layers"), "n")),
        alignments=shown(alignments),
        alignment_says=alignment_says(alignments),
        protocols=shown(protocols),
        protocol_fields=protocol_fields(),
        protocol_says=protocol_says(protocols),
        sites=shown(report.table("truth_filters")),
        factors=shown(turned(report.table("factors_synthetic_coverage"))),
        cost=shown(cost),
        notes=notes,
        picture=picture,
        has=lambda name: name in report.pictures,
    )
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    lines = re.sub(r"\n+(?=#+ |!\[)", "\n\n", re.sub(r"\n{3,}", "\n\n", lines))
    return lines.strip() + "\n"


def compact(table: Table) -> Table:
    """Return a table of the paper with fewer columns: difference and verdict are one."""
    frame = table.frame.copy()
    columns = [Column("network", "network"), Column("n", "n", digits=0)]
    for metric in METRICS:
        label = label_of(metric)
        frame[f"{metric} says"] = [
            _says(difference, verdict, n)
            for difference, verdict, n in zip(
                frame[f"{metric} difference"], frame[f"{metric} verdict"], frame["n"], strict=True
            )
        ]
        columns += [
            Column(metric, "ours", label, f"{metric} sd", 3),
            Column(
                f"{metric} published", "published", label, f"{metric} published sd", 3,
                mark=f"{metric} mark",
            ),
            Column(f"{metric} says", "Δ", label),
        ]  # fmt: skip
    notes = tuple(note.replace("`cannot tell`", "`undecided`") for note in table.notes)
    return dataclasses.replace(table, frame=frame, columns=tuple(columns), notes=notes)


def turned(table: Table | None) -> Table | None:
    """Return a table factor x network with the networks as rows: it is higher, not wider."""
    if table is None:
        return None
    first, *rest = table.columns
    frame = table.frame.set_index(first.key)[[column.key for column in rest]].T
    frame.insert(0, "network", [column.label for column in rest])
    columns = [Column("network", "network")]
    columns += [Column(name, name, digits=rest[0].digits) for name in frame.columns[1:]]
    return dataclasses.replace(table, frame=frame, columns=tuple(columns))


def _of_one_kind(table: Table | None) -> Table | None:
    """Return a table without the column of the data set, which is the same throughout."""
    if table is None or table.frame["dataset"].nunique() > 1:
        return table
    columns = tuple(column for column in table.columns if column.key != "dataset")
    return dataclasses.replace(table, columns=columns)


def _says(difference: float, verdict: object, n: float) -> str:
    """Return difference and verdict of a cell; nothing where nothing is printed."""
    if not n > 0:
        return "no runs" if n == 0 else ""
    return f"{difference:+.3f} {short(str(verdict))}".replace("-", "−")


def _with_runs(table: Table | None, column: str) -> Table | None:
    """Return a table without the rows that have no runs, None if none is left."""
    if table is None:
        return None
    frame = table.frame[table.frame[column] > 0]
    return dataclasses.replace(table, frame=frame) if len(frame) else None
