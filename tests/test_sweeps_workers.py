"""Worker processes of a sweep: connections to them, and Ctrl-C while they start."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import PATIENCE, TINY
from distributed.comm import connect
from distributed.security import Security
from sweep_processes import (
    Processes,
    cells_of,
    parents_of,
    start_sweep,
    tree,
    wait_for,
    workers_of,
    write_plan,
)

from mlproject.store import connect as open_store
from mlproject.sweeps.local_workers import PRELOAD
from mlproject.sweeps.workers import open_workers
from mlproject.system.errors import UserError


def ports_of(processes: list[psutil.Process]) -> list[int]:
    """Return the ports on which processes listen, on whatever address."""
    sockets = [one for process in processes for one in process.net_connections("tcp")]
    return [one.laddr.port for one in sockets if one.status == psutil.CONN_LISTEN]


def answer(port: int, send: bytes) -> bytes:
    """Return what a port answers to somebody without a certificate."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
        try:
            plain.sendall(send)
            return plain.recv(100)
        except ConnectionError:
            return b""


def takes_a_stranger(port: int, security: Security | None) -> bool:
    """Return whether Dask connects to a port with such certificates (None: without TLS)."""
    scheme = "tls" if security else "tcp"
    arguments = (security or Security()).get_connection_args("client")

    async def knock() -> None:
        comm = await connect(f"{scheme}://127.0.0.1:{port}", timeout=3, **arguments)
        await comm.write({"op": "identity", "reply": True})
        await comm.read()

    try:
        asyncio.run(asyncio.wait_for(knock(), 10))
    except (OSError, TimeoutError):
        return False
    return True


def test_nobody_without_its_certificate_can_talk_to_the_processes_of_a_sweep(
    started: Processes,
) -> None:
    code = (
        "import sys; from mlproject.sweeps.workers import open_workers\n"
        "workers = open_workers(1, None, {})\n"
        "print(workers.slots, flush=True); sys.stdin.read(); workers.close()"
    )
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    driver = subprocess.Popen([sys.executable, "-c", code], **pipes)
    started.append(driver)
    assert driver.stdout and driver.stdout.readline() == "1\n"
    ports = ports_of(tree(driver.pid))
    assert len(ports) == 3, "scheduler, nanny, worker"
    for port in ports:
        assert not takes_a_stranger(port, None)
        assert not takes_a_stranger(port, Security.temporary())
        assert answer(port, b"GET /status HTTP/1.0\r\n\r\n")[:4] != b"HTTP"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain) as wrapped,
        ):
            wrapped.recv(1)  # TLS 1.3 refuses a missing certificate after the handshake
            raise AssertionError("it took a client without a certificate")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_while_workers_start_ends_the_sweep_and_does_not_blame_the_checkout(
    workplace: Path, started: Processes, number: signal.Signals
) -> None:
    plan = write_plan(workplace, base=TINY)
    driver = start_sweep(plan, started, "--workers", "2", stderr=subprocess.PIPE)
    wait_for(lambda: workers_of(driver.pid))
    os.killpg(driver.pid, number)  # as a terminal does: to the workers, too
    _, printed = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 1
    assert "checkout" not in printed
    assert "Traceback" not in printed
    assert not cells_of(open_store())
    [parent] = parents_of(open_store(), "plan")
    assert parent.info.status == "KILLED"
    assert number.name in parent.data.tags["mlproject.failure"]


def test_no_signal_of_a_terminal_ends_a_worker() -> None:
    asked = "print([signal.getsignal(one).name for one in (signal.SIGINT, signal.SIGHUP)])"
    shown = subprocess.run(
        [sys.executable, "-c", f"{PRELOAD}\n{asked}"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "['SIG_IGN', 'SIG_IGN']\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((None, "nonsense", {}), "`--scheduler` must be the address of a running Dask scheduler"),
        ((2, "tcp://127.0.0.1:1", {}), "leave it out with --scheduler"),
        ((100_000, None, {}), "`workers` must be at most 1,024: got 100,000"),
        ((1, None, {"GPU": float("nan")}), "must be NAME=N with N above 0: got GPU=nan"),
        ((1, None, {"GPU": 0.0}), "must be NAME=N with N above 0: got GPU=0"),
        ((1, None, {"": 1.0}), "must be NAME=N with N above 0: got =1"),
    ],
)
def test_workers_that_cannot_be_had_are_one_line(arguments: tuple[Any, ...], says: str) -> None:
    with pytest.raises(UserError) as caught:
        open_workers(*arguments)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
