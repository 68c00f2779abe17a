"""CPU seconds of the figure of all filters, PNG and PDF: ``python benchmarks/logos.py``.

The filters are JASPAR motifs, which have more visible letters than most learned filters.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np

from mlproject.draw.logos import logo_figure
from mlproject.draw.output import save_figure
from mlproject.filters.align import Aligned
from mlproject.filters.reading import LayerReading, read_layer
from mlproject.motifs.databases import jaspar

LIMITS = {30: 3, 128: 8}
WINDOW = 19


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def jaspar_filters(count: int) -> LayerReading:
    """Return a reading whose filters are JASPAR's first motifs, blurred by a tenth."""
    pwms = np.full((count, WINDOW, 4), 0.25)
    for pwm, motif in zip(pwms, jaspar(), strict=False):
        width = min(motif.width, WINDOW)
        pwm[:width] = motif.pwm[:width] * 0.9 + 0.025
    nsites = np.full(count, 500)
    weights = nsites[:, None] * np.ones(WINDOW)
    aligned = Aligned(pwms, nsites, weights, np.ones(count, np.float32))
    return read_layer("conv1", "released", aligned, jaspar())


def measure(count: int, folder: Path) -> str:
    """Return one row of the table."""
    reading = jaspar_filters(count)
    targets = {motif.id: motif for motif in jaspar()}
    start = cpu_seconds()
    figure = logo_figure(reading, targets, {"CEBPB": ("MA0466",)}, jaspar()[:12], "JASPAR")
    drawn = cpu_seconds()
    png, pdf = save_figure(figure, folder / f"filters{count}")
    end = cpu_seconds()
    size = f"{png.stat().st_size / 1e6:.2f} {pdf.stat().st_size / 1e6:7.2f}"
    times = f"{drawn - start:8.2f} {end - drawn:8.2f} {end - start:8.2f} {LIMITS[count]:8}"
    return f"{count:>7} {times}     {size}"


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    print(f"{'filters':>7} {'drawn':>8} {'written':>8} {'CPU s':>8} {'limit':>8}   PNG MB  PDF MB")
    with tempfile.TemporaryDirectory() as name:
        for number in LIMITS:
            print(measure(number, Path(name)))
