"""Run cases of the fuzzer: each is a target and a number, and gives the same file everywhere.

`python tests/fuzz/fuzzing.py TARGET:FIRST:STOP ...` runs cases and prints a line of JSON before
each of them, and one for what went wrong.
"""

import json
import signal
import sys
import tempfile
import traceback
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import numpy as np
from mutations import mutate
from structure import change_hdf5, change_json, change_lines
from targets import TARGETS, first_file, place

from mlproject.system.errors import UserError

MOST_CPU_SECONDS = 30.0
MOST_MEMORY = 12 << 30
STRUCTURES = {"hdf5": change_hdf5, "json": change_json, "lines": change_lines}


class Failure(NamedTuple):
    """One case that ended otherwise than by a result or a `UserError` of one line."""

    target: str
    case: int
    what: str


class _Hung(BaseException):
    pass


def changed_file(target: str, case: int) -> bytes:
    """Return the file of a case."""
    rng = np.random.default_rng([zlib.crc32(target.encode()), case])
    content, kind = first_file(target), TARGETS[target].kind
    if case % 2 and kind in STRUCTURES:
        return STRUCTURES[kind](content, rng)
    return mutate(content, rng, text=kind in ("text", "json", "lines"))


def run(target: str, cases: range) -> Iterator[Failure | int]:
    """Run cases; yields the number of each before it is run, and what went wrong."""
    with tempfile.TemporaryDirectory() as name, _limited() as start:
        folder = Path(name)
        for case in cases:
            yield case
            place(target, folder, changed_file(target, case))
            start()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    TARGETS[target].read(folder)
            except UserError as error:
                if len(str(error).splitlines()) != 1:
                    yield Failure(target, case, f"not one line: {str(error)!r}")
            except (Exception, _Hung):
                yield Failure(target, case, traceback.format_exc(limit=-4))


@contextmanager
def _limited() -> Iterator:
    """Stop a case that takes too much of the processor's time, whatever else runs."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Hung(f"more than {MOST_CPU_SECONDS} CPU seconds")

    old = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_VIRTUAL, MOST_CPU_SECONDS)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


def main(jobs: list[str]) -> None:
    """Run cases in this process, which may not survive them."""
    import faulthandler
    import resource

    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    for target, first, stop in (job.split(":") for job in jobs):
        for found in run(target, range(int(first), int(stop))):
            case = {"target": target, "case": found}
            print(json.dumps(case if isinstance(found, int) else found._asdict()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
