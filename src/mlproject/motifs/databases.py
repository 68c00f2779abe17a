"""Databases of known motifs: the JASPAR releases in `pyjaspar`."""

import difflib
import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from mlproject.motifs.pwm import Motif
from mlproject.system.errors import UserError, nearest

JASPAR_2016 = "JASPAR2016"


def jaspar(release: str = JASPAR_2016) -> tuple[Motif, ...]:
    """Return the latest version of each CORE vertebrate motif of a JASPAR release, by id.

    The matrices come from `pyjaspar`. They are read once per process and are read-only. `nsites` is
    the mean column sum of the counts, rounded half up, as in MEME's conversion of JASPAR.
    JASPAR2016 has 519 motifs.

    Raises:
        UserError: unknown release.
    """
    return _jaspar(release)


@lru_cache
def _jaspar(release: str) -> tuple[Motif, ...]:
    import pyjaspar

    if release not in pyjaspar.jaspar_releases:
        hint = nearest(release, pyjaspar.jaspar_releases)
        raise UserError(f"unknown JASPAR release {release!r}: {hint}")
    database = pyjaspar.jaspardb(release=release)
    try:
        records = database.fetch_motifs(collection="CORE", tax_group=["vertebrates"])
    finally:
        database.conn.close()
    motifs = []
    for record in records:
        counts = np.array([record.counts[letter] for letter in "ACGT"]).T
        sums = counts.sum(axis=1)
        pwm = counts / sums[:, None]
        pwm.setflags(write=False)
        nsites = float(math.floor(sums.mean() + 0.5))
        motifs.append(Motif(record.matrix_id, record.name.strip(), pwm, nsites))
    return tuple(sorted(motifs, key=lambda motif: motif.id))


def jaspar_by_id(ids: Iterable[str], release: str = JASPAR_2016) -> tuple[Motif, ...]:
    """Return JASPAR motifs in the order of `ids`.

    Args:
        ids: with version (``MA0466.2``) or without (``MA0466``: the version in the release).
        release: see `jaspar`.

    Raises:
        UserError: an id that is not among the CORE vertebrate motifs of the release.
    """
    known = {motif.id: motif for motif in jaspar(release)}
    known_bases = {motif.id.partition(".")[0]: motif for motif in known.values()}
    found = []
    for wanted in ids:
        motif = known.get(wanted) or known_bases.get(wanted)
        if motif is None:
            raise UserError(f"no motif {wanted!r} in {release}: {_nearest_id(wanted, known)}")
        found.append(motif)
    return tuple(found)


def _nearest_id(wanted: str, known: Iterable[str]) -> str:
    base = wanted.partition(".")[0]
    other = [name for name in known if name.startswith(f"{base}.")]
    close = difflib.get_close_matches(wanted, known, n=3)
    if other:
        return f"it has {other[0]}"
    return f"did you mean {', '.join(close)}?" if close else "ids look like MA0466.2"
