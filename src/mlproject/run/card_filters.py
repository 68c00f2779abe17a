"""The filters of a card, each above its matching motif."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlproject.draw.curves import MEASURES
from mlproject.draw.logos import Label, filter_labels, format_evalue
from mlproject.draw.svg import pair
from mlproject.filters.ablation import Ablation
from mlproject.filters.elsewhere import Unexplained
from mlproject.filters.reading import (
    BestMatch,
    LayerReading,
    best_matches,
    filters_by_class,
    is_approximate,
    match_scores,
)
from mlproject.filters.truth import FilterTruth, truth_rows
from mlproject.motifs.pwm import Motif, reverse_complement

FLANK = 6


def show_layer(
    reading: LayerReading,
    relevant: Mapping[str, Sequence[str]],
    targets: Mapping[str, Motif],
    truth: FilterTruth | None = None,
    ablation: Ablation | None = None,
    sequences: int = 0,
    unexplained: Sequence[Unexplained] = (),
) -> dict[str, Any]:
    """Return the content of a layer's part of the card: scores, filters and their matches.

    Args:
        reading: the layer.
        relevant: class -> ids of relevant motifs.
        targets: the motifs of the matches, by id.
        truth: how the filters detect the planted motifs, if known.
        ablation: loss of the network without each filter, if known; the filter with the largest
            loss then comes first.
        sequences: number of test sequences.
        unexplained: the filters that drive a class and match nothing.
    """
    best = best_matches(reading, relevant)
    labels = filter_labels(reading, targets, relevant)
    aligned = [_alignment(number, reading, best, targets) for number in range(len(labels))]
    width = max(motif.width for motif in reading.motifs)
    first = max(min([0, *(shift for _, shift, _ in aligned)]), -FLANK)
    ends = [shift + len(target) for target, shift, _ in aligned if target is not None]
    last = min(max([width, *ends]), width + FLANK)
    others = _others(reading, best, targets)
    detected = truth_rows(truth) if truth else []
    elsewhere = {one.filter: _elsewhere(one) for one in unexplained}
    filters: list[dict[str, Any]] = []
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
                "elsewhere": elsewhere.get(number, ""),
                "loss": float(ablation.mean[number]) if ablation else None,
                "drives": ablation.drives(number) if ablation else [],
                "detected": _detected(detected[number]) if truth else "",
                "precision": f"{detected[number]['precision']:.2f}" if truth else "",
                "logo": pair(motif.pwm, target, shift, overlap, (first, last), what),
            }
        )
    if ablation:
        filters.sort(key=lambda one: -one["loss"])
    return {
        "name": reading.layer,
        "ablation": ablation,
        "measure": "AUROC" if not ablation else MEASURES[ablation.measure],
        "subset": _subset(ablation, sequences),
        "truth": truth,
        "alignment": reading.alignment,
        "approximate": is_approximate(reading.layer),
        "count": len(filters),
        "scores": match_scores(reading, relevant),
        "found": filters_by_class(reading, relevant),
        "kinds": _kinds(labels),
        "filters": filters,
    }


def _alignment(
    number: int, reading: LayerReading, best: Mapping[str, BestMatch], targets: Mapping[str, Motif]
) -> tuple[np.ndarray | None, int, tuple[int, int]]:
    """Return the matching motif on its strand, its first column and the overlap.

    Columns are those of the filter.
    """
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
    reading: LayerReading, best: Mapping[str, BestMatch], targets: Mapping[str, Motif]
) -> dict[str, list[str]]:
    """Return the other matches of each filter as text, best first."""
    names: dict[str, list[str]] = {motif.id: [] for motif in reading.motifs}
    for match in sorted(reading.matches, key=lambda match: match.e_value):
        if match is not best[match.query_id].match:
            name = targets[match.target_id].name or match.target_id
            names[match.query_id].append(f"{name} {format_evalue(match.e_value)}")
    return names


def _elsewhere(one: Unexplained) -> str:
    """Return as text what another database has for a filter."""
    if not one.name:
        return f"nothing in {one.database} either"
    return f"{one.database}: {one.name} {format_evalue(one.e_value)}"


def _subset(ablation: Ablation | None, sequences: int) -> str:
    """Return the number of test sequences of an ablation as text, if it did not use all."""
    if ablation is None or ablation.sequences >= sequences:
        return ""
    return f", over {ablation.sequences:,} of the {sequences:,} sequences,"


def _detected(row: Mapping[str, Any]) -> str:
    """Return as text the motif that a filter detects, strand, average precision and recall."""
    motif, strand = row["motif"], row["strand"].replace("-", "−")
    area, recall = row["average_precision"], row["recall"]
    return f"sees {motif} {strand}: AP {area:.2f}, recall {recall:.2f}"


def _kinds(labels: Sequence[Label]) -> list[tuple[str, str, int]]:
    texts = {
        "relevant": "relevant motif",
        "other": "other motif",
        "none": "no match",
        "dead": "dead",
    }
    counts = Counter(label.kind for label in labels)
    return [(kind, text, counts[kind]) for kind, text in texts.items() if counts[kind]]
