"""Summary of a finished run: the description in MLflow and the card."""

from collections.abc import Mapping, Sequence

import keras

from mlproject.architectures import arch_name, printed_name, protocol_name
from mlproject.data import Dataset
from mlproject.draw.logos import format_evalue
from mlproject.fields import VALUES
from mlproject.filters.reading import LayerReading, filters_by_class, is_approximate, match_scores
from mlproject.motifs.databases import title_of
from mlproject.names import Artifact, Metric
from mlproject.network.build import trainable_parameters
from mlproject.network.evaluation import FEW, ClassScore, undefined
from mlproject.network.training import Fit
from mlproject.network.value_scores import VALUE_LABELS
from mlproject.run.card import CardData, render
from mlproject.run.context import RunContext
from mlproject.run.embedding import Embedding
from mlproject.run.filters import FilterResults
from mlproject.run.outcome import learned_nothing
from mlproject.run.stages import Tested, history_rows
from mlproject.system import environment
from mlproject.system.messages import quantity

MOST_NAMED = 4
STOPPED = {"epochs": "all epochs done", "patience": "no further improvement"}


def card_data(
    context: RunContext,
    model: keras.Model,
    fitted: Fit,
    tested: Tested,
    read: FilterResults,
    values: Mapping[str, float],
    warnings: Sequence[str] = (),
    embedded: Embedding | None = None,
) -> CardData:
    """Return the content of a run's card.

    Args:
        context: the run.
        model: with the best weights.
        fitted: the result of the training.
        tested: scores on the test split.
        read: results of reading the filters.
        values: all final metrics, including times (``time/...``, seconds).
        warnings: sentences about a training that has probably gone wrong.
        embedded: effects of embedded motifs.
    """
    spec, data = context.spec, context.data
    lines = [
        *(line for reading in read.readings for line in _matches(context, reading, values)),
        *(() if learned_nothing(values) else _unexplained(read)),
        _test_scores(tested),
        *(f"Warning: {text}." for text in warnings),
        f"Best epoch {fitted.best_epoch} of {len(fitted.history)} ({STOPPED[fitted.stopped]}), "
        f"validation loss {values[Metric.BEST_VAL_LOSS]:.4f}.",
        _network(context, model),
    ]
    backend = keras.backend.backend()
    facts = {
        "network": printed_name(arch_name(spec)),
        "protocol": protocol_name(spec),
        "seed": str(spec.seed),
        "data set": spec.dataset,
        "backend": f"{backend} {environment.backend_version(backend)}, Keras {keras.__version__}",
        "device": environment.device(backend),
        "run": context.tracker.run_id,
        "spec": spec.spec_sha256(data.sha256),
        "training": spec.train_sha256(data.sha256),
        "data": data.sha256,
    }
    return CardData(
        name=context.name,
        description="\n".join(lines),
        facts=facts,
        spec=spec.flat(),
        metrics={key: value for key, value in values.items() if not key.startswith(Metric.TIME)},
        history=history_rows(fitted),
        rows=tested.rows,
        curves=tested.curves,
        densities=tested.densities,
        task=data.task,
        units=data.units,
        readings=read.readings,
        truths=read.truths,
        ablations=read.ablations,
        unexplained=read.unexplained,
        targets=context.targets,
        relevant=context.relevant,
        truth=data.motifs,
        effects=embedded.effects.effects if embedded else (),
        owners=embedded.owners if embedded else {},
        times={key: value for key, value in values.items() if key.startswith(Metric.TIME)},
    )


def record_card(context: RunContext, card: CardData) -> None:
    """Record the card as ``card.html`` and its description as the run's description."""
    page = render(card)
    context.tracker.artifact(Artifact.CARD, lambda path: path.write_text(page, encoding="utf-8"))
    context.tracker.note("\n".join(f"- {line}" for line in card.description.splitlines()))


