"""Effects of the variants of a VCF file, streamed to a table and an annotated VCF file."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from mlproject.data.genome import Genome, open_genome
from mlproject.data.vcf import Variant, VcfLine, read_vcf
from mlproject.insilico.variants import allele_window, differences, fits, window
from mlproject.names import distinct, metric_name
from mlproject.run.ensemble import Ensemble, cell, combined
from mlproject.sequence import decode, encode
from mlproject.system.files import atomic_file

BATCH = 500
Report = Callable[[str], None]


class Allele(NamedTuple):
    """An alternative to score: the number of its line in the batch, its own, and both windows."""

    line: int
    number: int
    reference: np.ndarray
    alternative: np.ndarray


class Scored(NamedTuple):
    """The counts of a file: scored alternatives, those left out by reason, records compared."""

    scored: int
    skipped: dict[str, int]
    compared: int


def score_variants(
    ensemble: Ensemble,
    vcf: Path,
    genome: Path,
    table: Path,
    annotated: Path | None = None,
    report: Report = lambda line: None,
) -> Scored:
    """Score each alternative of a VCF file and write the differences.

    Args:
        ensemble: the networks.
        vcf: the variants, in any order.
        genome: FASTA of the reference.
        table: TSV to write, a row for each scored alternative.
        annotated: VCF file to write, compressed with bgzip if its name ends in .gz; None: none.
        report: called with a line for each reference allele that is not in the genome.

    Raises:
        UserError: a file of another format, or chromosomes of another naming. Nothing is written.
    """
    skipped: Counter[str] = Counter()
    scored = compared = 0
    with open_genome(genome) as letters, ExitStack() as stack:
        rows = stack.enter_context(atomic_file(table))
        names = ["chrom", "pos", "id", "ref", "alt", *ensemble.columns]
        rows.write(("\t".join(names) + "\n").encode())
        copy = stack.enter_context(_vcf_writer(annotated)) if annotated else None
        for batch in _batches(read_vcf(vcf)):
            alleles = [
                allele
                for place, line in enumerate(batch)
                for allele in _alleles(place, line, letters, ensemble.length, skipped, report, vcf)
            ]
            values = _score(ensemble, alleles)
            scored += len(alleles)
            compared += sum(
                line.variant.chromosome in letters.sizes for line in batch if line.variant
            )
            for allele, own in zip(alleles, values, strict=True):
                rows.write(_row(batch[allele.line], allele.number, own).encode())
            if copy:
                _annotate(copy, batch, alleles, values, ensemble)
    return Scored(scored, dict(skipped), compared)


def _batches(lines: Iterator[VcfLine]) -> Iterator[list[VcfLine]]:
    batch: list[VcfLine] = []
    for line in lines:
        batch.append(line)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _alleles(
    place: int,
    line: VcfLine,
    genome: Genome,
    length: int,
    skipped: Counter[str],
    report: Report,
    path: Path,
) -> Iterator[Allele]:
    variant = line.variant
    if variant is None:
        return
    where = f"{path}, line {line.number}"
    genome.refuse_other_naming(variant.chromosome, where)
    if variant.chromosome not in genome.sizes:
        skipped[f"on chromosomes that {genome.path.name} lacks"] += len(variant.alternatives)
        return
    size = genome.sizes[variant.chromosome]
    if variant.start < 0 or variant.start + len(variant.reference) > size:
        report(
            f"{where}: REF must lie on {variant.chromosome}, which has {size:,} nt in "
            f"{genome.path.name}: got position {variant.start + 1:,}; left out"
        )
        skipped["beyond the ends of their chromosome"] += len(variant.alternatives)
        return
    left, inside, right = _context(variant, genome, length)
    found = decode(inside[None])[0]
    if found != decode(encode([variant.reference]))[0]:
        report(
            f"{where}: REF must be the letters of {genome.path.name} at "
            f"{variant.chromosome}:{variant.start + 1}: got {variant.reference[:40]}, it has "
            f"{found[:40]}; left out"
        )
        skipped["whose reference differs from the genome"] += len(variant.alternatives)
        return
    for number in range(len(variant.alternatives)):
        letters = variant.sequence(number)
        if letters is None:
            skipped["without letters, such as <DEL>, * or a breakend"] += 1
        elif not (fits(length, len(letters)) and fits(length, len(inside))):
            skipped[f"with alleles of more than {length - length // 2} nt"] += 1
        else:
            yield Allele(
                place,
                number,
                allele_window(left, inside, right),
                allele_window(left, encode([letters])[0], right),
            )


def _context(
    variant: Variant, genome: Genome, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return codes before the variant, of the reference allele, and after it."""
    stop = variant.start + len(variant.reference)
    first = variant.start - length // 2
    last = stop + length - length // 2
    low, high = max(first, 0), min(last, genome.sizes[variant.chromosome])
    letters = genome.codes(variant.chromosome, low, high) if low < high else np.zeros(0, np.uint8)
    bounds = ((first, variant.start), (variant.start, stop), (stop, last))
    before, inside, after = (window(letters, low, start, end) for start, end in bounds)
    return before, inside, after


