"""The first TF-MoDISco pattern of each trial, groups of runs side by side."""

from collections.abc import Mapping

import pandas
from matplotlib.figure import Figure

from mlproject import results
from mlproject.draw.logos import draw_logo
from mlproject.draw.style import GREY, INK
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.motifs.tomtom import tomtom
from mlproject.report.content import Content
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity

WIDE, TALL, TOP, LEFT = 3.4, 0.85, 0.56, 0.4  # inches


def pattern_figure(
    title: str, runs: Mapping[str, pandas.DataFrame], content: Content
) -> Figure | None:
    """Draw the pattern with the most seqlets of each trial, a column for each group.

    All are turned and shifted onto the first.

    Args:
        title: text above the logos.
        runs: the trials of each group.
        content: of the report.

    Returns:
        None if no trial has patterns.
    """
    groups = {
        name: [(int(run["seed"]), _first(run, content)) for _, run in trials.iterrows()]
        for name, trials in runs.items()
    }
    found = [motif for trials in groups.values() for _, motif in trials if motif]
    if not found:
        return None
    placed = {id(motif): onto(motif, found[0]) for motif in found}
    first = min(start for start, _ in placed.values())
    last = max(start + turned.width for start, turned in placed.values())
    rows = max(map(len, groups.values()))
    width, tall = LEFT + WIDE * len(groups), TOP + TALL * rows
    figure = Figure(figsize=(width, tall), facecolor="white")
    figure.text(0.12 / width, 1 - 0.07 / tall, title, size=9, color=INK, weight="bold", va="top")
    line = "The TF-MoDISco pattern with the most seqlets of each trial, letters of its seqlets."
    figure.text(0.12 / width, 1 - 0.25 / tall, line, size=6.5, color=GREY, va="top")
    for column, (name, trials) in enumerate(groups.items()):
        left = (LEFT + column * WIDE) / width
        figure.text(left, 1 - 0.45 / tall, name, size=8, color=INK, weight="bold", va="top")
        for row, (seed, motif) in enumerate(trials):
            bottom = 1 - (TOP + (row + 1) * TALL - 0.12) / tall
            axes = figure.add_axes((left, bottom, (WIDE - 0.5) / width, (TALL - 0.3) / tall))
            note = "no pattern"
            if motif:
                start, turned = placed[id(motif)]
                draw_logo(axes, turned.pwm)
                axes.set_xlim(first - start - 0.5, last - start - 0.5)
                note = quantity(round(motif.nsites), "seqlet")
            else:
                axes.set_axis_off()
            axes.set_title(f"seed {seed}  ·  {note}", size=6, color=GREY, loc="left", pad=2)
    return figure


def _first(run: pandas.Series, content: Content) -> Motif | None:
    try:
        found = results.patterns(run, content.store)
    except UserError:
        return None
    return found[0] if found else None


def onto(motif: Motif, other: Motif) -> tuple[int, Motif]:
    """Return the column of `other` at which a motif starts, and the motif on the strand of `other`.

    Both as Tomtom aligns the two.
    """
    match = tomtom([motif], [other], evalue=1)[0]
    if match.orientation == "-":
        motif = motif._replace(pwm=reverse_complement(motif.pwm))
        match = tomtom([motif], [other], evalue=1)[0]
    return match.offset, motif
