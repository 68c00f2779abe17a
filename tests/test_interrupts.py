"""A signal is never lost: it sets a flag, which is looked at; a second one ends the process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from mlproject.data.split import blocks
from mlproject.motifs.databases import jaspar
from mlproject.motifs.tomtom import tomtom
from mlproject.system import interrupts
from mlproject.system.interrupts import Interrupted, Interrupts, check_interrupts


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put the handlers back that an interrupted context leaves for a second."""
    old = [(number, signal.getsignal(number)) for number in interrupts.SIGNALS]
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored if these tests run under nohup
    yield
    for number, handler in old:
        signal.signal(number, handler)


class _Noisy:
    """Sends a signal while Python collects garbage, where an exception would be lost."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_is_kept_until_it_is_looked_at(number: signal.Signals) -> None:
    with Interrupts() as running:
        os.kill(os.getpid(), number)
        assert running.requested == number.name
        with pytest.raises(Interrupted, match=f"interrupted by {number.name}"):
            check_interrupts()


def test_a_closed_terminal_ends_nothing_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts() as running:
        os.kill(os.getpid(), signal.SIGHUP)
        assert running.requested is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_terminal_that_sends_several_signals_does_not_end_the_process_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interrupts, "SAME_SECONDS", 0.0)
    with Interrupts(defers_second=True) as running:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGHUP)
        assert (running.requested, running.repeated) == ("SIGHUP", False)


def test_a_signal_within_a_garbage_collection_is_not_lost() -> None:
    with Interrupts():
        noisy = _Noisy()
        del noisy
        with pytest.raises(Interrupted):
            check_interrupts()


def test_what_is_deferred_happens_whole() -> None:
    with Interrupts() as running:
        os.kill(os.getpid(), signal.SIGTERM)
        with running.deferred():
            check_interrupts()
        with pytest.raises(Interrupted):
            check_interrupts()


def test_long_loops_look() -> None:
    with Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            next(blocks(np.zeros((3, 2))))
        with pytest.raises(Interrupted):
            tomtom(jaspar()[:1], jaspar()[:2])


@pytest.mark.parametrize(("answer", "name"), [(True, "its caller"), ("PRUNED", "PRUNED")])
def test_a_caller_may_ask_for_the_end_too(answer: bool | str, name: str) -> None:
    with Interrupts(lambda: answer), pytest.raises(Interrupted, match=name):
        check_interrupts()


def test_each_thread_looks_at_its_own_run_only() -> None:
    found: list[str] = []

    def other() -> None:
        check_interrupts()
        with Interrupts(lambda: "the thread's caller"):
            try:
                check_interrupts()
            except Interrupted as error:
                found.append(str(error))

    with Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert found == ["interrupted by the thread's caller"]


def test_without_a_run_nothing_is_looked_at() -> None:
    check_interrupts()


def test_afterwards_the_handlers_are_those_of_before() -> None:
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]
    with Interrupts():
        pass
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before


def test_a_later_signal_after_an_interrupted_run_goes_to_the_handlers_of_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    with Interrupts():
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    assert heard == []
    monkeypatch.setattr(interrupts, "SAME_SECONDS", 0.0)
    os.kill(os.getpid(), signal.SIGINT)
    assert heard == [signal.SIGINT]


SECOND = """
import os, signal, sys
from mlproject.system import interrupts
interrupts.SAME_SECONDS = 0.0
with interrupts.Interrupts(defers_second=sys.argv[1] == "defers_second") as running:
    for number in range(int(sys.argv[2])):
        os.kill(os.getpid(), signal.SIGINT)
    print(running.requested, running.repeated)
"""


@pytest.mark.parametrize(
    ("kind", "count", "code", "out"),
    [
        ("plain", 1, 0, "SIGINT False\n"),
        ("plain", 2, -signal.SIGINT, ""),
        ("defers_second", 2, 0, "SIGINT True\n"),
        ("defers_second", 3, -signal.SIGINT, ""),
    ],
)
def test_a_second_signal_ends_the_process_at_once(
    kind: str, count: int, code: int, out: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SECOND, kind, str(count)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, out)
    assert "Traceback" not in done.stderr
