"""PWM scan: how well the known motifs alone tell the classes apart, without any training.

The baseline of the paper's discussion: each class scores a sequence by the best place of any of
its motifs on either strand. What it misses, chance motifs in the background hide. Where it is known
what was planted, the same scores of single places say how well a filter could tell the sites from
all others: the ceiling for `mlproject.filters.truth`.

Log-odds are multiples of 1 / 1024 bit, so that sums of them are exact, and equal on every machine.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mlproject.data import Dataset
from mlproject.data.rows import Rows
from mlproject.filters.align import Field
from mlproject.filters.scan import SITE
from mlproject.filters.truth import truth, truth_scores
from mlproject.filters.windows import Peaks, windows
from mlproject.motifs.databases import jaspar
from mlproject.motifs.meme import DEFAULT_NSITES
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.names import classes_of, metric_name, motif_names
from mlproject.network.evaluation import ClassScore, class_scores, metrics
from mlproject.sequence import one_hot
from mlproject.spec import canonical_sha256
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file
from mlproject.system.interrupts import check_interrupts

VERSION = 2
MOST = 50_000
BATCH = 250
PSEUDOCOUNT = 1.0
STEP = 1 / 1024


class Baseline(NamedTuple):
    """What the known motifs alone achieve on the test split.

    Attributes:
        rows: scores of the classes that have a motif.
        sites: ``site_ap`` and ``site_auroc`` as `mlproject.filters.truth` has them for a filter,
            mean over the planted motifs; empty where it is not known what was planted.
    """

    rows: tuple[ClassScore, ...]
    sites: dict[str, float]

    def metrics(self) -> dict[str, float]:
        """Return the numbers under their names: ``baseline/test_auroc``, ..."""
        return {
            **metrics(self.rows, "baseline/test_"),
            **{f"baseline/{name}": value for name, value in self.sites.items()},
        }


def log_odds(motif: Motif) -> np.ndarray:
    """Return log2 of the letters' probabilities over 0.25, (width, 4), in whole `STEP`.

    One pseudocount, shared by the four letters, is added to the motif's number of sites; 20 sites
    where it is unknown.
    """
    sites = motif.nsites if motif.nsites > 0 else DEFAULT_NSITES
    counts = motif.pwm * sites + PSEUDOCOUNT / 4
    return np.rint(np.log2(counts / counts.sum(axis=1, keepdims=True) * 4) / STEP) * STEP


def log_odds_maps(
    motifs: Sequence[Motif], codes: Rows, batch_size: int = BATCH
) -> Iterator[np.ndarray]:
    """Yield the log-odds of motifs at every place of sequences, batch by batch.

    Args:
        motifs: none wider than the sequences.
        codes: (sequences, length) uint8; letters other than A C G T add nothing.
        batch_size: sequences a batch.

    Yields:
        float32 (batch, length, 2 x motifs), bits: each motif, then its reverse complement, centred
        as the filters of a convolution as wide as the widest motif, see `field`; minus infinity
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
        seen = np.lib.stride_tricks.sliding_window_view(flat, width * 4, axis=1)[:, ::4]
        found = (seen.reshape(-1, width * 4) @ flat_weights).reshape(len(letters), length, -1)
        found += outside
        yield found


