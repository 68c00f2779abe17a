"""Devices that have passed the self-test, remembered by what they are and what they run."""

import hashlib
import json
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

import keras

from mlproject.network import backend
from mlproject.network.selftest import differences
from mlproject.system import environment
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file
from mlproject.system.locks import locked

VERSION = 1  # of the self-test: a new one asks all devices again
KNOWN_WRONG = (0, 11)  # JAX from here on, with CUDA
REPORT = "jax-ml/jax#40633"
PACKAGES = (
    *("keras", "numpy", "jax", "jaxlib", "tensorflow"),
    *(f"jax-cuda{number}-{part}" for number in (12, 13) for part in ("plugin", "pjrt")),
    *("nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "nvidia-cublas", "nvidia-cublas-cu12"),
)
PROCESSOR_FLAG = "--xla_cpu_"  # `set_threads` sets one in some processes and not in others
DRIVER = Path("/proc/driver/nvidia/version")


def device_identity() -> dict[str, str]:
    """Return what the outcome of a self-test belongs to: versions, driver, device, settings."""
    found = {"self-test": str(VERSION), "backend": backend.name(), "host": platform.node()}
    found["device"] = environment.device(backend.name())
    if driver := driver_version():
        found["driver"] = driver
    for name in ("CUDA_VISIBLE_DEVICES", "XLA_FLAGS", "TF_XLA_FLAGS"):
        words = os.environ.get(name, "").split()
        if value := " ".join(word for word in words if not word.startswith(PROCESSOR_FLAG)):
            found[name] = value
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def driver_version() -> str:
    """Return the version of NVIDIA's driver, '' where there is none."""
    try:
        text = DRIVER.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    match = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", text)
    return match[0] if match else ""


def check_device(home: Path) -> str:
    """Test the device now, remember the outcome, and return a line about it.

    Args:
        home: folder of ``data``, where the outcome is kept.

    Raises:
        UserError: the device computes wrongly, or has no memory left.
    """
    identity = device_identity()
    found = [*differences()]
    with atomic_file(_path(home, identity)) as file:
        file.write(json.dumps({"device": identity, "differences": found}, indent=2).encode())
    if found:
        raise _refusal(identity, found)
    return f"{_named(identity)}: all of the self-test is as it should be"


def ensure_checked(home: Path, check: bool = True) -> None:
    """Test an accelerator before its first training; what it has passed once it need not again.

    Of several processes one tests and the others wait for the outcome.

    Args:
        home: folder of ``data``, where outcomes are kept.
        check: if false, nothing is tested, and a device that is known to be wrong gets a warning.

    Raises:
        UserError: the device computes wrongly, now or when it was tested, or has no memory left.
    """
    if backend.on_processor():
        return
    identity = device_identity()
    if not check:
        if is_known_wrong(identity):
            print(
                f"warning: {_named(identity)} is known to compute wrongly ({REPORT}) and is not "
                "tested here (--no-check)",
                file=sys.stderr,
            )
        return
    path = _path(home, identity)
    found = _remembered(path, identity)
    if found is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_suffix(".lock"), "tests a device"):
            found = _remembered(path, identity)
            if found is None:
                print(
                    f"{_named(identity)}: the first training here, so it is tested", file=sys.stderr
                )
                check_device(home)
    if found:
        raise _refusal(identity, found)


def is_known_wrong(identity: dict[str, str]) -> bool:
    """Return whether a public report says that this version of JAX computes wrongly with CUDA."""
    numbers = re.findall(r"\d+", identity.get("jax", ""))[:2]
    cuda = any(name.startswith("jax-cuda") for name in identity)
    on_jax = identity["backend"] == "jax" and not backend.on_processor()
    return on_jax and cuda and tuple(map(int, numbers)) >= KNOWN_WRONG


def _path(home: Path, identity: dict[str, str]) -> Path:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return home / "data" / f"device-{digest[:16]}.json"


def _remembered(path: Path, identity: dict[str, str]) -> list[str] | None:
    """Return what an earlier test found; None if there was none, or its file is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
        found = [str(one) for one in content["differences"]]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found if content["device"] == identity else None


def _refusal(identity: dict[str, str], found: list[str]) -> UserError:
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    known = ""
    if is_known_wrong(identity):
        known = f"; JAX 0.11 and later with CUDA are known for it ({REPORT}), 0.10.2 is not"
    processor = "JAX_PLATFORMS=cpu" if identity["backend"] == "jax" else "CUDA_VISIBLE_DEVICES=-1"
    return UserError(
        f"a device must compute as numpy and the processor do: on {_named(identity)} {found[0]}"
        f"{more}{known}; train on the processor ({processor}), or change the versions and run "
        "`python -m mlproject check --device` again"
    )


def _named(identity: dict[str, str]) -> str:
    kind = keras.backend.backend()
    driver = f", driver {identity['driver']}" if "driver" in identity else ""
    return f"{identity['device']} ({kind} {identity.get(kind, '')}{driver})"