def _score(ensemble: Ensemble, alleles: Sequence[Allele]) -> np.ndarray:
    """Return (alleles, columns of the ensemble)."""
    if not alleles:
        return np.zeros((0, len(ensemble.columns)))
    reference, alternative = (
        np.stack([getattr(one, name) for one in alleles]) for name in ("reference", "alternative")
    )
    return combined(differences(ensemble.logits, reference, alternative))


def _row(line: VcfLine, number: int, values: np.ndarray) -> str:
    assert line.variant is not None
    cells = [*line.cells[:4], line.variant.alternatives[number], *map(cell, values)]
    return "\t".join(cells) + "\n"


def info_keys(classes: Sequence[str]) -> list[str]:
    """Return the INFO keys of classes: ``MLP_`` and the name in letters that VCF allows."""
    names = [re.sub("[^A-Za-z0-9_.]", "_", metric_name(name)) for name in classes]
    return [f"MLP_{name}" for name in distinct(names)]


def _without(info: str, keys: Sequence[str]) -> str:
    """Return an INFO cell without the values of an earlier annotation; "." if nothing is left."""
    kept = [part for part in info.split(";") if part and part.split("=", 1)[0] not in keys]
    return ";".join(kept) or "."


def _annotate(
    copy: IO[bytes],
    batch: Sequence[VcfLine],
    alleles: Sequence[Allele],
    values: np.ndarray,
    ensemble: Ensemble,
) -> None:
    keys, classes = info_keys(ensemble.classes), ensemble.classes
    own = {(one.line, one.number): row for one, row in zip(alleles, values, strict=True)}
    for place, line in enumerate(batch):
        cells = list(line.cells)
        if line.variant is None:
            if any(cells[0].startswith(f"##INFO=<ID={key},") for key in keys):
                continue
            if cells[0].startswith("#CHROM"):
                for key, name in zip(keys, classes, strict=True):
                    about = f"Logit of {name}, alternative less reference, mean of both strands"
                    about = about.replace('"', "'").replace("\\", "/")
                    copy.write(
                        f'##INFO=<ID={key},Number=A,Type=Float,Description="{about}">\n'.encode()
                    )
        else:
            cells[7] = _without(cells[7], keys)
            rows = [own.get((place, number)) for number in range(len(line.variant.alternatives))]
            if any(row is not None for row in rows):
                added = [
                    f"{key}={','.join('.' if row is None else cell(row[n]) for row in rows)}"
                    for n, key in enumerate(keys)
                ]
                before = [] if cells[7] == "." else [cells[7]]
                cells[7] = ";".join([*before, *added])
        copy.write(("\t".join(cells) + "\n").encode())


@contextmanager
def _vcf_writer(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to write; one whose name ends in .gz is compressed with bgzip."""
    with atomic_file(path) as file:
        if not path.name.endswith((".gz", ".bgz")):
            yield file
            return
        from Bio import bgzf

        packed = bgzf.BgzfWriter(fileobj=file, mode="wb")
        yield cast("IO[bytes]", packed)
        packed.flush()
        file.write(bgzf._bgzf_eof)
