"""A data set from peaks and a genome: windows split by chromosome, with optional negatives."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from mlproject.data.bed import Intervals, concat, read_intervals
from mlproject.data.bed_notes import remarks
from mlproject.data.gc import gc_matched, window_codes
from mlproject.data.genome import Genome, open_genome
from mlproject.data.genome_windows import (
    KEYS,
    bin_windows,
    labels_of,
    merge,
    nameless,
    overlaps,
    places,
    summit_windows,
)
from mlproject.data.listing import Listing
from mlproject.data.sources import Files
from mlproject.data.split import Split
from mlproject.data.writing import check_counts, new_dataset_file
from mlproject.names import check_classes
from mlproject.sequence import shuffle_dinucleotides
from mlproject.system.errors import UserError

Scheme = Literal["bins", "summits"]
Labels = Literal["centre", "union"]
Negatives = Literal["none", "gc", "shuffle"]


class ConvertedPeaks(NamedTuple):
    """The result of `convert`.

    Attributes:
        listing: listing of the new data set.
        outside: number of windows left out because they reach beyond their chromosome.
        blacklisted: number of windows left out because they overlap the blacklist.
        unmatched: number of negatives that were not found.
        remarks: sentences about intervals that were left out or have limited use.
    """

    listing: Listing
    outside: int
    blacklisted: int
    unmatched: int
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """The options for windows around peaks.

    Attributes:
        scheme: ``bins``: windows around bins that are more than half covered by peaks, as in the
            paper. ``summits``: windows around summits.
        window: nt per sequence.
        bin_size: nt per bin.
        labels: ``centre``: labels of the central bin. ``union``: labels of all bins in the window.
        test: chromosomes of the test split.
        valid: chromosomes of the validation split.
        skip: chromosomes to leave out.
        blacklist: BED file. Windows that overlap it are left out.
        negatives: one sequence without labels per window. ``gc``: a window elsewhere on the split's
            chromosomes, outside all peaks, with the same GC content to 2 %. ``shuffle``: the
            window with its dinucleotides shuffled.
        seed: seed of the negatives.
    """

    scheme: Scheme = "bins"
    window: int = 1000
    bin_size: int = 200
    labels: Labels = "centre"
    test: Sequence[str] = ("chr8", "chr9")
    valid: Sequence[str] = ("chr7",)
    skip: Sequence[str] = ()
    blacklist: Path | None = None
    negatives: Negatives = "none"
    seed: int = 0

    def check(self) -> None:
        """Raise a `UserError` for options that contradict each other."""
        if self.scheme == "bins" and self.window < self.bin_size:
            raise UserError(f"`window` must hold a bin of {self.bin_size} nt: got {self.window}")
        if shared := set(self.test) & set(self.valid):
            names = ", ".join(sorted(shared))
            raise UserError(f"`test` and `valid` must differ: got {names} in both")


class _Chosen(NamedTuple):
    """The chosen windows, the numbers left out, and the intervals that negatives must avoid."""

    windows: pd.DataFrame
    outside: int
    blacklisted: int
    taken: pd.DataFrame
    remarks: tuple[str, ...]


def convert(
    files: Files,
    genome: Path,
    out: Path,
    *,
    relevant: Mapping[str, Sequence[str]],
    options: Options,
) -> ConvertedPeaks:
    """Write a data set of windows around peaks.

    Args:
        files: class -> BED or narrowPeak files.
        genome: FASTA file.
        out: the file to write.
        relevant: class -> JASPAR ids.
        options: the options.

    Raises:
        UserError: files that do not match the genome, missing chromosomes, a class or a split
            without windows.
    """
    check_classes(list(files))
    options.check()
    rng = np.random.default_rng(options.seed)
    with open_genome(genome) as opened:
        chosen = _choose(files, opened, options)
        unmatched, parts = 0, {}
        splits = _split(chosen.windows, options)
        check_counts({split: len(own) for split, own in splits.items()})
        for split, own in splits.items():
            others = own[KEYS].iloc[:0]
            if options.negatives == "gc" and len(own):
                others = gc_matched(opened, own, options.window, chosen.taken, rng)
                unmatched += len(own) - len(others)
            parts[split] = (own, others)
        twice = 2 if options.negatives == "shuffle" else 1
        counts = {split: twice * len(own) + len(others) for split, (own, others) in parts.items()}
        provenance = {
            "source": "peaks",
            "files": {name: [str(path) for path in paths] for name, paths in files.items()},
            "genome": str(genome),
            **json.loads(json.dumps(asdict(options), default=str)),
        }
        with new_dataset_file(
            out, options.window, counts, list(files), relevant, provenance
        ) as target:
            for split, (own, others) in parts.items():
                _fill(target.splits[split], opened, own, others, list(files), options, rng)
                target.windows[split] = places(own, others, counts[split], options.window)
        assert target.listing is not None
        left_out = chosen.outside, chosen.blacklisted, unmatched
        return ConvertedPeaks(target.listing, *left_out, chosen.remarks)


def _choose(files: Files, genome: Genome, options: Options) -> _Chosen:
    for name in [*options.test, *options.valid]:
        genome.require(name, "`test`" if name in options.test else "`valid`")
    for name in options.skip:
        genome.refuse_other_naming(name, "`skip`")
    read = {
        name: concat([read_intervals(path, genome) for path in paths])
        for name, paths in files.items()
    }
    banned = (
        read_intervals(options.blacklist, genome, required=False) if options.blacklist else None
    )
    peaks = {name: intervals.table for name, intervals in read.items()}
    if options.scheme == "bins":
        merged = options.labels == "union"
        found = bin_windows(peaks, options.window, options.bin_size, merged)
    else:
        found = summit_windows(peaks, options.window)
    found = found[~found["chrom"].isin(list(options.skip))]
    found = found.assign(end=found["start"] + options.window)
    inside = (found["start"] >= 0) & (
        found["end"] <= [genome.sizes[name] for name in found["chrom"]]
    )
    every = [*read.values(), *([banned] if banned else [])]
    taken = [table for one in every for table in (one.table, one.beyond)]
    allowed = np.full(len(found), True)
    if banned:
        allowed = ~overlaps(found, pd.concat([banned.table, banned.beyond]))
    kept = found[inside & allowed]
    for name, count in zip(files, labels_of(kept, list(files)).sum(axis=0), strict=True):
        if not count:
            raise UserError(f"class {name} has no window left: {_why_none(read[name], options)}")
    left_out = int((~inside).sum()), int((inside & ~allowed).sum())
    unknown = [name for name in options.skip if name not in genome.sizes]
    said = [f"`skip` names {', '.join(unknown)}, which the genome lacks"] if unknown else []
    said += [*nameless(kept), *remarks(read, banned, options.scheme)]
    return _Chosen(kept, *left_out, merge(pd.concat(taken)), tuple(said))


def _why_none(intervals: Intervals, options: Options) -> str:
    widest = int((intervals.table["end"] - intervals.table["start"]).max())
    if options.scheme == "bins" and 2 * widest <= options.bin_size:
        return (
            f"more than half of a bin of {options.bin_size} nt must lie in peaks, and its peaks "
            f"have at most {widest} nt; scheme=summits takes windows around summits"
        )
    return "check `skip`, `blacklist` and the peaks"


def _split(windows: pd.DataFrame, options: Options) -> dict[str, pd.DataFrame]:
    test = windows["chrom"].isin(list(options.test))
    valid = windows["chrom"].isin(list(options.valid))
    return {"train": windows[~(test | valid)], "valid": windows[valid], "test": windows[test]}


def _fill(
    split: Split,
    genome: Genome,
    own: pd.DataFrame,
    others: pd.DataFrame,
    classes: Sequence[str],
    options: Options,
    rng: np.random.Generator,
) -> None:
    """Write the windows of a split, and then its negatives."""
    split.labels[: len(own)] = labels_of(own, classes)
    split.labels[len(own) :] = np.zeros((len(split.labels) - len(own), len(classes)), np.uint8)
    done = 0
    for block in window_codes(genome, own, options.window):
        split.codes[done : done + len(block)] = block
        if options.negatives == "shuffle":
            place = slice(len(own) + done, len(own) + done + len(block))
            split.codes[place] = np.stack([shuffle_dinucleotides(row, rng) for row in block])
        done += len(block)
    for block in window_codes(genome, others, options.window):
        split.codes[done : done + len(block)] = block
        done += len(block)