def _network(context: RunContext, model: keras.Model) -> str:
    spec, data = context.spec, context.data
    counts = " / ".join(f"{len(split.codes):,}" for split in data.splits.values())
    return (
        f"{printed_name(arch_name(spec))} with {trainable_parameters(model):,} parameters, "
        f"protocol {protocol_name(spec)}, seed {spec.seed}, trained on {spec.dataset}: "
        f"{counts} sequences of {data.length} nt, {_outputs(data)}."
    )


def _outputs(data: Dataset) -> str:
    """Return the number of classes or outputs, with the task, as text."""
    count = len(data.classes)
    if data.task in VALUES:
        return f"{quantity(count, 'output')} ({data.task})"
    return quantity(count, "class", "classes") + " that exclude each other" * (
        data.task == "multiclass"
    )


def _test_scores(tested: Tested) -> str:
    values = tested.values
    if tested.densities:
        return _value_scores(tested)
    if Metric.TEST_AUROC not in values:
        return "Test: no class has both positives and negatives, AUROC and AUPR are not defined."
    line = f"Test AUROC {values[Metric.TEST_AUROC]:.4f}, AUPR {values[Metric.TEST_AUPR]:.4f}"
    line += f", AP {values[Metric.TEST_AP]:.4f}"
    if Metric.TEST_ACCURACY in values:
        line += f", accuracy {values[Metric.TEST_ACCURACY]:.4f}"
    missing = undefined(tested.rows)
    if missing:
        line += f"; not defined for {', '.join(missing)}"
    classes = [row for row in tested.rows if isinstance(row, ClassScore)]
    few = [row.name for row in classes if row.few and row.defined]
    return line + (f"; fewer than {FEW} positives: {', '.join(few)}." if few else ".")


def _value_scores(tested: Tested) -> str:
    """Return a line about outputs that are numbers."""
    values = tested.values
    shown = [
        f"{label} {values[f'test_{name}']:.4f}"
        for name, label in VALUE_LABELS.items()
        if f"test_{name}" in values
    ]
    missing = undefined(tested.rows)
    line = f"Test {', '.join(shown)}"
    return f"{line}; constant in the test split: {', '.join(missing)}." if missing else f"{line}."


def _unexplained(read: FilterResults) -> list[str]:
    """Return a line on the filters that drive a class and match nothing."""
    lines = []
    for layer, found in read.unexplained.items():
        parts = []
        for one in found[:MOST_NAMED]:
            known = f"{one.database}: {one.name}, E {format_evalue(one.e_value)}"
            drives = ", ".join(one.drives[:MOST_NAMED])
            parts.append(f"filter {one.filter} for {drives} ({known if one.name else 'no motif'})")
        if parts:
            more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
            lines.append(
                f"{layer}: filters that the network needs match nothing: {'; '.join(parts)}{more}."
            )
    return lines


def _matches(context: RunContext, reading: LayerReading, metrics: Mapping[str, float]) -> list[str]:
    relevant, count = context.relevant, len(reading.motifs)
    values = match_scores(reading, relevant)
    layer = reading.layer + " (approximate)" * is_approximate(reading.layer)
    known = title_of(context.spec.motifs)
    line = f"{layer}: {values['match_jaspar'] * count:.0f} of {count} filters match {known}"
    if (null := metrics.get(f"{reading.layer}/match_null")) is not None:
        line += f" (with shuffled columns {null * count:.1f})"
    found = filters_by_class(reading, relevant)
    numbers = context.data.task in VALUES
    kind, the_kinds = ("output", "the outputs") if numbers else ("class", "the classes")
    if not found:
        return [f"{line}; no {kind} has a known motif."]
    line += f", {values['match_relevant'] * count:.0f} a motif of {the_kinds}"
    hits = [f"{name} ({len(filters)})" for name, filters in found.items() if filters]
    missed = [name for name, filters in found.items() if not filters]
    return [
        f"Found: {', '.join(hits) or 'none'}. Not found: {', '.join(missed) or 'none'}.",
        f"{line}.",
    ]
