"""Databases of known motifs: the JASPAR releases in `pyjaspar`, and MEME files.

A MEME file may be HOCOMOCO's, CIS-BP's, JASPAR's or a user's own.
"""

import difflib
import math
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

from mlproject.fields import (
    JASPAR_2016,
    JASPAR_TAXA,
    database_files,
    jaspar_names,
    parse_databases,
)
from mlproject.motifs.meme import read_meme
from mlproject.motifs.pwm import Motif
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest
from mlproject.system.files import sha256_of

WIDEST = 1000  # columns
TAXA = (*JASPAR_TAXA[:-1], "diatoms")

_cis_bp = re.compile(r"\(([^()]+)\)_\(").match
_variant = re.compile(r"\(var\.\d+\)$")
_hocomoco = re.compile(r"(?P<factor>[^.]+?)(_HUMAN|_MOUSE)?\.H\d+\w*\..+").fullmatch


def motifs_of(spec: RunSpec) -> tuple[Motif, ...]:
    """Return the motifs of a spec's databases, see `databases`."""
    return databases(spec.motifs, spec.motifs_sha256)


def databases(names: str, sha256: str = "") -> tuple[Motif, ...]:
    """Return the motifs of one or several databases, with ids that differ.

    A motif with the id and the matrix of an earlier one is left out: JASPAR releases share motifs.
    A motif with the id, but not the matrix, of an earlier one gets the id ``ID@DATABASE``. A
    file is read once for each content, so a run goes on with the content that it began with.

    Args:
        names: names of `mlproject.fields.jaspar_names` and paths of MEME files, comma-separated.
        sha256: expected SHA-256 of each file, comma-separated; empty: any.

    Raises:
        UserError: unknown database, a file that cannot be read, or one that has changed.
    """
    hashes = sha256.split(",") if sha256 else map(sha256_of, database_files(names))
    return _databases(names, tuple(hashes))


@lru_cache
def _databases(names: str, hashes: tuple[str, ...]) -> tuple[Motif, ...]:
    _check_files(names, hashes)
    found: dict[str, Motif] = {}
    for name in parse_databases(names):
        for motif in jaspar(name) if name in jaspar_names() else meme_database(Path(name)):
            known = found.get(motif.id)
            if known is not None and np.array_equal(known.pwm, motif.pwm):
                continue
            identifier = motif.id if known is None else f"{motif.id}@{Path(name).stem}"
            if identifier in found:
                raise UserError(
                    f"ids must differ across `motifs`: {identifier} of {name} is there already; "
                    "rename one of the files"
                )
            found[identifier] = motif._replace(id=identifier)
    _check_files(names, hashes)
    return tuple(found.values())


def _check_files(names: str, hashes: tuple[str, ...]) -> None:
    for path, wanted in zip(database_files(names), hashes, strict=False):
        if (now := sha256_of(path)) != wanted:
            raise UserError(
                f"`motifs` must be the files that the run began with: {path} had sha256 "
                f"{wanted[:12]}, now {now[:12]}; restore it, or start a new run"
            )


def meme_database(path: Path) -> tuple[Motif, ...]:
    """Return the motifs of a MEME file; their names become those of their factors, see `factor`.

    Raises:
        UserError: see `read_comparable`.
    """
    return tuple(motif._replace(name=factor(motif)) for motif in read_comparable(path))


def read_comparable(path: Path) -> tuple[Motif, ...]:
    """Return the motifs of a MEME file that is to be compared with others.

    Raises:
        UserError: see `read_meme`; or a motif is wider than `WIDEST`, which takes hours.
    """
    found = read_meme(path)
    for motif in found:
        if motif.width > WIDEST:
            raise UserError(
                f"{path}: a motif that is compared must have at most {WIDEST:,} columns: "
                f"{motif.id[:60]} has {motif.width:,}; leave it out"
            )
    return found


def factor(motif: Motif) -> str:
    """Return the name of a motif's factor, "" if it is unknown.

    JASPAR's MEME files write ``CTCF`` or ``MA0139.1.CTCF``, CIS-BP's
    ``(CTCF)_(Homo_sapiens)_(DBD_1.00)``; HOCOMOCO's have it in the id: ``CTCF_HUMAN.H11MO.0.A``,
    ``CTCF.H12CORE.0.P.B``.
    """
    name = motif.name.strip().removeprefix(f"{motif.id}.")
    if match := _cis_bp(name):
        return match[1]
    if name and name != motif.id:
        return _variant.sub("", name).strip()
    match = _hocomoco(motif.id)
    return match["factor"] if match else ""


def title_of(names: str) -> str:
    """Return the databases as people read them: ``JASPAR 2026 plants, hocomoco.meme``."""
    return ", ".join(
        f"JASPAR {name[6:10]}{name[10:].replace('_', ' ')}"
        if name in jaspar_names()
        else Path(name).name
        for name in parse_databases(names)
    )


def jaspar(name: str = JASPAR_2016) -> tuple[Motif, ...]:
    """Return the latest version of each CORE motif of a JASPAR release, by id.

    The matrices come from `pyjaspar`. They are read once per process and are read-only. `nsites` is
    the mean column sum of the counts, rounded half up, as in MEME's conversion of JASPAR.
    ``jaspar2016`` has 519 motifs.

    Args:
        name: ``jaspar2026`` for vertebrates, ``jaspar2026_plants`` for another taxon,
            ``jaspar2026_all`` for all.

    Raises:
        UserError: unknown release.
    """
    return _jaspar(name.lower())


@lru_cache
def _jaspar(name: str) -> tuple[Motif, ...]:
    import pyjaspar

    if name not in jaspar_names():
        raise UserError(f"unknown JASPAR release {name!r}: {nearest(name, jaspar_names())}")
    release, _, taxon = name.partition("_")
    taxa = {"": ["vertebrates"], "all": ["vertebrates", *TAXA]}.get(taxon, [taxon])
    database = pyjaspar.jaspardb(release=release.upper())
    try:
        records = database.fetch_motifs(collection="CORE", tax_group=taxa)
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
        UserError: an id that is not among the motifs of the release.
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
