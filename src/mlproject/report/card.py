"""The card: one self-contained HTML page that shows a run.

It needs no network, opens from a file and inside the frame of the MLflow UI, and all it shows is in
`CardData`: plain data, no connection to the tracking store.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from mlproject.evaluation import ClassScore, Curves
from mlproject.interpret.filters import (
    Best,
    LayerReading,
    best_matches,
    classes_of,
    filters_by_class,
    scores,
)
from mlproject.interpret.logos import Label, filter_labels, format_evalue
from mlproject.motifs import Motif, reverse_complement
from mlproject.report.plots import (
    INK,
    TRAIN,
    VALID,
    class_styles,
    mean_precision_recall,
    mean_roc,
)
from mlproject.report.svg import Line, Scale, chart, glyphs, nice_ticks, pair, single

FLANK = 6
CURVE_POINTS = 20_000


@dataclass(frozen=True)
class CardData:
    """All that a card shows.

    Attributes:
        name: title, such as ``CNN-25 · seed 0``.
        description: a few sentences below the title; lines are kept.
        facts: label -> text, in order: network, protocol, data set, backend, hashes, versions, ...
        spec: the spec's flat fields.
        metrics: final metrics by name, listed as they are; ``best_epoch`` marks the curves.
        history: for each epoch ``epoch``, ``train_loss``, ``val_loss``, ``val_auroc``, ...
        rows: scores of every class on the test split.
        curves: curves of the classes for which they are defined.
        readings: the layers whose filters were read.
        targets: motifs that the filters were matched with.
        relevant: class -> ids of relevant motifs.
        truth: ground-truth motifs, () if unknown.
        times: what -> seconds.
    """

    name: str
    description: str
    facts: Mapping[str, str]
    spec: Mapping[str, int | float | str]
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    rows: Sequence[ClassScore]
    curves: Sequence[Curves]
    readings: Sequence[LayerReading]
    targets: Sequence[Motif]
    relevant: Mapping[str, Sequence[str]]
    truth: Sequence[Motif]
    times: Mapping[str, float]


def render(data: CardData) -> str:
    """Return the card as one HTML page, all ASCII, so that no encoding can harm it."""
    targets = {motif.id: motif for motif in data.targets}
    layers = [_layer(reading, data, targets) for reading in data.readings]
    page = _template().render(
        data=data,
        glyphs=glyphs(),
        tiles=_tiles(data, layers),
        history=_history_charts(data),
        performance=_performance_charts(data),
        classes=_classes(data, layers),
        motifs=_motifs(data, layers, targets),
        layers=layers,
        times={name.removeprefix("time/"): _duration(s) for name, s in data.times.items()},
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


@lru_cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlproject", "report/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "share": _share}
    return environment.get_template("card.html.j2")


def _tiles(data: CardData, layers: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return (label, value, note) of the numbers at the top."""
    tiles = []
    for kind, label in (("auroc", "Test AUROC"), ("aupr", "Test AUPR")):
        values = [value for row in data.rows if (value := getattr(row, kind)) is not None]
        if values:
            note = f"mean of {len(values)} class{'es' * (len(values) != 1)}"
            tiles.append((label, f"{np.mean(values):.3f}", note))
    for layer in layers:
        values, count = layer["scores"], layer["count"]
        note = f"of {count} {layer['name']} filters"
        tiles.append(("JASPAR match", _share(values["match_jaspar"]), note))
        if "match_relevant" in values:
            tiles.append(("Relevant match", _share(values["match_relevant"]), note))
            found = layer["found"]
            covered = sum(bool(filters) for filters in found.values())
            tiles.append(("Classes found", f"{covered} / {len(found)}", f"by {layer['name']}"))
    if data.history:
        last, best = data.history[-1]["epoch"], data.metrics.get("best_epoch")
        kept = f"best was {best:g}" if best is not None else ""
        tiles.append(("Epochs", f"{last:g}", kept))
    if total := data.times.get("time/total", data.times.get("total")):
        tiles.append(("Time", _duration(total), "all together"))
    return tiles


def _history_charts(data: CardData) -> list[Markup]:
    epochs = [row["epoch"] for row in data.history]
    if not epochs:
        return []
    x = Scale("Epoch", 0, max(epochs), nice_ticks(0, max(epochs), 6, integer=True))
    best = data.metrics.get("best_epoch")
    mark = None if best is None else (best, f"best {best:g}")
    charts = []
    panels: dict[str, tuple[tuple[str, str, str], ...]] = {
        "Loss": (("train_loss", "training", TRAIN), ("val_loss", "validation", VALID)),
        "Validation AUROC": (("val_auroc", "validation", VALID),),
    }
    for name, keys in panels.items():
        lines = []
        for key, label, color in keys:
            rows = [
                (row["epoch"], row[key])
                for row in data.history
                if np.isfinite(row.get(key, np.nan))
            ]
            if rows:
                lines.append(Line(np.array(rows, float), color, label, width=2.0))
        if lines:
            values = np.concatenate([line.points[:, 1] for line in lines])
            ticks = nice_ticks(values.min(), values.max(), 5)
            y = Scale(name, min(values.min(), *ticks), max(values.max(), *ticks), ticks)
            charts.append(chart(lines, x, y, f"{name} by epoch", mark))
    return charts


