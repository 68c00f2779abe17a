"""The truth of each position of sequences with planted motifs."""

from collections.abc import Collection, Sequence

import numpy as np

from mlproject.data.split import Split
from mlproject.motifs.pwm import Motif, information

INFORMATIVE = 0.01  # bit


def planted_positions(
    split: Split,
    motifs: Sequence[Motif],
    rows: np.ndarray,
    wanted: Collection[int] | None = None,
) -> np.ndarray:
    """Return the positions whose letter was drawn from an informative column, bool (rows, L).

    Args:
        split: the split, with sites.
        motifs: the planted motifs.
        rows: numbers of the sequences.
        wanted: numbers of the motifs that count. None: all.

    Source: Koo & Ploenzke, Nat Mach Intell 3: 258, 2021, released code: the information of the
    sequence's own PWM, uniform between motifs, is above 0.01 bit.
    """
    found = np.zeros((len(rows), split.codes.shape[1]), bool)
    if split.sites is None or not len(split.sites):
        return found
    widest = max(motif.width for motif in motifs)
    informative = np.zeros((2, len(motifs), widest), bool)
    for number, motif in enumerate(motifs):
        if wanted is None or number in wanted:
            columns = information(motif.pwm) > INFORMATIVE
            informative[0, number, : motif.width] = columns
            informative[1, number, : motif.width] = columns[::-1]
    row_of = np.full(len(split.codes), -1)
    row_of[rows] = np.arange(len(rows))
    sites = split.sites[row_of[split.sites["sequence"]] >= 0]
    for offset in range(widest):
        here = informative[(sites["strand"] < 0).astype(int), sites["motif"], offset]
        own = sites[here]
        found[row_of[own["sequence"]], own["start"] + offset] = True
    return found
