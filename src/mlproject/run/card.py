"""The card: one self-contained HTML page that shows a run.

The page needs no network: it opens from a file and inside the frame of the MLflow UI. Its content
is `CardData`, plain data without a connection to the tracking store.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from mlproject.draw.letters import svg_letters
from mlproject.draw.output import template
from mlproject.draw.scatter import scatter_charts
from mlproject.draw.style import class_styles
from mlproject.fields import JASPAR_2016, VALUES
from mlproject.filters.ablation import Ablation
from mlproject.filters.elsewhere import Unexplained
from mlproject.filters.reading import LayerReading
from mlproject.filters.truth import FilterTruth
from mlproject.motifs.pwm import Motif
from mlproject.names import Metric
from mlproject.network.evaluation import ClassScore, Curves
from mlproject.network.tasks import PRIMARY, Score
from mlproject.network.value_scores import VALUE_LABELS, Density, ValueScore
from mlproject.run.card_charts import history_charts, performance_charts
from mlproject.run.card_effects import effect_table
from mlproject.run.card_filters import show_layer
from mlproject.run.card_motifs import card_motifs


@dataclass(frozen=True)
class CardData:
    """The content of a card.

    Attributes:
        name: the title, such as ``CNN-25 · seed 0``.
        description: sentences below the title, one a line.
        facts: label -> text, in order: network, protocol, data set, backend, hashes, versions, ...
        spec: the spec's flat fields.
        metrics: final metrics by name; ``best_epoch`` is marked in the curves.
        history: for each epoch ``epoch``, ``train_loss``, ``val_loss``, ``val_auroc``, ...
        rows: scores of every class or output on the test split.
        curves: of the classes that have both labels.
        readings: filters and matches of each interpreted layer.
        targets: the motifs of the database.
        relevant: class -> ids of relevant motifs.
        truth: the planted motifs, () if unknown.
        times: name -> seconds.
        truths: layer -> how its filters detect the planted motifs, if known.
        ablations: layer -> loss of the network without each filter, if known.
        unexplained: layer -> the filters that drive a class and match nothing.
        densities: of measured and predicted values, for each output that is a number.
        task: of the data.
        units: unit of each output, () for classes.
    """

    name: str
    description: str
    facts: Mapping[str, str]
    spec: Mapping[str, int | float | str]
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    rows: Sequence[Score]
    curves: Sequence[Curves]
    readings: Sequence[LayerReading]
    targets: Sequence[Motif]
    relevant: Mapping[str, Sequence[str]]
    truth: Sequence[Motif]
    times: Mapping[str, float]
    truths: Mapping[str, FilterTruth] = field(default_factory=dict)
    ablations: Mapping[str, Ablation] = field(default_factory=dict)
    unexplained: Mapping[str, Sequence[Unexplained]] = field(default_factory=dict)
    densities: Sequence[Density] = ()
    effects: Sequence[Mapping[str, Any]] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    task: str = "binary"
    units: Sequence[str] = ()


def render(data: CardData) -> str:
    """Return the card as one HTML page, all ASCII, so that it displays in any encoding."""
    targets = {motif.id: motif for motif in data.targets}
    layers = [
        show_layer(
            reading,
            data.relevant,
            targets,
            data.truths.get(reading.layer),
            data.ablations.get(reading.layer),
            data.rows[0].sequences if data.rows else 0,
            data.unexplained.get(reading.layer, ()),
        )
        for reading in data.readings
    ]
    page = _template().render(
        data=data,
        glyphs=svg_letters(),
        tiles=_tiles(data, layers),
        history=history_charts(
            data.history, data.metrics.get(Metric.BEST_EPOCH), PRIMARY[data.task]
        ),
        performance=_performance(data),
        numbers=data.task in VALUES,
        columns=_columns(data),
        classes=_classes(data, layers),
        motifs=card_motifs(
            data.task, data.relevant, [*data.truth, *targets.values()], data.readings
        ),
        layers=layers,
        effects=effect_table(data.effects, data.owners),
        times={name.removeprefix(Metric.TIME): _duration(s) for name, s in data.times.items()},
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


@lru_cache
def _template() -> jinja2.Template:
    return template("card.html.j2", number=_number, share=_share, change=_change)


def _tiles(data: CardData, layers: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Return label, value and note of each number at the top."""
    tiles = []
    numbers = data.task in VALUES
    shown = (("auroc", "Test AUROC"), ("aupr", "Test AUPR"))
    if numbers:
        shown = (("pearson", "Test Pearson"), ("r2", "Test R²"))
    if Metric.TEST_ACCURACY in data.metrics:
        tiles.append(("Test accuracy", f"{data.metrics[Metric.TEST_ACCURACY]:.3f}", "all classes"))
    for kind, label in shown:
        values = [value for row in data.rows if (value := getattr(row, kind)) is not None]
        if values:
            plural = ("s" if numbers else "es") * (len(values) != 1)
            note = f"mean of {len(values)} {'output' if numbers else 'class'}{plural}"
            best = data.metrics.get(f"{Metric.ACHIEVABLE}{kind}")
            if best is not None:
                note += f"; at best {best:.3f}, by the noise of the data"
            if (known := data.metrics.get(f"baseline/test_{kind}")) is not None:
                note += f"; {'word counts' if numbers else 'the motifs'} alone: {known:.3f}"
            tiles.append((label, f"{np.mean(values):.3f}", note))
    for layer in layers:
        values, count = layer["scores"], layer["count"]
        note = f"of {count} {layer['name']} filters"
        label = "JASPAR match" if data.spec.get("motifs") == JASPAR_2016 else "Database match"
        null = data.metrics.get(f"{layer['name']}/match_null")
        shuffled = f"; with shuffled columns {_share(null)}" if null is not None else ""
        tiles.append((label, _share(values["match_jaspar"]), note + shuffled))
        if "match_relevant" in values:
            tiles.append(("Relevant match", _share(values["match_relevant"]), note))
            found = layer["found"]
            covered = sum(bool(filters) for filters in found.values())
            what = "Outputs" if numbers else "Classes"
            tiles.append((f"{what} found", f"{covered} / {len(found)}", f"by {layer['name']}"))
    if data.history:
        last, best = data.history[-1]["epoch"], data.metrics.get(Metric.BEST_EPOCH)
        kept = f"best was {best:g}" if best is not None else ""
        tiles.append(("Epochs", f"{last:g}", kept))
    if total := data.times.get(Metric.TIME_TOTAL, data.times.get("total")):
        tiles.append(("Time", _duration(total), "all together"))
    return tiles


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


def _performance(data: CardData) -> list[Markup]:
    if data.task in VALUES:
        values = [row for row in data.rows if isinstance(row, ValueScore)]
        return scatter_charts(values, data.densities, data.units)
    classes = [row for row in data.rows if isinstance(row, ClassScore)]
    return performance_charts(classes, data.curves)


def _columns(data: CardData) -> list[tuple[str, str]]:
    """Return field and heading of each column of scores."""
    if data.task in VALUES:
        kinds = [*VALUE_LABELS.items()]
        return kinds if data.task == "counts" else [one for one in kinds if one[0] != "deviance"]
    return [("auroc", "AUROC"), ("aupr", "AUPR"), ("ap", "AP")]


def _number(value: float | None) -> str:
    return "—" if value is None or not np.isfinite(value) else f"{value:.3f}"


def _change(value: float) -> str:
    return f"{round(value, 4) + 0.0:+.4f}".replace("-", "−")


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
