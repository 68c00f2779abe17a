"""``python -m mlproject report``: tables and figures of recorded runs."""

import sys
from pathlib import Path

import click

from mlproject.commands.options import EXPERIMENTS, FILE, WHERE, option, split_list
from mlproject.system.errors import UserError, short_repr
from mlproject.system.messages import quantity
from mlproject.system.outputs import require_writable


@click.command()
@EXPERIMENTS
@WHERE
@click.option("--rows", help="a table of your own: what makes a row, such as arch")
@click.option("--columns", help="its columns, such as test_auroc,conv1/match_relevant")
@click.option("--networks", help="networks to show side by side, such as CNN-2,CNN-25")
@option("--out", default="report", type=FILE, help="folder")
@click.option("--ui", default="", help="address of the MLflow UI, for links")
@click.option("--figures/--no-figures", default=True, help="draw figures [yes]")
@click.option("--record/--no-record", default=True, help="keep it in MLflow as a run [yes]")
@option("--paper", default="koo_eddy_2019", help="the paper to put beside the runs")
@click.option(
    "--reproduction",
    metavar="FOLDER",
    type=FILE,
    help="write FOLDER/README.md about the runs that `export` wrote there, or in its folders of "
    "papers, and nothing else",
)
def report(
    experiments: tuple[str, ...],
    where: str,
    rows: str | None,
    columns: str | None,
    networks: str | None,
    out: Path,
    ui: str,
    figures: bool,
    record: bool,
    paper: str,
    reproduction: Path | None,
) -> None:
    """Make tables and figures of the recorded runs, beside the paper's, and a page to browse.

    Writes OUT/report.html, OUT/README.md, OUT/tables and OUT/figures. All runs are read from the
    tracking server.
    """
    if reproduction:
        from mlproject.report.reproduction import make_reproductions

        files = make_reproductions(reproduction)
        print(f"{quantity(len(files), 'file')}: {files[0]}")
        return
    require_writable(out, folder=True)
    if ui and not ui.startswith(("http://", "https://")):
        raise UserError(f"`--ui` must begin with http:// or https://: got {short_repr(ui)}")
    if bool(rows) != bool(columns):
        raise UserError("`--rows` and `--columns` go together: give both, or neither")
    from mlproject.report.content import ReportRequest
    from mlproject.report.recording import make_report
    from mlproject.system.progress import progress_shown

    request = ReportRequest(
        experiments,
        where,
        split_list(rows),
        split_list(columns),
        split_list(networks),
        figures,
        ui,
        paper,
    )
    with progress_shown():
        made = make_report(request, out, record)
    if rows:
        print(made.report.tables[0].markdown())
    for line in made.report.unreadable:
        print(line, file=sys.stderr)
    for line in made.report.summary:
        print(line)
    print(f"{quantity(len(made.files), 'file')}: {out / 'report.html'}")
