"""PWM scan: how well the known motifs alone separate the classes, without training.

This is the baseline of the paper's discussion. The score of a sequence for a class is the best
match of any of the class's motifs on either strand; chance matches in the background limit it.
Where the planted sites are known, the same scores at single positions show how well a filter could
separate the sites from all other positions: the upper limit for `mlproject.filters.truth`.

Log-odds are multiples of 1 / 1024 bit. Their sums are exact, and equal on every machine.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mlproject.data import Dataset
from mlproject.data.rows import Rows
from mlproject.fields import VALUES
from mlproject.filters.scan import ACTIVE_SITE
from mlproject.filters.site_windows import Peaks, site_windows
from mlproject.filters.truth import compare_to_sites, truth_scores
from mlproject.geometry import ReceptiveField, Window
from mlproject.motifs.databases import jaspar
from mlproject.motifs.meme import DEFAULT_NSITES
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.names import classes_of, motif_names
from mlproject.network.evaluation import ClassScore, class_scores, metrics
from mlproject.network.value_scores import ValueScore
from mlproject.sequence import one_hot
from mlproject.system.interrupts import check_interrupts

MOST = 50_000
BATCH = 250
PSEUDOCOUNT = 1.0
STEP = 1 / 1024


class Baseline(NamedTuple):
    """The scores of the known motifs alone on the test split.

    Attributes:
        rows: scores of the classes that have a motif, or of the outputs that are numbers.
        sites: ``site_ap`` and ``site_auroc`` as `mlproject.filters.truth` defines them for a
            filter, mean over the planted motifs; empty where the planted sites are unknown.
    """

    rows: tuple[ClassScore | ValueScore, ...]
    sites: dict[str, float]

    def metrics(self) -> dict[str, float]:
        """Return the numbers by metric name: ``baseline/test_auroc``, ..."""
        return {
            **metrics(self.rows, "baseline/test_"),
            **{f"baseline/{name}": value for name, value in self.sites.items()},
        }


def log_odds(motif: Motif) -> np.ndarray:
    """Return log2 of the letters' probabilities over 0.25, (width, 4), rounded to `STEP`.

    One pseudocount, shared by the four letters, is added to the motif's number of sites. An unknown
    number of sites counts as 20.
    """
    sites = motif.nsites if motif.nsites > 0 else DEFAULT_NSITES
    counts = motif.pwm * sites + PSEUDOCOUNT / 4
    return np.rint(np.log2(counts / counts.sum(axis=1, keepdims=True) * 4) / STEP) * STEP


def log_odds_maps(
    motifs: Sequence[Motif], codes: Rows, batch_size: int = BATCH
) -> Iterator[np.ndarray]:
    """Yield the log-odds of motifs at every position of sequences, batch by batch.

    Args:
        motifs: none wider than the sequences.
        codes: (sequences, length) uint8; letters other than A C G T add nothing.
        batch_size: sequences a batch.

    Yields:
        float32 (batch, length, 2 x motifs), bits: each motif, then its reverse complement, centred
        like the filters of a convolution as wide as the widest motif, see `field`; minus infinity
        where a motif leaves the sequence.
    """
    both = [
        log_odds(one)
        for motif in motifs
        for one in (motif, motif._replace(pwm=reverse_complement(motif.pwm)))
    ]
    width, left, _ = field(motifs)
    weights = np.zeros((width, 4, len(both)), np.float32)
    length = codes.shape[1]
    outside = np.full((length, len(both)), -np.inf, np.float32)
    for number, matrix in enumerate(both):
        before = (width - len(matrix)) // 2
        weights[before : before + len(matrix), :, number] = matrix
        first = left - before
        outside[first : first + length - len(matrix) + 1, number] = 0
    flat_weights = weights.reshape(width * 4, -1)
    for start in range(0, len(codes), batch_size):
        check_interrupts()
        letters = one_hot(codes[start : start + batch_size])
        padded = np.pad(letters, ((0, 0), (left, width - 1 - left), (0, 0)))
        flat = padded.reshape(len(letters), -1)
        views = np.lib.stride_tricks.sliding_window_view(flat, width * 4, axis=1)[:, ::4]
        found = (views.reshape(-1, width * 4) @ flat_weights).reshape(len(letters), length, -1)
        found += outside
        yield found


def field(motifs: Sequence[Motif]) -> ReceptiveField:
    """Return the receptive field of the positions of `log_odds_maps`."""
    width = max(motif.width for motif in motifs)
    return ReceptiveField().through(Window(width), width)


def class_motifs(
    data: Dataset,
    relevant: Mapping[str, Sequence[str]] | None = None,
    targets: Sequence[Motif] | None = None,
) -> dict[str, tuple[Motif, ...]]:
    """Return for each class its relevant planted motifs, else its relevant known motifs.

    Args:
        data: the data set.
        relevant: class -> ids; None: as the data set says.
        targets: the known motifs; None: JASPAR 2016.

    Returns:
        Motifs wider than the sequences are left out. A class without a motif has ().
    """
    owners = data.relevant if relevant is None else relevant
    known = jaspar() if targets is None else targets

    def fitting(name: str, motifs: Sequence[Motif]) -> tuple[Motif, ...]:
        return tuple(
            motif
            for motif in motifs
            if name in classes_of(motif.id, owners) and motif.width <= data.length
        )

    return {name: fitting(name, data.motifs) or fitting(name, known) for name in data.classes}


def pwm_scan(data: Dataset, motifs: Mapping[str, tuple[Motif, ...]] | None = None) -> Baseline:
    """Scan the test sequences for the motifs of each class, see `class_motifs`.

    If the split has more than `MOST` sequences, as many evenly spaced ones are scanned, and the
    planted sites are not scored. Outputs that are numbers have no scores here: one motif says
    little about a sum of effects, see `mlproject.filters.word_baseline`.
    """
    own_motifs = class_motifs(data) if motifs is None else motifs
    chosen = {name: own for name, own in own_motifs.items() if own}
    if not chosen:
        return Baseline((), {})
    count, sites = len(data.test.codes), data.test.sites
    rows = np.linspace(0, count - 1, min(count, MOST)).round().astype(np.int64)
    scanned = [motif for own in chosen.values() for motif in own]
    owners = np.repeat(np.arange(len(chosen)), [2 * len(own) for own in chosen.values()])
    maps = log_odds_maps(scanned, data.test.codes[rows])
    peaks = None
    if sites is not None and len(sites) and len(rows) == count:
        places = site_windows(sites, field(scanned), data.length, count)
        peaks = Peaks(places) if (places.site >= 0).any() else None
    best = [batch.max(axis=1) for batch in (peaks.watch(maps) if peaks else maps)]
    bounds = np.flatnonzero(np.diff(owners, prepend=-1))
    scores = np.maximum.reduceat(np.concatenate(best), bounds, axis=1)
    found = []
    if data.task not in VALUES:
        labels = np.asarray(data.test.labels)[rows]
        columns = [data.classes.index(name) for name in chosen]
        found = class_scores(labels[:, columns], scores, list(chosen))
    if peaks is None or sites is None:
        return Baseline(tuple(found), {})
    names = motif_names([motif.id for motif in data.motifs], data.relevant)
    compared = compare_to_sites(peaks, np.empty(0, ACTIVE_SITE), sites, names, field(scanned))
    return Baseline(tuple(found), _of_best_motifs(truth_scores(compared)))


def _of_best_motifs(scores: dict[str, float]) -> dict[str, float]:
    """Return the scores of each factor's best motif, without the prefix ``tf_``."""
    names = ("tf_site_ap", "tf_site_auroc")
    return {
        key.removeprefix("tf_"): value
        for key, value in scores.items()
        if key.partition("/")[0] in names
    }