def _performance_charts(data: CardData) -> list[Markup]:
    if not data.curves:
        return []
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    styles = dict(zip((row.name for row in data.rows), class_styles(len(data.rows)), strict=True))
    by_name = {row.name: row for row in data.rows}
    panels = (
        ("ROC", "roc", "False positive rate", "True positive rate", mean_roc, "auroc"),
        (
            "Precision-recall",
            "precision_recall",
            "Recall",
            "Precision",
            mean_precision_recall,
            "aupr",
        ),
    )
    charts = []
    for title, field, x, y, mean, kind in panels:
        lines = []
        for curve in data.curves:
            color, dash = styles[curve.name]
            label = f"{curve.name}: {getattr(by_name[curve.name], kind):.3f}"
            points = _thin(getattr(curve, field), CURVE_POINTS // len(data.curves))
            lines.append(Line(points, color, label, dash, 1.4, curve.name))
        lines.append(Line(mean(data.curves), INK, "mean", "", 2.6))
        scales = Scale(x, 0, 1, ticks), Scale(y, 0, 1, ticks)
        charts.append(
            chart(lines, *scales, f"{title} of each class and their mean", size=(440, 400))
        )
    return charts


def _thin(points: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` (20 to 200) of the points of a curve, both ends among them."""
    kept = np.linspace(0, len(points) - 1, min(max(count, 20), 200, len(points)))
    return points[kept.astype(int)]


def _classes(data: CardData, layers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    styles = class_styles(len(data.rows))
    return [
        {
            "score": row,
            "style": style,
            "filters": [layer["found"].get(row.name) for layer in layers],
        }
        for row, style in zip(data.rows, styles, strict=True)
    ]


def _motifs(
    data: CardData, layers: Sequence[dict[str, Any]], targets: Mapping[str, Motif]
) -> list[dict[str, Any]]:
    """Return for each class with relevant motifs its logo and the filters that found it."""
    shown = {name: _motif_of(name, data, targets) for name, ids in data.relevant.items() if ids}
    columns = max((motif.width for motif in shown.values() if motif), default=1)
    return [
        {
            "name": name,
            "motif": motif,
            "logo": single(motif.pwm, f"Motif {motif.id}", columns) if motif else "",
            "filters": [(layer["name"], layer["found"][name]) for layer in layers],
            "found": any(layer["found"][name] for layer in layers),
        }
        for name, motif in shown.items()
    ]


def _motif_of(name: str, data: CardData, targets: Mapping[str, Motif]) -> Motif | None:
    """Return the motif to show for a class: a planted one, else the first relevant target."""
    known = [*data.truth, *targets.values()]
    return next((motif for motif in known if name in classes_of(motif.id, data.relevant)), None)


def _layer(reading: LayerReading, data: CardData, targets: Mapping[str, Motif]) -> dict[str, Any]:
    best = best_matches(reading, data.relevant)
    labels = filter_labels(reading, targets, data.relevant)
    aligned = [_alignment(number, reading, best, targets) for number in range(len(labels))]
    width = max(motif.width for motif in reading.motifs)
    first = max(min([0, *(shift for _, shift, _ in aligned)]), -FLANK)
    ends = [shift + len(target) for target, shift, _ in aligned if target is not None]
    last = min(max([width, *ends]), width + FLANK)
    others = _others(reading, best, targets)
    filters = []
    for number, (motif, label) in enumerate(zip(reading.motifs, labels, strict=True)):
        target, shift, overlap = aligned[number]
        found = best.get(motif.id)
        what = f"Filter {number}, {label.name}"
        filters.append(
            {
                "number": number,
                "id": f"{reading.layer}-{number}",
                "label": label,
                "sites": int(motif.nsites),
                "match": found.match if found else None,
                "classes": found.classes if found else (),
                "e_value": found.match.e_value if found else 1e9,
                "others": others[motif.id],
                "logo": pair(motif.pwm, target, shift, overlap, (first, last), what),
            }
        )
    return {
        "name": reading.layer,
        "alignment": reading.alignment,
        "count": len(filters),
        "scores": scores(reading, data.relevant),
        "found": filters_by_class(reading, data.relevant),
        "kinds": _kinds(labels),
        "filters": filters,
    }


def _alignment(
    number: int, reading: LayerReading, best: Mapping[str, Best], targets: Mapping[str, Motif]
) -> tuple[np.ndarray | None, int, tuple[int, int]]:
    """Return the matched motif on its strand, its first column and the overlap, in the filter's."""
    found = best.get(reading.motifs[number].id)
    if found is None:
        return None, 0, (0, 0)
    match, start = found.match, reading.starts[number]
    pwm = targets[match.target_id].pwm
    shift = start - match.offset
    first = max(start, shift)
    target = reverse_complement(pwm) if match.orientation == "-" else pwm
    return target, shift, (first, first + match.overlap)


def _others(
    reading: LayerReading, best: Mapping[str, Best], targets: Mapping[str, Motif]
) -> dict[str, list[str]]:
    """Return for each filter the matches beside the one that names it, best first, as text."""
    names: dict[str, list[str]] = {motif.id: [] for motif in reading.motifs}
    for match in sorted(reading.matches, key=lambda match: match.e_value):
        if match is not best[match.query_id].match:
            name = targets[match.target_id].name or match.target_id
            names[match.query_id].append(f"{name} {format_evalue(match.e_value)}")
    return names


def _kinds(labels: Sequence[Label]) -> list[tuple[str, str, int]]:
    texts = {
        "relevant": "relevant motif",
        "other": "other motif",
        "none": "no match",
        "dead": "dead",
    }
    counts = Counter(label.kind for label in labels)
    return [(kind, text, counts[kind]) for kind, text in texts.items() if counts[kind]]


def _number(value: float | None) -> str:
    return "—" if value is None or not np.isfinite(value) else f"{value:.3f}"


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
