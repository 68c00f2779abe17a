"""Filters: the motifs of a layer, what they match, and the numbers that say how many do.

Source: Koo & Eddy, PLoS Comput Biol 15(12): e1007560, 2019, and the code they released.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mlproject.filters.align import Aligned
from mlproject.motifs.pwm import Motif, clip, round_rows
from mlproject.motifs.tomtom import Match, tomtom
from mlproject.names import classes_of, metric_name

DECIMALS = 4
APPROXIMATE = "_argmax"


class LayerReading(NamedTuple):
    """What the filters of a layer have learned, under one alignment.

    Attributes:
        layer: ``conv1``, or ``conv2_argmax`` where the alignment is the approximate one of
            `mlproject.filters.trace`.
        alignment: ``released`` or ``paper``.
        motifs: one a filter, ``filter0`` on, whole window, nsites = number of sites (0 = dead).
        clipped: the informative part of each filter that is not dead, as Tomtom is fed with it:
            4 decimals, nsites = width.
        starts: for each filter the column of its window where the clipped part starts.
        matches: Tomtom's, in the order of the filters, best first.
    """

    layer: str
    alignment: str
    motifs: tuple[Motif, ...]
    clipped: tuple[Motif, ...]
    starts: tuple[int, ...]
    matches: tuple[Match, ...]


class Best(NamedTuple):
    """The match that names a filter.

    Attributes:
        match: the best relevant match, the best one if none is relevant.
        classes: the classes that it is relevant for; () = none.
    """

    match: Match
    classes: tuple[str, ...]


def read_layer(
    layer: str, alignment: str, aligned: Aligned, targets: Sequence[Motif], evalue: float = 0.1
) -> LayerReading:
    """Clip the filters of a layer and match them.

    Args:
        layer: name of the layer.
        alignment: name of the alignment.
        aligned: its position weight matrices.
        targets: motifs to match with, as a rule `mlproject.motifs.pwm.jaspar`.
        evalue: largest E-value of a match.
    """
    filters = list(zip(aligned.pwms, aligned.nsites, strict=True))
    motifs = [Motif(f"filter{n}", "", pwm, float(sites)) for n, (pwm, sites) in enumerate(filters)]
    spans = [clip(pwm) for pwm in aligned.pwms]
    clipped = [
        motif._replace(pwm=round_rows(motif.pwm[start:stop], DECIMALS), nsites=float(stop - start))
        for motif, (start, stop) in zip(motifs, spans, strict=True)
        if motif.nsites
    ]
    return LayerReading(
        layer,
        alignment,
        tuple(motifs),
        tuple(clipped),
        tuple(start for start, _ in spans),
        tuple(tomtom(clipped, targets, evalue)),
    )


def is_approximate(layer: str) -> bool:
    """Whether a layer's name says that its alignment is only approximate, through a pool."""
    return layer.endswith(APPROXIMATE)


def best_matches(reading: LayerReading, relevant: Mapping[str, Sequence[str]]) -> dict[str, Best]:
    """Return for each filter that matches anything the match that names it, by the filter's id."""
    best: dict[str, Best] = {}
    for match in sorted(reading.matches, key=lambda match: match.e_value):
        classes = classes_of(match.target_id, relevant)
        known = best.get(match.query_id)
        if known is None or (classes and not known.classes):
            best[match.query_id] = Best(match, classes)
    return best


def filters_by_class(
    reading: LayerReading, relevant: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Return for each class with relevant motifs the ids of the filters that match one of them."""
    found: dict[str, list[str]] = {name: [] for name, ids in relevant.items() if ids}
    for match in reading.matches:
        for name in classes_of(match.target_id, relevant):
            if match.query_id not in found[name]:
                found[name].append(match.query_id)
    return found


def scores(reading: LayerReading, relevant: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return how many filters are motifs.

    Returns:
        ``match_jaspar`` and ``match_relevant``, shares of all filters that match any target, and
        one that is relevant for a class; ``coverage``, share of the classes that a filter matches;
        ``dead``, number of filters without a site; ``filters/<class>``, number of filters that
        match the class. Classes without relevant motifs do not count; without any such class only
        ``match_jaspar`` and ``dead`` are returned.
    """
    count = len(reading.motifs)
    values = {
        "match_jaspar": len({match.query_id for match in reading.matches}) / count,
        "dead": float(sum(motif.nsites == 0 for motif in reading.motifs)),
    }
    found = filters_by_class(reading, relevant)
    if found:
        values["match_relevant"] = len(set().union(*found.values())) / count
        values["coverage"] = sum(bool(filters) for filters in found.values()) / len(found)
        values |= {
            f"filters/{metric_name(name)}": float(len(filters)) for name, filters in found.items()
        }
    return values
