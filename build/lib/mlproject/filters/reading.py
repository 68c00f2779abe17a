"""Reading: the filters of a layer as motifs, their database matches, and summary numbers.

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
    """The filters of a layer as motifs with their matches, under one alignment.

    Attributes:
        layer: ``conv1``, or ``conv2_argmax`` if the sites were traced through a pool,
            approximately, by `mlproject.filters.trace`.
        alignment: ``released``, ``paper`` or ``exponential``.
        motifs: one for each filter, from ``filter0`` on, of the full window width; nsites = number
            of sites (0 = dead).
        clipped: the informative part of each filter that is not dead, the input of Tomtom: 4
            decimals, nsites = width.
        starts: for each filter the first column of the clipped part in its window.
        matches: Tomtom's matches, in the order of the filters, best first.
    """

    layer: str
    alignment: str
    motifs: tuple[Motif, ...]
    clipped: tuple[Motif, ...]
    starts: tuple[int, ...]
    matches: tuple[Match, ...]


class BestMatch(NamedTuple):
    """The match that gives a filter its name.

    Attributes:
        match: the best relevant match, or the best match if none is relevant.
        classes: the classes for which the match is relevant; () = none.
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
        targets: motifs of the database, usually `mlproject.motifs.pwm.jaspar`.
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
    """Return whether a layer's name marks its sites as traced through a pool, approximately."""
    return layer.endswith(APPROXIMATE)


def best_matches(
    reading: LayerReading, relevant: Mapping[str, Sequence[str]]
) -> dict[str, BestMatch]:
    """Return the match that names each filter, by the filter's id; filters without are left out."""
    best: dict[str, BestMatch] = {}
    for match in sorted(reading.matches, key=lambda match: match.e_value):
        classes = classes_of(match.target_id, relevant)
        known = best.get(match.query_id)
        if known is None or (classes and not known.classes):
            best[match.query_id] = BestMatch(match, classes)
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


def match_scores(reading: LayerReading, relevant: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return the numbers of filters that match, by metric name.

    Returns:
        ``match_jaspar`` and ``match_relevant``: shares of all filters that match any target, or a
        target that is relevant for a class. ``coverage``: share of the classes with a matching
        filter. ``dead``: number of filters without a site. ``filters/<class>``: number of filters
        that match the class. Classes without relevant motifs do not count; if no class has one,
        only ``match_jaspar`` and ``dead`` are returned.
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
