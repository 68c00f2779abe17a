"""``python -m mlproject atlas``: every filter of many runs on one page."""

import sys
from pathlib import Path

import click

from mlproject.commands.options import EXPERIMENTS, OUT_FILE, QUIET, WHERE, option
from mlproject.system.messages import quantity


@click.command()
@EXPERIMENTS
@WHERE
@option("--out", default="atlas.html", type=OUT_FILE, help="HTML file")
@QUIET
def atlas(experiments: tuple[str, ...], where: str, out: Path, quiet: bool) -> None:
    """Write the living atlas: each filter of each run, by factor, with sliders.

    One HTML file of at most 5 MB that needs no network. Sliders choose the value of each parameter
    in which the runs differ, the seed and the epoch.
    """
    from mlproject.report.content import load_content
    from mlproject.report.living import title_of, write_living_atlas
    from mlproject.system.progress import progress_shown

    with progress_shown(quiet):
        content = load_content(list(experiments) or None, where)
        path = write_living_atlas(content, out, title_of(content.counted))
    for line in content.unreadable:
        print(line, file=sys.stderr)
    print(f"{quantity(len(content.counted), 'run')}, {path.stat().st_size / 1e6:.1f} MB: {path}")
