"""What ``mlproject sweep`` does with what the user has typed."""

import sys
from pathlib import Path

from dask.system import CPU_COUNT

from mlproject.interrupts import Interrupted
from sweeps.driver import Options, sweep
from sweeps.dry import dry_run

__all__ = ["Options", "do"]


def do(plan: Path, options: Options, only_show: bool) -> bool:
    """Run a plan, or show what it would do; return whether all its cells are done."""
    if only_show:
        dry_run(plan, options.home, options.experiment, options.workers or CPU_COUNT)
        return True
    try:
        return sweep(plan, options)
    except Interrupted as error:
        print(f"{error} before the sweep began", file=sys.stderr)
        return False
