"""Sequence motifs: JASPAR, MEME files, information content and clipping.

A motif is a matrix of letter probabilities, (width, 4), letters in the order A C G T.
"""

import difflib
import math
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from mlproject.errors import UserError, nearest

DEFAULT_NSITES = 20.0

_KEYWORDS = ("MOTIF", "URL", "letter-probability", "log-odds", "---", "***")


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


def read_meme(path: str | Path) -> tuple[Motif, ...]:
    """Read the letter-probability matrices of a MEME file (minimal or MEME's own text output).

    Rows are divided by their sum, which may be 0.02 off. A motif without ``nsites=`` has 20, as in
    MEME.

    Raises:
        UserError: not readable, no motif, another alphabet than ``ACGT``, or a matrix that is not
            one; with file and line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise UserError(f"cannot read the MEME file {path}: {error.strerror}") from error
    parser = _Parser(Path(path), lines)
    motifs = tuple(parser.motifs())
    if not motifs:
        raise UserError(f"{path}: a MEME file needs a line `MOTIF id`: found none")
    return motifs


class _Parser:
    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path = path
        self.lines = lines
        self.number = 0

    def error(self, message: str, number: int | None = None) -> UserError:
        return UserError(f"{self.path}, line {number or self.number}: {message}")

    def motifs(self) -> Iterator[Motif]:
        seen: dict[str, int] = {}
        pending: tuple[str, str, int] | None = None
        while self.number < len(self.lines):
            line = self.lines[self.number]
            self.number += 1
            words = line.split()
            if line.startswith("ALPHABET"):
                self._check_alphabet(line)
            elif line.startswith("MOTIF"):
                self._check_matrix_seen(pending)
                pending = self._heading(words, seen)
            elif line.startswith("letter-probability matrix") and pending:
                start = self.number
                fields = dict(re.findall(r"(\w+)\s*=\s*(\S+)", line))
                nsites = self._number(fields, "nsites", DEFAULT_NSITES)
                rows = self._rows()
                if "w" in fields and self._number(fields, "w", 0.0) != len(rows):
                    rule = "`w=` must be the number of rows"
                    raise self.error(f"{rule}: got w= {fields['w']}, {len(rows)} rows", start)
                if not rows:
                    raise self.error("a matrix needs a row of 4 numbers a column: got none", start)
                yield Motif(pending[0], pending[1], np.array(rows), nsites)
                pending = None
        self._check_matrix_seen(pending)

    def _check_alphabet(self, line: str) -> None:
        alphabet = line.removeprefix("ALPHABET").strip(' ="\t').split('"')[0]
        if alphabet not in ("ACGT", "DNA"):
            raise self.error(f"`ALPHABET= ACGT` is needed, motifs of DNA: got {alphabet}")

    def _check_matrix_seen(self, pending: tuple[str, str, int] | None) -> None:
        if pending:
            rule = "needs a `letter-probability matrix:`: give it, or leave the motif out"
            raise self.error(f"motif {pending[0]} {rule}", pending[2])

    def _heading(self, words: list[str], seen: dict[str, int]) -> tuple[str, str, int]:
        if len(words) < 2 or words[0] != "MOTIF":
            raise self.error(f"a motif needs an id, `MOTIF id name`: got {' '.join(words)!r}")
        if words[1] in seen:
            first = seen[words[1]]
            raise self.error(f"ids must differ: {words[1]} is also the motif of line {first}")
        seen[words[1]] = self.number
        name = words[2] if len(words) > 2 and words[2] != "width" else ""
        return words[1], name, self.number

    def _number(self, fields: dict[str, str], key: str, default: float) -> float:
        try:
            value = float(fields.get(key, default))
        except ValueError:
            value = math.nan
        if not 0.0 <= value < math.inf:
            raise self.error(f"`{key}=` must be a number, 0 or more: got {fields[key]}")
        return value

    def _rows(self) -> list[list[float]]:
        rows: list[list[float]] = []
        while self.number < len(self.lines):
            line = self.lines[self.number]
            if line.startswith(_KEYWORDS) or (rows and not line.strip()):
                break
            self.number += 1
            if line.strip():
                rows.append(self._row(line))
        return rows

    def _row(self, line: str) -> list[float]:
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            row = []
        if len(row) != 4:
            raise self.error(f"a row must be 4 numbers, A C G T: got {line.strip()[:60]!r}")
        if not min(row) >= 0.0:
            raise self.error(f"probabilities must not be negative: got {line.strip()}")
        if not abs(sum(row) - 1.0) <= 0.02:
            raise self.error(f"a row must sum to 1: got {line.strip()} (sum {sum(row):g})")
        return [value / sum(row) for value in row]


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
    if not isinstance(path, str | Path):
        path.write(text)
        return
    temporary = Path(f"{path}.{secrets.token_hex(4)}.partial")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write the MEME file {path}: {error.strerror}") from error


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
