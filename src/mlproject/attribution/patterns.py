"""TF-MoDISco: from attributions of many sequences to recurring motifs.

modisco-lite runs in a separate process, since its processes and threads conflict with those of
Keras' backends. Its patterns are read from its output file and matched by
`mlproject.motifs.tomtom`.

Source: Shrikumar et al., arXiv:1811.00416, 2018.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from mlproject.filters.reading import LayerReading
from mlproject.motifs.pwm import Motif, clip, round_rows
from mlproject.motifs.tomtom import tomtom
from mlproject.system.errors import UserError
from mlproject.system.interrupts import check_interrupts

GROUPS = {"pos_patterns": "pattern", "neg_patterns": "negative"}
SEQLETS = 20_000
DECIMALS = 4
LOOK_SECONDS = 0.2
PROGRAM = "from modiscolite.cli import cli; cli()"


class Patterns(NamedTuple):
    """The patterns of TF-MoDISco.

    Attributes:
        reading: the positive patterns as motifs with their matches, from ``pattern0`` on; nsites is
            the number of seqlets.
        contributions: (width, 4) mean contributions of each pattern, as wide as its motif.
        negative: number of negative patterns.
    """

    reading: LayerReading
    contributions: tuple[np.ndarray, ...]
    negative: int


def require() -> None:
    """Raise a `UserError` where modisco-lite is not installed."""
    if importlib.util.find_spec("modiscolite") is None:
        raise UserError(
            "`modisco` needs the package modisco-lite: run `make modisco`, or "
            "pip install -c constraints.txt modisco-lite"
        )


def find(ohe: Path, shap: Path, out: Path, length: int) -> None:
    """Run TF-MoDISco on sequences and scores of all letters.

    Args:
        ohe: npz of letters (rows, 4, L), see `mlproject.attribution.files.write_arrays`.
        shap: npz of scores (rows, 4, L).
        out: HDF5 file to write, in modisco-lite's own layout.
        length: L; the full length is searched.

    Raises:
        UserError: modisco-lite is not installed, or it fails, for example with too few sequences.
    """
    require()
    if length % 2:
        ohe, shap = (_padded(path) for path in (ohe, shap))
        length += 1
    arguments = ["-s", ohe, "-a", shap, "-n", SEQLETS, "-w", length, "-o", out]
    command = [sys.executable, "-c", PROGRAM, "motifs", *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_RUN_ID"}
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
        env=environment,
    ) as process:
        try:
            problem = _wait(process)
        except BaseException:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode or not out.exists():
        last = (problem.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
        raise UserError(
            f"TF-MoDISco found nothing to work on: '{last[:200]}'; attribute more sequences"
        )


def _padded(path: Path) -> Path:
    """Write arrays (rows, 4, L) with a column of zeros at the end, an N without contributions.

    modisco-lite cuts its window in halves, so that an odd one would be longer than the rest.
    """
    array = np.load(path)["arr_0"]
    target = path.with_name(f"even_{path.name}")
    np.savez_compressed(target, np.pad(array, ((0, 0), (0, 0), (0, 1))))
    return target


def _wait(process: "subprocess.Popen[str]") -> str:
    """Return the standard error of a process at its end; check for signals while it runs."""
    while True:
        try:
            return process.communicate(timeout=LOOK_SECONDS)[1]
        except subprocess.TimeoutExpired:
            check_interrupts()


def read(path: Path, targets: Sequence[Motif], evalue: float = 0.1) -> Patterns:
    """Read the patterns of modisco-lite's output file and match them.

    Args:
        path: the file.
        targets: motifs of the database.
        evalue: largest E-value of a match.
    """
    motifs, means, starts, counts = [], [], [], {}
    with h5py.File(path, "r") as file:
        for group, title in GROUPS.items():
            found = file.get(group, {})
            counts[group] = len(found)
            if title != GROUPS["pos_patterns"]:
                continue
            for number in range(len(found)):
                pattern = found[f"pattern_{number}"]
                pwm = pattern["sequence"][()]
                seqlets = float(np.ravel(pattern["seqlets/n_seqlets"][()])[0])
                start, stop = clip(pwm)
                starts.append(0)
                motifs.append(Motif(f"{title}{number}", "", pwm[start:stop], seqlets))
                means.append(pattern["contrib_scores"][start:stop])
    clipped = tuple(
        motif._replace(pwm=round_rows(motif.pwm, DECIMALS), nsites=float(motif.width))
        for motif in motifs
    )
    matches = tuple(tomtom(clipped, targets, evalue)) if clipped else ()
    reading = LayerReading("modisco", "", tuple(motifs), clipped, tuple(starts), matches)
    return Patterns(reading, tuple(means), counts["neg_patterns"])