def field(motifs: Sequence[Motif]) -> Field:
    """Return the receptive field of the places of `log_odds_maps`."""
    width = max(motif.width for motif in motifs)
    return Field(width, (width - 1) // 2)


def class_motifs(data: Dataset) -> dict[str, tuple[Motif, ...]]:
    """Return for each class the planted motifs that are relevant for it, else JASPAR's; () = none.

    Motifs wider than the sequences are left out.
    """

    def fitting(name: str, motifs: Sequence[Motif]) -> tuple[Motif, ...]:
        return tuple(
            motif
            for motif in motifs
            if name in classes_of(motif.id, data.relevant) and motif.width <= data.length
        )

    return {name: fitting(name, data.motifs) or fitting(name, jaspar()) for name in data.classes}


def pwm_scan(data: Dataset) -> Baseline:
    """Scan the test sequences for the motifs of each class.

    Of more than `MOST` test sequences as many are used, evenly spaced, and no sites are looked at.
    """
    chosen = {name: motifs for name, motifs in class_motifs(data).items() if motifs}
    if not chosen:
        return Baseline((), {})
    count, sites = len(data.test.codes), data.test.sites
    rows = np.linspace(0, count - 1, min(count, MOST)).round().astype(np.int64)
    motifs = [motif for own in chosen.values() for motif in own]
    owners = np.repeat(np.arange(len(chosen)), [2 * len(own) for own in chosen.values()])
    maps = log_odds_maps(motifs, data.test.codes[rows])
    peaks = None
    if sites is not None and len(sites) and len(rows) == count:
        places = windows(sites, field(motifs), data.length, count)
        peaks = Peaks(places) if (places.site >= 0).any() else None
    best = [batch.max(axis=1) for batch in (peaks.watch(maps) if peaks else maps)]
    bounds = np.flatnonzero(np.diff(owners, prepend=-1))
    scores = np.maximum.reduceat(np.concatenate(best), bounds, axis=1)
    labels = np.asarray(data.test.labels)[rows]
    columns = [data.classes.index(name) for name in chosen]
    found = class_scores(labels[:, columns], scores, list(chosen))
    if peaks is None or sites is None:
        return Baseline(tuple(found), {})
    names = motif_names([motif.id for motif in data.motifs], data.relevant)
    seen = truth(peaks, np.empty(0, SITE), sites, names, field(motifs))
    return Baseline(tuple(found), _of_sites(truth_scores(seen)))


def cached_pwm_scan(data: Dataset, folder: Path) -> Baseline:
    """Return `pwm_scan` of a data set, computed once and kept in `folder` under its hash.

    What is kept names the data set and has a hash of its own: anything else is computed anew.
    """
    path = folder / f"pwm-scan-{VERSION}-{data.sha256[:16]}.json"
    if (kept := read_kept(path, data.sha256)) is not None:
        return kept
    done = pwm_scan(data)
    rows = [row._asdict() for row in done.rows]
    content = {"dataset_sha256": data.sha256, "rows": rows, "sites": done.sites}
    content["sha256"] = canonical_sha256(content)
    with atomic_file(path) as file:
        file.write(json.dumps(content).encode())
    return done


def read_kept(path: Path, dataset_sha256: str) -> Baseline | None:
    """Return the scores that a file keeps, None if it is damaged or not of this data set."""
    try:
        kept: Any = json.loads(path.read_text(encoding="utf-8"))
        if kept.pop("sha256") != canonical_sha256(kept) or kept["dataset_sha256"] != dataset_sha256:
            return None
        return Baseline(tuple(ClassScore(**row) for row in kept["rows"]), dict(kept["sites"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def format_baseline(found: Baseline) -> str:
    """Return the scores by class and their means as a table of text.

    Raises:
        UserError: no class has a motif.
    """
    if not found.rows:
        raise UserError(
            "a PWM scan needs classes with known motifs: the data set's `relevant` names none"
        )
    lines: list[list[str]] = [["class", "positives", "AUROC", "AUPR", "AP", "site AP"]]
    for row in found.rows:
        site = found.sites.get(f"site_ap/{metric_name(row.name)}")
        values = (row.auroc, row.aupr, row.ap, site)
        lines.append([row.name, f"{row.positives:,}", *map(_shown, values)])
    means = metrics(found.rows, "")
    kinds = [means.get(kind) for kind in ("auroc", "aupr", "ap")]
    lines.append(["mean", "", *map(_shown, [*kinds, found.sites.get("site_ap")])])
    wide = max(len(line[0]) for line in lines)
    return "\n".join(
        f"{line[0]:<{wide}}" + "".join(f"{cell:>11}" for cell in line[1:]) for line in lines
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _of_sites(scores: dict[str, float]) -> dict[str, float]:
    """Return those of the best motif of each factor, without ``tf_``."""
    names = ("tf_site_ap", "tf_site_auroc")
    return {
        key.removeprefix("tf_"): value
        for key, value in scores.items()
        if key.partition("/")[0] in names
    }
