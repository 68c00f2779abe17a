"""``python -m mlproject sync``: deliver to the tracking store what it lacks."""

import sys
from pathlib import Path

import click

from mlproject.system.messages import quantity


@click.command()
def sync() -> None:
    """Deliver what earlier runs have recorded and the tracking store does not have yet."""
    from mlproject.store import connect
    from mlproject.store import sync as deliver_all

    done = deliver_all(Path("runs"), connect())
    failed = f"{len(done.failed)} still lack{'s' * (len(done.failed) == 1)} something"
    print(f"{quantity(len(done.runs), 'run')} brought up to date, {failed}")
    for run_id, note in done.notes.items():
        print(f"note: {run_id}: {note}", file=sys.stderr)
    for run_id, reason in done.failed.items():
        print(f"{run_id}: {reason}", file=sys.stderr)
    sys.exit(1 if done.failed else 0)
