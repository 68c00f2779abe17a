"""The living atlas: every first-layer filter of many runs on one page, by factor, run and epoch.

The page holds numbers, and draws the logos itself: a filter as a motif at the end of the training,
and its kernel after each epoch that is kept.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas

from mlproject.architectures import network_order, printed_name
from mlproject.draw.letters import letter_outline, svg_letters
from mlproject.draw.output import template
from mlproject.filters.reading import LayerReading, classes_of
from mlproject.motifs.pwm import Motif
from mlproject.report.atlas import aligned
from mlproject.report.axes import axes_of, value_text
from mlproject.report.content import Content
from mlproject.report.sections.filters import truth_of
from mlproject.results import first_layer
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file
from mlproject.system.messages import quantity
from mlproject.system.progress import watched

SITE_FACTS = ("motif", "average_precision", "precision", "recall", "offset")
MOST_BYTES = 5_000_000
ROOM = MOST_BYTES - 150_000  # of the data; the rest of the page takes less
MOST_EPOCHS = 60
BIGGEST_STEP = 127


def write_living_atlas(content: Content, path: Path, title: str) -> Path:
    """Write the atlas of the runs that count as one HTML file, at most `MOST_BYTES` long.

    Raises:
        UserError: no run has filters of a first layer, or the file cannot be written.
    """
    page = living_page(content, title)
    with atomic_file(path) as file:
        file.write(page.encode())
    return path


def living_page(content: Content, title: str) -> str:
    """Return the page, all ASCII.

    Runs that do not fit into the page are left out, those with the largest seeds first, and a line
    says so.

    Raises:
        UserError: no run has filters of a first layer.
    """
    frame = content.counted.sort_values(["seed", "started"])
    axes = axes_of(frame)
    runs: list[dict[str, Any]] = []
    motifs: dict[str, Motif] = {}
    kernels: list[tuple[np.ndarray, np.ndarray] | None] = []
    for _, row in watched([*frame.iterrows()], "reading filters of runs"):
        found = content.filters(row, layer := first_layer(row))
        if found is None:
            continue
        reading, relevant = found
        for name, motif in truth_of(relevant, [*content.targets(row).values()]).items():
            motifs.setdefault(name, motif)
        names = content.targets(row)
        filters = _filters(content, row, reading, relevant, motifs, names)
        runs.append(
            {
                "id": str(row["run_id"]),
                "name": str(row["name"]),
                "at": {name: value_text(row.get(name)) for name in (*axes, "seed")},
                "auroc": _number(row.get("test_auroc")),
                "match": _number(row.get(f"{layer}/match_relevant")),
                "null": _number(row.get(f"{layer}/match_null_relevant")),
                "filters": filters,
            }
        )
        kernels.append(_kernels(content, row, filters))
    if not runs:
        raise UserError(
            "an atlas needs finished runs with filters: found none; train, or widen the selection"
        )
    dropped = 0
    while len(runs) > 1 and _size(runs) > ROOM:
        runs.pop()
        kernels.pop()
        dropped += 1
    _keep_epochs(runs, kernels)
    data = {
        "axes": [
            {"name": name, "values": _in_order({run["at"][name] for run in runs})}
            for name in (*axes, "seed")
        ],
        "factors": [
            {"name": name, "id": motif.id, "width": motif.width, "pwm": _packed(motif.pwm)}
            for name, motif in motifs.items()
        ],
        "runs": runs,
    }
    cut = quantity(dropped, "run does not fit and is", "runs do not fit and are")
    note = f"{cut} left out of this page." if dropped else ""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    page = _template().render(title=title, data=text, glyphs=svg_letters(), note=note)
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


@lru_cache
def _template() -> jinja2.Template:
    letter_outline("A")  # the font is found before the page is made
    return template("living.html.j2")


def _filters(
    content: Content,
    row: pandas.Series,
    reading: LayerReading,
    relevant: Mapping[str, Sequence[str]],
    motifs: Mapping[str, Motif],
    targets: Mapping[str, Motif],
) -> list[dict[str, Any]]:
    """Return what the page shows of each filter, in the order of the layer."""
    best: dict[str, Any] = {}
    for match in reading.matches:
        own = [name for name in classes_of(match.target_id, relevant) if name in motifs]
        known = best.get(match.query_id)
        key = (not own, match.e_value)
        if known is None or key < known[0]:
            best[match.query_id] = (key, match, own[0] if own else "")
    truth = content.table("site_truth", row, first_layer(row))
    lost = content.table("importance", row, first_layer(row))
    filters = []
    for number, motif in enumerate(reading.motifs):
        _, match, factor = best.get(motif.id, (None, None, ""))
        pwm, shift, turned = motif.pwm, 0, False
        if factor:
            pwm, shift = aligned(motif.pwm, motifs[factor].pwm)
            turned = not np.array_equal(pwm, motif.pwm)
        one: dict[str, Any] = {"n": number, "pwm": _packed(pwm), "shift": shift, "factor": factor}
        one |= {"turned": int(turned), "sites": round(motif.nsites)}
        if match is not None:
            target = targets.get(match.target_id)
            one |= {"match": match.target_id, "e": float(f"{match.e_value:.3g}")}
            one["matchName"] = target.name if target else ""
        one |= _facts(truth, number, SITE_FACTS)
        one |= _facts(lost, number, ("auroc_loss", "drives"))
        filters.append(one)
    return filters


def _facts(
    table: pandas.DataFrame | None, number: int, names: Sequence[str]
) -> dict[str, float | str]:
    """Return the known values of a filter in a table."""
    if table is None:
        return {}
    rows = table[table["filter"] == number]
    found: dict[str, float | str] = {}
    for name in names if len(rows) else ():
        value = rows.iloc[0].get(name)
        if isinstance(value, str):
            found[name] = value
        elif (known := _number(value)) is not None:
            found[name] = known
    return found


def _kernels(
    content: Content, row: pandas.Series, filters: Sequence[Mapping[str, Any]]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return epochs (n,) and kernels (n, filters, width, 4), int8, each on its filter's strand.

    None: the run has not kept them. A position's mean is taken out: it has no effect on which
    letter is preferred.
    """
    found = content.kernels(row)
    if found is None or found.values.shape[3] != len(filters):
        return None
    values = found.values.astype(np.float32).transpose(0, 3, 1, 2)
    values -= values.mean(axis=3, keepdims=True)
    values *= BIGGEST_STEP / max(float(np.abs(values).max()), 1e-9)
    for number, one in enumerate(filters):
        if one["turned"]:
            values[:, number] = values[:, number, ::-1, ::-1]
    return found.epochs, np.rint(values).astype(np.int8)


