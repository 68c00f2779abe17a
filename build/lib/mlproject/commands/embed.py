"""``python -m mlproject embed``: what a network believes about motifs."""

from pathlib import Path

import click

from mlproject.commands.options import (
    BACKEND,
    FILE,
    QUIET,
    THREADS,
    exit_if_interrupted,
    option,
    print_undelivered,
)
from mlproject.system.startup import prepare_keras


@click.command()
@click.argument("run")
@option(
    "--motifs",
    default="auto",
    help="comma-separated: classes, factors, ids, letters (GATAA), filters (filter3), MEME files; "
    "auto: the motif of each class",
)
@option(
    "--backgrounds",
    default="shuffled",
    type=click.Choice(["shuffled", "uniform"]),
    help="test sequences with shuffled dinucleotides, or random letters",
)
@option("--count", default=1000, type=click.IntRange(10, 100_000), help="number of backgrounds")
@option(
    "--letters",
    default="consensus",
    type=click.Choice(["consensus", "sampled"]),
    help="of a motif: the most probable ones, or drawn for each background",
)
@option("--seed", default=0, type=click.IntRange(0), help="of backgrounds and drawn letters")
@click.option("--dataset", "data", type=FILE, help="where the run's data set is now")
@BACKEND
@THREADS
@QUIET
def embed(
    run: str,
    motifs: str,
    backgrounds: str,
    count: int,
    letters: str,
    seed: int,
    data: Path | None,
    backend: str | None,
    threads: int | None,
    quiet: bool,
) -> None:
    """Embed motifs in sequences without motifs and add their effects to a finished RUN.

    Measures the effect on each class by strand, position, number of copies, and in pairs.
    """
    prepare_keras(backend, threads)
    from mlproject.run.embedding import Request, embed_run

    request = Request(motifs, backgrounds, count, letters, seed)
    with exit_if_interrupted("; nothing was recorded"):
        done = embed_run(run, request, data, quiet=quiet)
    print_undelivered(done.undelivered)
    for name in dict.fromkeys(row["motif"] for row in done.effects.effects):
        own = [row for row in done.effects.effects if row["motif"] == name]
        best = max(own, key=lambda row: row["effect"])
        ends = f"{best['low']:+.2f} to {best['high']:+.2f}"
        print(f"{name}: {best['class']} {best['effect']:+.2f} ({ends})")
    if "embed/own_first" in done.metrics:
        share = done.metrics["embed/own_first"]
        print(f"run {run}: the own motif has the largest effect in {100 * share:.0f} % of classes")
