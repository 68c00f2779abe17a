"""What ``mlproject sweep`` does with what the user has typed."""

from pathlib import Path

from dask.system import CPU_COUNT

from sweeps.driver import Options, sweep
from sweeps.dry import dry_run

__all__ = ["Options", "do"]


def do(plan: Path, options: Options, only_show: bool) -> bool:
    """Run a plan, or show what it would do; return whether all its cells are done."""
    if only_show:
        dry_run(plan, options.home, options.experiment, options.workers or CPU_COUNT)
        return True
    return sweep(plan, options)
