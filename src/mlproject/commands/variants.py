"""``python -m mlproject variants``: what variants change."""

import sys
from pathlib import Path

import click

from mlproject.commands.options import BACKEND, FILE, OUT_FILE, THREADS, exit_if_interrupted
from mlproject.system.messages import FirstNotes, quantity
from mlproject.system.startup import prepare_keras


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--vcf", required=True, type=FILE, help="variants, plain or compressed")
@click.option("--genome", required=True, type=FILE, help="FASTA of the reference")
@click.option("--out", required=True, type=OUT_FILE, help="table to write")
@click.option(
    "--vcf_out", "--vcf-out", type=OUT_FILE, help="annotated VCF file to write, .gz: bgzip"
)
@BACKEND
@THREADS
def variants(
    runs: tuple[str, ...],
    vcf: Path,
    genome: Path,
    out: Path,
    vcf_out: Path | None,
    backend: str | None,
    threads: int | None,
) -> None:
    """Score variants with the networks of finished RUNS: logits of alternative less reference.

    SNVs and indels in the middle of the sequence, both strands; the mean over several runs, and
    their standard deviation.
    """
    prepare_keras(backend, threads)
    from mlproject.run.ensemble import load_ensemble
    from mlproject.run.variants import score_variants
    from mlproject.system.outputs import require_other
    from mlproject.system.progress import progress_shown
    from mlproject.system.texts import require_file

    for path in (vcf, genome):
        require_file(path)
    require_other(vcf, genome, out, vcf_out)

    misfits = FirstNotes(lambda line: print(f"note: {line}", file=sys.stderr))
    with exit_if_interrupted(), progress_shown():
        done = score_variants(load_ensemble(runs), vcf, genome, out, vcf_out, misfits)
    most = 2 * misfits.count > done.compared
    if misfits.more or most:
        hint = ": the genome is probably of another build" if most else ""
        print(
            f"note: REF does not fit {genome.name} in {misfits.count:,} of {done.compared:,} "
            f"records{hint}",
            file=sys.stderr,
        )
    for reason, count in done.skipped.items():
        verb = "is" if count == 1 else "are"
        print(f"note: {_alternatives(count)} {reason} {verb} left out", file=sys.stderr)
    print(f"{out}: {_alternatives(done.scored)}")


def _alternatives(count: int) -> str:
    return quantity(count, "alternative")
