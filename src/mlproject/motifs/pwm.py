"""Sequence motifs: JASPAR, MEME files, information content and clipping.

A motif is a matrix of letter probabilities, (width, 4), letters in the order A C G T.
"""

import difflib
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from mlproject.motifs import meme
from mlproject.system.errors import UserError, nearest
from mlproject.system.files import written_whole


class Motif(NamedTuple):
    """One motif.

    Attributes:
        id: unique name, without spaces (``MA0466.2``, ``filter0``).
        name: other name, ``""`` if none (``CEBPB``).
        pwm: (width, 4) float64, letter probabilities A C G T, rows sum to 1.
        nsites: number of sites the probabilities were counted from.
    """

    id: str
    name: str
    pwm: np.ndarray
    nsites: float

    @property
    def width(self) -> int:
        """Number of columns, nt."""
        return len(self.pwm)

    @property
    def consensus(self) -> str:
        """The most probable letter of each column, the first of A C G T where several are."""
        return "".join("ACGT"[letter] for letter in self.pwm.argmax(axis=1))


def reverse_complement(pwm: np.ndarray) -> np.ndarray:
    """Return the motif (width, 4) as the other strand reads it."""
    return pwm[::-1, ::-1]


def information(pwm: np.ndarray) -> np.ndarray:
    """Return the information content of each column, (width,), 0 to 2 bits.

    Source: I = 2 + sum p log2 p, the paper's logo height (uniform background).
    """
    return 2.0 + np.sum(pwm * np.log2(np.where(pwm > 0.0, pwm, 1.0)), axis=-1)


def clip(pwm: np.ndarray, bits: float = 0.5, flank: int = 3) -> tuple[int, int]:
    """Return the informative part of a filter as ``(start, stop)`` columns.

    Args:
        pwm: (width, 4).
        bits: a column with more than this is informative.
        flank: columns kept on each side, where there are any.

    Returns:
        From the first to the last informative column and its flanks; all columns if none is
        informative. Source: the rule of the paper's released code.
    """
    informative = np.flatnonzero(information(pwm) > bits)
    if not len(informative):
        return 0, len(pwm)
    first, last = int(informative[0]), int(informative[-1])
    return max(first - flank, 0), min(last + 1 + flank, len(pwm))


def round_rows(pwm: np.ndarray, decimals: int) -> np.ndarray:
    """Return (width, 4) rounded so that every row still sums to 1.

    What plain rounding adds or takes goes to the letters that it changed most: no value moves by
    10^-decimals or more.
    """
    scaled = np.asarray(pwm, dtype=np.float64) * 10**decimals
    units = np.floor(scaled)
    order = np.argsort(units - scaled, axis=1, kind="stable")
    missing = np.rint(10**decimals - units.sum(axis=1)).astype(int)
    np.put_along_axis(
        units,
        order,
        np.take_along_axis(units, order, axis=1) + (np.arange(4) < missing[:, None]),
        axis=1,
    )
    return units / 10**decimals


def jaspar(release: str = "JASPAR2016") -> tuple[Motif, ...]:
    """Return the latest version of each CORE vertebrate motif of a JASPAR release, by id.

    The matrices are those of `pyjaspar`'s wheel; they are read once a process and are read-only.
    `nsites` is the mean column sum of the counts, halves rounded up, as in MEME's conversion of
    JASPAR. JASPAR2016 has 519 motifs.

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


def jaspar_by_id(ids: Iterable[str], release: str = "JASPAR2016") -> tuple[Motif, ...]:
    """Return JASPAR motifs in the order of `ids`.

    Args:
        ids: with version (``MA0466.2``) or without (``MA0466``: the release's version).
        release: see `jaspar`.

    Raises:
        UserError: an id that the release's CORE vertebrate motifs do not hold.
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


def read_meme(path: str | Path, unknown: float = meme.DEFAULT_NSITES) -> tuple[Motif, ...]:
    """Read the letter-probability matrices of a MEME file, see `mlproject.motifs.meme.read`.

    Args:
        path: the file.
        unknown: number of sites where the file says none, or 0.

    Raises:
        UserError: a file that is no MEME file of DNA motifs; with file and line.
    """
    records = meme.read(Path(path), unknown)
    return tuple(Motif(rec.id, rec.name, np.array(rec.rows), rec.nsites) for rec in records)


def write_meme(path: str | Path | TextIO, motifs: Sequence[Motif], decimals: int = 6) -> None:
    """Write motifs in minimal MEME format, rows summing to 1; the file is whole or not there.

    Args:
        path: a path, or a text file open for writing.
        motifs: spaces in names become ``_``, as the format has no room for them.
        decimals: digits of each probability.

    Raises:
        UserError: an id that is empty, double or has a space; a file that cannot be written.
    """
    text = _meme_text(motifs, decimals)
    if isinstance(path, str | Path):
        with written_whole(Path(path)) as file:
            file.write(text.encode())
    else:
        path.write(text)


def _meme_text(motifs: Sequence[Motif], decimals: int) -> str:
    lines = ["MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", ""]
    lines += ["Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", ""]
    seen: set[str] = set()
    for motif in motifs:
        if len(motif.id.split()) != 1 or motif.id in seen:
            raise UserError(f"a MEME file needs ids without spaces that differ: got {motif.id!r}")
        seen.add(motif.id)
        lines.append(f"MOTIF {motif.id} {'_'.join(motif.name.split())}".rstrip())
        size = f"alength= 4 w= {motif.width} nsites= {motif.nsites:.15g} E= 0"
        lines.append(f"letter-probability matrix: {size}")
        rows = round_rows(motif.pwm, decimals)
        lines += [" ".join(f"{value:.{decimals}f}" for value in row) for row in rows]
        lines.append("")
    return "\n".join(lines)