def _keep_epochs(
    runs: Sequence[dict[str, Any]], kernels: Sequence[tuple[np.ndarray, np.ndarray] | None]
) -> None:
    """Add as many epochs, evenly spaced, to each run as fit into the page."""
    each = [values[0].size * 4 / 3 for known in kernels if known for values in (known[1],)]
    if not each:
        return
    count = int(min((ROOM - _size(runs)) / sum(each), MOST_EPOCHS))
    for run, known in zip(runs, kernels, strict=True):
        if known is None or count < 1:
            continue
        epochs, values = known
        chosen = np.unique(np.linspace(0, len(epochs) - 1, min(count, len(epochs))).round())
        kept = chosen.astype(int)
        run["epochs"] = [int(one) for one in epochs[kept]]
        run["width"] = int(values.shape[2])
        run["kernels"] = base64.b64encode(values[kept].tobytes()).decode()


def _packed(pwm: np.ndarray) -> str:
    """Return a matrix (width, 4) of probabilities as base64 of bytes, 255 for 1."""
    return base64.b64encode(np.rint(np.clip(pwm, 0, 1) * 255).astype(np.uint8).tobytes()).decode()


def _size(value: object) -> int:
    return len(json.dumps(value))


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return float(f"{number:.4g}") if math.isfinite(number) else None


def _in_order(values: set[str]) -> list[str]:
    """Return the values of an axis: numbers by size, then texts."""

    def key(text: str) -> tuple[bool, float, str]:
        try:
            return False, float(text), ""
        except ValueError:
            return True, 0.0, text

    return sorted(values, key=key)


def title_of(frame: pandas.DataFrame) -> str:
    """Return a title for the atlas of runs: their experiment and networks."""
    archs = sorted({str(name) for name in frame["arch"].dropna()}, key=network_order)
    names = [printed_name(name) for name in archs]
    experiments = ", ".join(dict.fromkeys(map(str, frame["experiment"])))
    shown = ", ".join(names[:6]) + (" …" if len(names) > 6 else "")
    return f"Filters of {quantity(len(frame), 'run')}: {experiments} ({shown})"
