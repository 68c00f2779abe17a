"""Alignments of one motif with many targets: scores and p-values as in Tomtom.

Source: Gupta et al., Genome Biology 8:R24, 2007; complete scores: Tanaka et al., Bioinformatics
27:1603, 2011.
"""

from typing import NamedTuple

import numpy as np

BINS = 100


class Alignments(NamedTuple):
    """All alignments of queries of one width, target by target, from left to right.

    The columns of all targets form one row, with width - 1 empty columns before each target. Each
    position of the query's first column in this row is one alignment.

    Attributes:
        slots: (N,) positions of the targets' columns.
        starts: (2 targets,) first position of each target, forward strands first.
        offsets: (positions,) see `mlproject.motifs.tomtom.Match.offset`.
        overlaps: (positions,) aligned columns.
    """

    slots: np.ndarray
    starts: np.ndarray
    offsets: np.ndarray
    overlaps: np.ndarray


class Best(NamedTuple):
    """The best alignment of each target, arrays (targets,); offsets as in `Alignments`."""

    score: np.ndarray
    overlap: np.ndarray
    offset: np.ndarray
    reverse: np.ndarray


def column_scores(pwm: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the negative distances of query and target columns, (width, N), minus row medians.

    N counts both strands, so it is even. Tomtom's median is the lower of the two middle values.
    """
    scores = np.zeros((len(pwm), len(columns)))
    for letter in range(4):
        difference = pwm[:, letter, None] - columns[None, :, letter]
        scores += np.square(difference, out=difference)
    np.sqrt(scores, out=scores)
    np.negative(scores, out=scores)
    middle = len(columns) // 2 - 1
    return scores - np.partition(scores, middle, axis=1)[:, middle, None]


def binned(scores: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the scores as integers 0 to 100, (width, N), and the integer for score 0."""
    lowest, highest = scores.min(), scores.max()
    floor = np.floor(highest - 1.0) if lowest == highest else np.floor(lowest)
    scale = np.floor(BINS / (highest - floor))
    bins = np.floor((scores - floor) * scale + 0.5).astype(np.int64)
    return bins, int(-floor * scale)


def alignments(width: int, lengths: np.ndarray) -> Alignments:
    """Return all alignments of a query of `width` columns with targets of `lengths` (targets,)."""
    sizes = lengths + width - 1
    starts = np.cumsum(sizes) - sizes
    offsets = np.arange(sizes.sum()) - np.repeat(starts + width - 1, sizes)
    overlaps = np.minimum(offsets + width, np.repeat(lengths, sizes)) - np.maximum(offsets, 0)
    return Alignments(np.flatnonzero(offsets >= 0), starts, offsets, overlaps)


def best_alignments(bins: np.ndarray, zero: int, layout: Alignments) -> Best:
    """Return the best alignment of each target: highest score, then largest overlap, then leftmost.

    Score, overlap and position are packed into one integer, so that one maximum finds all three.
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
    return Best(scores, overlaps, layout.offsets.max() - place, reverse)


def p_values(bins: np.ndarray, zero: int, scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the p-value of each target's best score, (targets,).

    The p-value is 1 - prod P(span < score)^2 over the alignments of one strand. The square accounts
    for the other strand. A span is the run of query columns over the target. Its score is the sum
    of independent draws, one from each of its rows of `bins`. The other columns score zero. The
    distribution of a span is computed from that of a span with one column less.

    Args:
        bins: (width, N) integers.
        zero: the integer for score 0.
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
            wide = np.flatnonzero(lengths >= width)
            places = lengths[wide] - width + 1
            log_below[wide] += places * _log_below(spans[0], above[wide])
        else:
            inside = np.flatnonzero(lengths == columns)
            for span in spans.values() if len(inside) else ():
                log_below[inside] += _log_below(span, above[inside])
    return np.abs(np.expm1(2.0 * log_below))


def _log_below(distribution: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return log P(span < score), (targets,).

    Tails are summed from the top, where the terms are small. 1 - cumulative sum would lose them to
    rounding.
    """
    tails = np.append(np.cumsum(distribution[::-1])[::-1], 0.0)
    reached = np.minimum(tails[np.clip(scores, 0, len(distribution))], 1.0)
    with np.errstate(divide="ignore"):
        return np.log1p(-reached)
