"""``python -m mlproject baseline``: scores of the known motifs, without a network."""

from pathlib import Path

import click

from mlproject.commands.options import MOTIFS, option
from mlproject.fields import FROM_DATA, GENERATED


@click.command()
@option("--dataset", "file", default="synthetic", help="generated data, or an HDF5 file")
@option("--sequences", type=int, help="generated data")
@option("--length", type=int, help="generated data: nt")
@option("--data_seed", default=0, type=click.IntRange(0))
@MOTIFS
@option("--relevant", default=FROM_DATA, help="motifs of the classes: data, auto, none, CLASS=ID")
def baseline(
    file: str,
    sequences: int | None,
    length: int | None,
    data_seed: int,
    motifs: str,
    relevant: str,
) -> None:
    """Scan the test sequences for the classes' known motifs: what needs no network.

    A class scores a sequence by the best place of its motifs on either strand. Numbers are
    predicted by a linear model of word counts, fitted to the training split.
    """
    from mlproject.architectures import make_spec
    from mlproject.data import load
    from mlproject.data.relevant import run_relevant
    from mlproject.filters.baseline import class_motifs
    from mlproject.motifs.databases import motifs_of
    from mlproject.run.baseline import cached_pwm_scan, format_baseline

    options: dict[str, object] = {"dataset": file, "motifs": motifs, "relevant": relevant}
    if file in GENERATED:
        size = {"sequences": sequences, "length": length, "data_seed": data_seed}
        options |= {name: value for name, value in size.items() if value is not None}
    spec = make_spec(options)
    data = load(spec, Path("data"))
    chosen = class_motifs(data, run_relevant(spec, data), motifs_of(spec))
    print(format_baseline(cached_pwm_scan(data, Path("data"), chosen)))
