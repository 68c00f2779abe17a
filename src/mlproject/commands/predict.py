"""``python -m mlproject predict``: scores of a user's sequences."""

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from mlproject.commands.options import (
    BACKEND,
    FILE,
    OUT_FILE,
    OUT_FOLDER,
    THREADS,
    exit_if_interrupted,
    option,
)
from mlproject.system.errors import UserError
from mlproject.system.messages import quantity
from mlproject.system.outputs import require_other
from mlproject.system.startup import prepare_keras


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--fasta", type=FILE, help="sequences")
@click.option("--bed", type=FILE, help="BED or narrowPeak: a window around each summit or middle")
@click.option("--genome", type=FILE, help="FASTA, for --bed")
@option(
    "--fit",
    default="exact",
    type=click.Choice(["exact", "centre", "drop"]),
    help="sequences of another length: an error, cut or filled up with N, or left out",
)
@click.option("--step", type=click.IntRange(1), help="windows every so many nt along the intervals")
@click.option("--out", type=OUT_FILE, help="table to write [standard output]")
@click.option(
    "--bedgraph", type=OUT_FOLDER, help="folder for a bedGraph file of each class, for --bed"
)
@BACKEND
@THREADS
def predict(
    runs: tuple[str, ...],
    fasta: Path | None,
    bed: Path | None,
    genome: Path | None,
    fit: str,
    step: int | None,
    out: Path | None,
    bedgraph: Path | None,
    backend: str | None,
    threads: int | None,
) -> None:
    """Score sequences with the networks of finished RUNS: mean, and standard deviation of several.

    The table has a column of probabilities for each class.
    """
    if (fasta is None) == (bed is None):
        raise UserError("`predict` needs `--fasta`, or `--bed` with `--genome`: give one of them")
    if bed and genome is None:
        raise UserError("`--bed` needs `--genome`, the FASTA file of its assembly")
    if fasta and (genome or step or bedgraph):
        raise UserError("`--genome`, `--step` and `--bedgraph` go with `--bed`: leave them out")
    require_other(fasta, bed, genome, out)
    prepare_keras(backend, threads)
    import io

    from mlproject.run.ensemble import load_ensemble
    from mlproject.run.prediction import predict_bed, predict_fasta
    from mlproject.system.files import atomic_file
    from mlproject.system.progress import progress_shown
    from mlproject.system.texts import require_file

    for path in (fasta, bed, genome):
        if path:
            require_file(path)
    with exit_if_interrupted(), ExitStack() as stack:
        ensemble = load_ensemble(runs)
        target = sys.stdout
        if out:
            stack.enter_context(progress_shown())
            file = stack.enter_context(atomic_file(out))
            target = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
            stack.callback(target.detach)
        if fasta:
            done = predict_fasta(ensemble, fasta, target, fit)  # type: ignore[arg-type]
        else:
            assert bed and genome
            done = predict_bed(ensemble, bed, genome, target, step, bedgraph)
        target.flush()
    for note in done.notes:
        print(f"note: {note}", file=sys.stderr)
    if out:
        print(f"{out}: {quantity(done.rows, 'row')}")
