"""``python -m mlproject baseline``: scores of the known motifs, without a network."""

from pathlib import Path

import click

from mlproject.commands.options import option
from mlproject.fields import GENERATED


@click.command()
@option("--dataset", "file", default="synthetic", help="generated data, or an HDF5 file")
@option("--sequences", type=int, help="generated data")
@option("--length", type=int, help="generated data: nt")
@option("--data_seed", default=0, type=click.IntRange(0))
def baseline(file: str, sequences: int | None, length: int | None, data_seed: int) -> None:
    """Scan the test sequences for the classes' known motifs: what needs no network.

    A class scores a sequence by the best place of its motifs on either strand.
    """
    from mlproject.architectures import make_spec
    from mlproject.data import load
    from mlproject.run.baseline import cached_pwm_scan, format_baseline

    options: dict[str, object] = {"dataset": file}
    if file in GENERATED:
        chosen = {"sequences": sequences, "length": length, "data_seed": data_seed}
        options |= {name: value for name, value in chosen.items() if value is not None}
    data = load(make_spec(options), Path("data"))
    print(format_baseline(cached_pwm_scan(data, Path("data"))))
