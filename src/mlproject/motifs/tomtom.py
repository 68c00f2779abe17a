"""Which known motifs a filter looks like: Tomtom's statistics in numpy.

The result is that of MEME Suite's Tomtom with its defaults (4.12 to 5.4: Euclidean distance,
complete scores, both strands, uniform background): the same pairs, offsets, overlaps, strands, p-
and E-values. What differs from MEME is the q-value, see `Match`.

Source: Gupta et al., Genome Biology 8:R24, 2007; complete scores: Tanaka et al., Bioinformatics
27:1603, 2011.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlproject.motifs.pwm import Motif, jaspar, read_meme, reverse_complement
from mlproject.system.errors import UserError
from mlproject.system.interrupts import look

BINS = 100
PSEUDOCOUNT = 0.1

HEADER = (
    "Query_ID\tTarget_ID\tOptimal_offset\tp-value\tE-value\tq-value\tOverlap\t"
    "Query_consensus\tTarget_consensus\tOrientation\n"
)


class Match(NamedTuple):
    """One query and one target that it resembles, a row of Tomtom's table.

    Attributes:
        query_id: id of the query.
        target_id: id of the target.
        offset: target column below the query's first column; negative: the query starts earlier.
        p_value: chance that a random target of this width aligns as well, 0 to 1.
        e_value: `p_value` times the number of targets.
        q_value: Benjamini-Hochberg over the query's targets. MEME's counts both strands as tests
            and estimates the share of true nulls: up to a factor 2; no result rests on it.
        overlap: aligned columns.
        query_consensus: most probable letters.
        target_consensus: most probable letters, of the strand that matched.
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


class _Alignments(NamedTuple):
    """Every alignment of a query of one width, target after target, from left to right.

    The targets' columns stand in one row, width - 1 empty columns before each target: every
    position of the query's first column in that row is an alignment, and there are no others.

    Attributes:
        slots: (N,) positions of the targets' columns.
        starts: (2 targets,) first position of each target, forward strands first.
        offsets: (positions,) see `Match.offset`.
        overlaps: (positions,) aligned columns.
    """

    slots: np.ndarray
    starts: np.ndarray
    offsets: np.ndarray
    overlaps: np.ndarray


class _Best(NamedTuple):
    score: np.ndarray
    overlap: np.ndarray
    offset: np.ndarray
    reverse: np.ndarray


def tomtom(queries: Sequence[Motif], targets: Sequence[Motif], evalue: float = 0.1) -> list[Match]:
    """Compare each query with all targets on both strands.

    Args:
        queries: for instance the clipped filters of a layer.
        targets: for instance `mlproject.motifs.pwm.jaspar()`.
        evalue: largest E-value of a match.

    Returns:
        The matches, in the order of `queries`, and for each query the most significant first.

    Raises:
        UserError: `evalue` is not above 0, or there is no target.
    """
    if not evalue > 0.0:
        raise UserError(f"`evalue` must be above 0: got {evalue:g}; Tomtom's usual one is 0.1")
    if not targets:
        raise UserError("a comparison needs at least 1 target: got none; give `targets` motifs")
    database = _targets(targets)
    layouts: dict[int, _Alignments] = {}
    matches = []
    for query in queries:
        look()
        if query.width not in layouts:
            layouts[query.width] = _alignments(query.width, database.lengths)
        matches += _matches(query, targets, database, layouts[query.width], evalue)
    return matches


def format_tsv(matches: Sequence[Match]) -> str:
    """Return matches as Tomtom 5's table: tab-separated, one header line, numbers as C's ``%g``."""
    return HEADER + "".join("\t".join(map(_cell, match)) + "\n" for match in matches)


