"""Comparison of motifs with known motifs: Tomtom's statistics in numpy.

The results equal those of MEME Suite's Tomtom 4.12 to 5.4 with its defaults (Euclidean distance,
complete scores, both strands, uniform background): the same pairs, offsets, overlaps, strands, p-
and E-values. Only the q-value differs, see `Match`.

Source: Gupta et al., Genome Biology 8:R24, 2007; complete scores: Tanaka et al., Bioinformatics
27:1603, 2011.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlproject.fields import JASPAR_2016
from mlproject.motifs import alignment
from mlproject.motifs.databases import databases, read_comparable
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.system.errors import UserError
from mlproject.system.interrupts import check_interrupts
from mlproject.system.progress import watched

PSEUDOCOUNT = 0.1

HEADER = (
    "Query_ID\tTarget_ID\tOptimal_offset\tp-value\tE-value\tq-value\tOverlap\t"
    "Query_consensus\tTarget_consensus\tOrientation\n"
)
NAMED_HEADER = f"{HEADER.rstrip()}\tTarget_name\n"


class Match(NamedTuple):
    """A query and a similar target: one row of Tomtom's table.

    Attributes:
        query_id: id of the query.
        target_id: id of the target.
        offset: target column under the query's first column; negative if the query starts earlier.
        p_value: probability that a random target of this width aligns as well, 0 to 1.
        e_value: `p_value` times the number of targets.
        q_value: Benjamini-Hochberg over the query's targets. MEME counts both strands as tests and
            estimates the share of true nulls: up to a factor 2. No result depends on it.
        overlap: aligned columns.
        query_consensus: most probable letters.
        target_consensus: most probable letters of the strand that matched.
        orientation: ``+``, or ``-`` where the target's reverse complement matched.
    """

    query_id: str
    target_id: str
    offset: int
    p_value: float
    e_value: float
    q_value: float
    overlap: int
    query_consensus: str
    target_consensus: str
    orientation: str


class _Targets(NamedTuple):
    columns: np.ndarray
    lengths: np.ndarray
    consensus: tuple[str, ...]


def tomtom(queries: Sequence[Motif], targets: Sequence[Motif], evalue: float = 0.1) -> list[Match]:
    """Compare each query with all targets on both strands.

    Args:
        queries: for instance the clipped filters of a layer.
        targets: for instance `mlproject.motifs.databases.jaspar()`.
        evalue: largest E-value of a match.

    Returns:
        The matches in the order of `queries`, the most significant match of a query first.

    Raises:
        UserError: `evalue` is not above 0, or there is no target.
    """
    if not evalue > 0.0:
        raise UserError(f"`evalue` must be above 0: got {evalue:g}; Tomtom's default is 0.1")
    if not targets:
        raise UserError("a comparison needs at least 1 target: got none; give `targets` motifs")
    database = _targets(targets)
    layouts: dict[int, alignment.Alignments] = {}
    matches = []
    for query in watched(queries, "matching motifs"):
        check_interrupts()
        if query.width not in layouts:
            layouts[query.width] = alignment.alignments(query.width, database.lengths)
        matches += _matches(query, targets, database, layouts[query.width], evalue)
    return matches


def format_tsv(matches: Sequence[Match], targets: Sequence[Motif] = ()) -> str:
    """Return matches as Tomtom 5's table: tab-separated, one header line, numbers as C's ``%g``.

    Args:
        matches: the matches.
        targets: the motifs of the databases: their names make one more column, ``Target_name``.
    """
    if not targets:
        return HEADER + "".join("\t".join(map(_cell, match)) + "\n" for match in matches)
    names = {motif.id: " ".join(motif.name.split()) for motif in targets}
    lines = ["\t".join([*map(_cell, match), names.get(match.target_id, "")]) for match in matches]
    return NAMED_HEADER + "".join(f"{line}\n" for line in lines)


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def match_files(query: Path, motifs: str = JASPAR_2016, evalue: float = 0.1) -> str:
    """Compare the motifs of a MEME file with those of databases.

    Args:
        query: the MEME file.
        motifs: see `mlproject.motifs.databases.databases`.
        evalue: largest E-value of a match.

    Returns:
        Tomtom's table with the names of the targets, see `format_tsv`.

    Raises:
        UserError: see `databases`, `mlproject.motifs.databases.read_comparable` and `tomtom`.
    """
    targets = databases(motifs)
    return format_tsv(tomtom(read_comparable(query), targets, evalue), targets)


def _matches(
    query: Motif,
    targets: Sequence[Motif],
    database: _Targets,
    layout: alignment.Alignments,
    evalue: float,
) -> list[Match]:
    from scipy.stats import false_discovery_control

    pwm = _with_pseudocount(query)
    bins, zero = alignment.binned(alignment.column_scores(pwm, database.columns))
    best = alignment.best_alignments(bins, zero, layout)
    lengths = database.lengths[: len(targets)]
    p_values = alignment.p_values(bins, zero, best.score, lengths)
    e_values = p_values * len(targets)
    q_values = false_discovery_control(p_values)
    query_consensus = _consensus(pwm)
    found = []
    for number in np.flatnonzero(e_values <= evalue).tolist():
        reverse = bool(best.reverse[number])
        match = Match(
            query_id=query.id,
            target_id=targets[number].id,
            offset=int(best.offset[number]),
            p_value=float(p_values[number]),
            e_value=float(e_values[number]),
            q_value=float(q_values[number]),
            overlap=int(best.overlap[number]),
            query_consensus=query_consensus,
            target_consensus=database.consensus[number + reverse * len(targets)],
            orientation="-" if reverse else "+",
        )
        found.append(match)
    return sorted(found, key=lambda m: (m.p_value, -m.overlap, m.orientation, m.target_id))


def _with_pseudocount(motif: Motif) -> np.ndarray:
    rows = motif.pwm / motif.pwm.sum(axis=1, keepdims=True)
    return (rows * motif.nsites + PSEUDOCOUNT * 0.25) / (motif.nsites + PSEUDOCOUNT)


def _targets(targets: Sequence[Motif]) -> _Targets:
    forward = [_with_pseudocount(motif) for motif in targets]
    both = forward + [reverse_complement(pwm) for pwm in forward]
    lengths = np.array([len(pwm) for pwm in both])
    return _Targets(np.concatenate(both), lengths, tuple(_consensus(pwm) for pwm in both))


def _consensus(pwm: np.ndarray) -> str:
    """Return the most probable letters, (width,), as Tomtom prints them.

    Tomtom stores the best probability in single precision. Of two equally probable letters it
    therefore prints the later one if single precision rounds down.
    """
    letters = np.zeros(len(pwm), dtype=int)
    highest = pwm[:, 0].astype(np.float32)
    for letter in range(1, 4):
        better = pwm[:, letter] > highest.astype(np.float64)
        letters[better] = letter
        highest[better] = pwm[better, letter]
    return "".join("ACGT"[letter] for letter in letters)
