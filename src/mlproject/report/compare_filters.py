"""The filters of several runs side by side, a row for each class."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas

from mlproject.draw.logos import format_evalue
from mlproject.draw.svg import placed
from mlproject.filters.reading import LayerReading, classes_of
from mlproject.motifs.pwm import Motif
from mlproject.report.atlas import FLANK, Entry, aligned, cut
from mlproject.report.content import Content
from mlproject.report.sections.filters import truth_of
from mlproject.results import first_layer

MOST_FILTERS = 3


def class_filters(content: Content, runs: pandas.DataFrame) -> list[dict[str, Any]]:
    """Return for each class its motif, and each run's filters that match it best first."""
    readings: list[LayerReading | None] = []
    relevant: dict[str, Sequence[str]] = {}
    motifs: dict[str, Motif] = {}
    for _, row in runs.iterrows():
        found = content.filters(row, first_layer(row))
        readings.append(found[0] if found else None)
        if found:
            for name, ids in found[1].items():
                relevant.setdefault(name, ids)
            for name, motif in truth_of(found[1], [*content.targets(row).values()]).items():
                motifs.setdefault(name, motif)
    widest = max((motif.width for motif in motifs.values()), default=1) + 2 * FLANK
    rows = []
    for name, motif in motifs.items():
        start = (widest - motif.width) // 2
        cells = [_cell(reading, name, motif, relevant, start, widest) for reading in readings]
        logo = placed(motif.pwm, start, widest, f"Motif of {name}", (0, 0))
        rows.append({"name": name, "id": motif.id, "logo": logo, "cells": cells})
    return rows


def _cell(
    reading: LayerReading | None,
    name: str,
    motif: Motif,
    relevant: Mapping[str, Sequence[str]],
    start: int,
    widest: int,
) -> dict[str, Any]:
    """Return the logos of a run's filters that match a class, and how many match."""
    if reading is None:
        return {"logos": [], "text": "no filters"}
    by_id = {one.id: one for one in reading.motifs}
    own = sorted(
        (match for match in reading.matches if name in classes_of(match.target_id, relevant)),
        key=lambda match: match.e_value,
    )
    best = {match.query_id: match for match in reversed(own)}
    chosen = sorted(best.values(), key=lambda match: match.e_value)
    logos = []
    for match in chosen[:MOST_FILTERS]:
        pwm, shift = aligned(by_id[match.query_id].pwm, motif.pwm)
        shown, place = cut(Entry(pwm, shift, match, 0, ""), motif)
        text = f"{match.query_id.replace('filter', 'filter ')}, E = {format_evalue(match.e_value)}"
        band = (start, start + motif.width)
        logos.append((placed(shown, start + place, widest, text, band), text))
    more = len(chosen) - len(logos)
    text = "no filter matches" if not chosen else f"and {more} more" if more else ""
    return {"logos": logos, "text": text}
