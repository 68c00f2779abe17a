"""``python -m mlproject check``: whether the tracking store can be used."""

import click


@click.command()
def check() -> None:
    """Say whether the tracking store can be used; `make run` asks before it starts."""
    from mlproject.store import connect

    connect()
