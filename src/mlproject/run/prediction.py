"""Predictions for sequences of a user, as a table, and as bedGraph where coordinates are known."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import pandas

from mlproject.data.bed import read_intervals
from mlproject.data.fitting import Fit, fitted
from mlproject.data.genome import Genome, open_genome
from mlproject.data.sequence_files import read_sequences
from mlproject.names import distinct, metric_names
from mlproject.run.ensemble import Ensemble, cell, combined
from mlproject.sequence import encode
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file
from mlproject.system.messages import quantity

BATCH = 1000
MOST_WINDOWS = 50_000_000


class Window(NamedTuple):
    """A window on the genome, and the interval that it is for."""

    chromosome: str
    start: int
    end: int
    interval: str


class Done(NamedTuple):
    """The number of rows written, and notes on what was left out."""

    rows: int
    notes: list[str]


def predict_fasta(ensemble: Ensemble, path: Path, out: IO[str], fit: Fit = "exact") -> Done:
    """Write the predictions for the sequences of a file as tab-separated lines.

    Args:
        ensemble: the networks.
        path: FASTA, or DeepBind's table; plain or compressed.
        out: where to write.
        fit: treatment of sequences of another length, see `mlproject.data.fasta.convert`.

    Raises:
        UserError: a file of another format, or sequences of another length.
    """
    out.write("\t".join(["name", *ensemble.columns]) + "\n")
    names: list[str] = []
    sequences: list[str] = []
    rows = dropped = 0

    def flush() -> None:
        for name, values in zip(names, _scores(ensemble, encode(sequences)), strict=True):
            out.write("\t".join([name, *map(cell, values)]) + "\n")
        names.clear()
        sequences.clear()

    for number, record in enumerate(read_sequences(path), 1):
        letters = fitted(record, ensemble.length, fit)
        if letters is None:
            dropped += 1
            continue
        names.append(record.name or f"sequence{number}")
        sequences.append(letters)
        rows += 1
        if len(names) == BATCH:
            flush()
    if names:
        flush()
    other = f"of another length than {ensemble.length} nt"
    notes = [quantity(dropped, f"sequence {other} is", f"sequences {other} are") + " left out"]
    return Done(rows, notes if dropped else [])


def predict_bed(
    ensemble: Ensemble,
    path: Path,
    genome: Path,
    out: IO[str],
    step: int | None = None,
    bedgraph: Path | None = None,
) -> Done:
    """Write the predictions for windows on a genome as tab-separated lines.

    Args:
        ensemble: the networks.
        path: BED or narrowPeak.
        genome: FASTA.
        out: where to write.
        step: distance of windows along an interval, nt; None: one window around each summit, or
            around the middle, which an interval of at most half a step has too.
        bedgraph: folder for a file of each class, sorted, without overlaps; None: none.

    Raises:
        UserError: a file of another format, or no window.
    """
    with open_genome(genome) as letters:
        found = read_intervals(path, letters)
        windows, outside = _windows(found.table, letters, ensemble.length, step)
        if not windows:
            raise UserError(
                f"there must be a window of {ensemble.length} nt within a chromosome: {path} has "
                "none; give other intervals"
            )
        out.write("\t".join(["chrom", "start", "end", "interval", *ensemble.columns]) + "\n")
        kept: list[np.ndarray] = []
        for start in range(0, len(windows), BATCH):
            batch = windows[start : start + BATCH]
            codes = np.stack([letters.codes(*one[:3]) for one in batch])
            values = _scores(ensemble, codes)
            for one, own in zip(batch, values, strict=True):
                place = [one.chromosome, str(one.start), str(one.end), one.interval]
                out.write("\t".join([*place, *map(cell, own)]) + "\n")
            if bedgraph:
                kept.append(values[:, : len(ensemble.classes)])
    if bedgraph:
        _write_bedgraphs(bedgraph, ensemble.classes, windows, np.concatenate(kept), step)
    absent = sum(found.absent.values())
    counts = (
        (found.empty, "interval has", "intervals have", "0 nt: left out"),
        (absent, "interval is", "intervals are", "left out: the genome lacks the chromosome"),
        (len(found.beyond), "interval leaves its", "intervals leave their", "chromosome: left out"),
        (outside, "window leaves its", "windows leave their", "chromosome: left out"),
    )
    return Done(len(windows), [f"{quantity(n, *words)} {text}" for n, *words, text in counts if n])


def _scores(ensemble: Ensemble, codes: np.ndarray) -> np.ndarray:
    return combined(np.stack([score(codes) for score in ensemble.probabilities]))


def _windows(
    table: pandas.DataFrame, genome: Genome, length: int, step: int | None
) -> tuple[list[Window], int]:
    """Return windows in the order of the intervals, and the number of those off a chromosome."""
    found: list[Window] = []
    outside = 0
    for chromosome, start, end, summit in table.itertuples(index=False):
        centres: Sequence[int] = [summit]
        if step is not None and end - start > step // 2:
            centres = range(start + step // 2, end, step)
        for centre in centres:
            first = int(centre) - length // 2
            if first < 0 or first + length > genome.sizes[chromosome]:
                outside += 1
                continue
            name = f"{chromosome}:{start}-{end}"
            found.append(Window(chromosome, first, first + length, name))
            if len(found) > MOST_WINDOWS:
                raise UserError(
                    f"`--step` must give at most {MOST_WINDOWS:,} windows: got more; take a "
                    "larger step or fewer intervals"
                )
    return found, outside


def _write_bedgraphs(
    folder: Path,
    classes: Sequence[str],
    windows: Sequence[Window],
    values: np.ndarray,
    step: int | None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    segments = list(_segments(windows, step))
    for column, name in enumerate(distinct(metric_names(classes), str.casefold)):
        with atomic_file(folder / f"{name}.bedGraph") as file:
            for chromosome, start, end, rows in segments:
                mean = float(values[rows, column].mean())
                file.write(f"{chromosome}\t{start}\t{end}\t{cell(mean)}\n".encode())


def _segments(
    windows: Sequence[Window], step: int | None
) -> Iterator[tuple[str, int, int, list[int]]]:
    """Yield sorted intervals that do not overlap, and the windows whose mean each has.

    A window counts for its central `step` nt, without a step for all of it, up to the start of
    the next one.
    """
    spans: dict[tuple[str, int], tuple[int, list[int]]] = {}
    for number, one in enumerate(windows):
        size = step or one.end - one.start
        start = one.start + (one.end - one.start) // 2 - size // 2
        key = one.chromosome, max(start, 0)
        spans.setdefault(key, (start + size, []))[1].append(number)
    order = sorted(spans)
    for (chromosome, start), after in zip(order, [*order[1:], None], strict=True):
        end, rows = spans[chromosome, start]
        if after and after[0] == chromosome:
            end = min(end, after[1])
        yield chromosome, start, end, rows
