"""No reader ends otherwise than by a result or by one line for the user, whatever a file holds.

`FUZZ_CASES=20000 python -m pytest tests/fuzz` runs so many cases in all, `-m slow` 100,000.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import Failure, changed_file, run
from targets import TARGETS, Target, first_file, place

CASES = int(os.environ.get("FUZZ_CASES", "2000"))
MANY = 100_000
SHARES = sum(target.share for target in TARGETS.values())


def cases_of(target: Target, total: int) -> range:
    return range(-(-total * target.share // SHARES))


def run_in_children(jobs: dict[str, range]) -> list[Failure]:
    """Run cases in another process; what a process does not survive is a failure, too."""
    failures: list[Failure] = []
    script = Path(__file__).with_name("fuzzing.py")
    while jobs:
        words = [f"{name}:{cases.start}:{cases.stop}" for name, cases in jobs.items()]
        command = [sys.executable, str(script), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        name, case = next(iter(jobs)), -1
        for line in map(json.loads, done.stdout.splitlines()):
            if "what" in line:
                failures.append(Failure(**line))
            else:
                name, case = line["target"], line["case"]
        if not done.returncode:
            break
        failures.append(Failure(name, case, f"exit {done.returncode}: {done.stderr[-2000:]}"))
        rest = [*jobs][[*jobs].index(name) :]
        jobs = {one: jobs[one] for one in rest} | {name: range(case + 1, jobs[name].stop)}
    return failures


def check(names: list[str], total: int) -> None:
    jobs = {name: cases_of(TARGETS[name], total) for name in names}
    if TARGETS[names[0]].child:
        failures = run_in_children(jobs)
    else:
        found = (found for name, cases in jobs.items() for found in run(name, cases))
        failures = [one for one in found if isinstance(one, Failure)]
    assert not failures, f"{len(failures)} of {sum(map(len, jobs.values()))}: {failures[:5]}"


HERE = [name for name, target in TARGETS.items() if not target.child]
ELSEWHERE = [name for name, target in TARGETS.items() if target.child]


@pytest.mark.parametrize("name", TARGETS)
def test_the_unchanged_files_are_read(name: str, tmp_path: Path) -> None:
    place(name, tmp_path, first_file(name))
    TARGETS[name].read(tmp_path)


@pytest.mark.parametrize("name", HERE)
def test_a_changed_file_gives_a_result_or_one_line(name: str) -> None:
    check([name], CASES)


def test_a_changed_hdf5_or_matlab_file_gives_a_result_or_one_line() -> None:
    check(ELSEWHERE, CASES)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_changed_files_give_a_result_or_one_line(name: str) -> None:
    check([name], MANY)


def test_a_case_is_the_same_file_everywhere() -> None:
    assert changed_file("relevant", 7) == changed_file("relevant", 7) != changed_file("relevant", 8)
