"""``python -m mlproject check``: whether the tracking store, or the device, can be used."""

from pathlib import Path

import click

from mlproject.commands.options import BACKEND
from mlproject.system.startup import prepare_keras


@click.command()
@click.option("--device", is_flag=True, help="test the device that trainings would run on")
@BACKEND
def check(device: bool, backend: str | None) -> None:
    """Say whether the tracking store can be used; `make run` asks before it starts.

    With --device: whether the device computes as numpy and the processor do. Takes a minute or two.
    """
    if device:
        prepare_keras(backend, None)
        from mlproject.network.vouching import check_device

        print(check_device(Path()))
        return
    from mlproject.store import connect

    connect()
