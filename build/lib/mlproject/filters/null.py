"""The null of motif matching: how many filters would match a database by chance.

The columns of each filter's informative part are shuffled, and the shuffled filters are matched in
the same way. A shuffled filter keeps the width, the information content and the composition of the
filter; only the order of its columns, which makes a motif of it, is lost. A filter of one repeated
letter stays as it is: its match needs no order and counts as chance.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mlproject.filters.reading import LayerReading
from mlproject.motifs.pwm import INFORMATIVE, Motif, information
from mlproject.motifs.tomtom import tomtom
from mlproject.names import classes_of

SHUFFLES = 10
SEED = 2016


def shuffled(motif: Motif, number: int) -> Motif:
    """Return a motif with the columns of its informative part in another order.

    Args:
        motif: as Tomtom gets it; flanks before the first and after the last informative column
            stay in place.
        number: of the shuffle; each gives one order, the same in every process.
    """
    informative = np.flatnonzero(information(motif.pwm) > INFORMATIVE)
    first, last = (informative[0], informative[-1]) if len(informative) else (0, motif.width - 1)
    part = slice(int(first), int(last) + 1)
    pwm = motif.pwm.copy()
    pwm[part] = np.random.default_rng([SEED, number]).permutation(pwm[part], axis=0)
    return motif._replace(pwm=pwm)


def null_scores(
    reading: LayerReading,
    targets: Sequence[Motif],
    relevant: Mapping[str, Sequence[str]],
    evalue: float = 0.1,
) -> dict[str, float]:
    """Return the shares of shuffled filters that match, the null of `match_scores`.

    Args:
        reading: the layer.
        targets: motifs of the databases.
        relevant: class -> ids.
        evalue: largest E-value of a match.

    Returns:
        ``match_null`` and, if a class has relevant motifs, ``match_null_relevant``: means over
        `SHUFFLES` shuffles of each filter. Dead filters count as without a match.
    """
    count = SHUFFLES * len(reading.motifs)
    queries = [
        shuffled(motif, SHUFFLES * place + number)._replace(id=f"{motif.id}/{number}")
        for place, motif in enumerate(reading.clipped)
        for number in range(SHUFFLES)
    ]
    matches = tomtom(queries, targets, evalue)
    values = {"match_null": len({match.query_id for match in matches}) / count}
    if any(relevant.values()):
        hits = {match.query_id for match in matches if classes_of(match.target_id, relevant)}
        values["match_null_relevant"] = len(hits) / count
    return values