def _cell(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def match_files(query: Path, targets: Path | None = None, evalue: float = 0.1) -> str:
    """Compare the motifs of two MEME files; without `targets`, with JASPAR 2016 vertebrates.

    Returns:
        Tomtom's table, see `format_tsv`.

    Raises:
        UserError: the file is refused by `mlproject.motifs.pwm.read_meme`, or `evalue` is bad.
    """
    known = jaspar() if targets is None else read_meme(targets)
    return format_tsv(tomtom(read_meme(query), known, evalue))


def _matches(
    query: Motif,
    targets: Sequence[Motif],
    database: _Targets,
    layout: _Alignments,
    evalue: float,
) -> list[Match]:
    from scipy.stats import false_discovery_control

    pwm = _with_pseudocount(query)
    bins, zero = _binned(_scores(pwm, database.columns))
    best = _best(bins, zero, layout)
    lengths = database.lengths[: len(targets)]
    p_values = _p_values(bins, zero, best.score, lengths)
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
    """Return the most probable letters (width,) as Tomtom prints them.

    Tomtom keeps the best letter's probability in single precision: of two equal letters the later
    one is printed where that rounds down.
    """
    letters = np.zeros(len(pwm), dtype=int)
    highest = pwm[:, 0].astype(np.float32)
    for letter in range(1, 4):
        better = pwm[:, letter] > highest.astype(np.float64)
        letters[better] = letter
        highest[better] = pwm[better, letter]
    return "".join("ACGT"[letter] for letter in letters)


def _scores(pwm: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return minus the distance of query and target columns, (width, N), each row less its median.

    N counts both strands and is even: Tomtom's median is the lower of the two in the middle.
    """
    scores = np.zeros((len(pwm), len(columns)))
    for letter in range(4):
        difference = pwm[:, letter, None] - columns[None, :, letter]
        scores += np.square(difference, out=difference)
    np.sqrt(scores, out=scores)
    np.negative(scores, out=scores)
    middle = len(columns) // 2 - 1
    return scores - np.partition(scores, middle, axis=1)[:, middle, None]


def _binned(scores: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the scores as integers 0 to 100, (width, N), and the integer that means score 0."""
    lowest, highest = scores.min(), scores.max()
    floor = np.floor(highest - 1.0) if lowest == highest else np.floor(lowest)
    scale = np.floor(BINS / (highest - floor))
    bins = np.floor((scores - floor) * scale + 0.5).astype(np.int64)
    return bins, int(-floor * scale)


def _alignments(width: int, lengths: np.ndarray) -> _Alignments:
    sizes = lengths + width - 1
    starts = np.cumsum(sizes) - sizes
    offsets = np.arange(sizes.sum()) - np.repeat(starts + width - 1, sizes)
    overlaps = np.minimum(offsets + width, np.repeat(lengths, sizes)) - np.maximum(offsets, 0)
    return _Alignments(np.flatnonzero(offsets >= 0), starts, offsets, overlaps)


def _best(bins: np.ndarray, zero: int, layout: _Alignments) -> _Best:
    """Return the best alignment of each target: highest score, then largest overlap, then leftmost.

    Score, overlap and place are packed into one integer, so that one maximum finds all three.
    """
    width, size = len(bins), len(layout.offsets)
    row = np.zeros(size + width - 1, dtype=np.int64)
    scores = np.full(size, zero * width, dtype=np.int64)
    for number in range(width):
        row[layout.slots] = bins[number] - zero
        scores += row[number : number + size]
    overlap_range, offset_range = width + 1, int(np.ptp(layout.offsets)) + 1
    place = layout.offsets.max() - layout.offsets
    keys = (scores * overlap_range + layout.overlaps) * offset_range + place
    forward, backward = np.maximum.reduceat(keys, layout.starts).reshape(2, -1)
    reverse = backward // offset_range > forward // offset_range
    keys, place = np.divmod(np.where(reverse, backward, forward), offset_range)
    scores, overlaps = np.divmod(keys, overlap_range)
    return _Best(scores, overlaps, layout.offsets.max() - place, reverse)


def _p_values(bins: np.ndarray, zero: int, scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return for each target the chance (targets,) that its best alignment scores that much.

    The chance is 1 - prod P(span < score)^2 over the alignments of one strand; the square is for
    the other strand. A span is the run of query columns that lies over the target: its score is a
    sum of independent draws, one from each of its rows of `bins`, and the other columns score zero.
    Spans are made by their number of columns, each from one that is a column shorter.

    Args:
        bins: (width, N) integers.
        zero: the integer that means score 0.
        scores: (targets,) best integer scores.
        lengths: (targets,) widths of the targets.
    """
    width, total = bins.shape
    lowest = int(bins.min())
    histograms = [np.bincount(row - lowest) / total for row in bins]
    inner = max(lengths[lengths < width], default=0)
    spans = dict.fromkeys(range(width + 1), np.ones(1))
    log_below = np.zeros(len(scores))
    for columns in range(1, min(width, int(lengths.max())) + 1):
        last = width - columns
        spans = {
            start: np.convolve(spans[start], histograms[start + columns - 1])
            if start in spans
            else np.convolve(spans[start + 1], histograms[start])
            for start in (range(last + 1) if columns <= inner else {0, last})
        }
        above = scores - zero * last - lowest * columns
        ends = np.flatnonzero(np.minimum(lengths, width) > columns)
        for span in (spans[0], spans[last]):
            log_below[ends] += _log_below(span, above[ends])
        if columns == width:
            whole = np.flatnonzero(lengths >= width)
            places = lengths[whole] - width + 1
            log_below[whole] += places * _log_below(spans[0], above[whole])
        else:
            inside = np.flatnonzero(lengths == columns)
            for span in spans.values() if len(inside) else ():
                log_below[inside] += _log_below(span, above[inside])
    return np.abs(np.expm1(2.0 * log_below))


def _log_below(distribution: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return log P(span < score), (targets,).

    Tails are summed from the top, where they are small: 1 - tail would round them away.
    """
    tails = np.append(np.cumsum(distribution[::-1])[::-1], 0.0)
    reached = np.minimum(tails[np.clip(scores, 0, len(distribution))], 1.0)
    with np.errstate(divide="ignore"):
        return np.log1p(-reached)
