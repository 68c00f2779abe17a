"""CPU seconds of what a run asks of its filters: ``python benchmarks/filter_truth.py``.

Networks with their initial weights on the paper's 5,000 test sequences; one scan of the known
motifs. Set OMP_NUM_THREADS=1 and TF_NUM_INTRAOP_THREADS=1 for the seconds of one thread.
"""

import argparse
import os

from mlproject.architectures import make_spec
from mlproject.data.synthetic import generate
from mlproject.filters.ablation import ablate
from mlproject.filters.baseline import pwm_scan
from mlproject.filters.scan import scan
from mlproject.filters.site_windows import Peaks, site_windows
from mlproject.filters.truth import compare_to_sites
from mlproject.geometry import receptive_field
from mlproject.motifs.databases import jaspar
from mlproject.network.build import activations, build
from mlproject.network.graph import activation_output
from mlproject.run.model_parts import network_parts

LIMIT = "10 s a layer for CNN-25, both together"
LAYERS = (
    ("CNN-25", 1), ("CNN-4", 1), ("CNN-2", 1), ("CNN-1", 1), ("CNN-1", 2),
    ("CNN-1-1-100", 1), ("CNN-1-1-100", 2), ("CNN-1-1-100", 3),
)  # fmt: skip


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    print(f"limit: {LIMIT}")
    data = generate()
    test, classes = data.test, data.classes
    assert test.sites is not None
    jaspar()
    start = cpu_seconds()
    pwm_scan(data)
    print(f"scan of the known motifs: {cpu_seconds() - start:.2f}")
    print(f"{'layer':<18} {'forward, scan':>14} {'sites':>8} {'ablation':>9} {'sequences':>10}")
    for arch, number in LAYERS:
        name, spec = f"conv{number}", make_spec({"arch": arch})
        model = build(spec, data.length, len(classes))
        field = receptive_field(model, name)
        positions = int(activation_output(model, name).shape[1])
        start = cpu_seconds()
        found = scan(activations(model, name, test.codes))
        scanned = cpu_seconds()
        peaks = Peaks(site_windows(test.sites, field, positions, len(test.codes)))
        again = scan(peaks.watch(activations(model, name, test.codes)))
        watched = cpu_seconds()
        compare_to_sites(peaks, again.released, test.sites, classes, field)
        compared = cpu_seconds()
        lost = ablate(network_parts(model, name), name, test.codes, test.labels, classes)
        end = cpu_seconds()
        extra = max(watched - scanned - (scanned - start), 0) + compared - watched
        print(
            f"{arch + ' ' + name:<18} {scanned - start:14.2f} {extra:8.2f} "
            f"{end - compared:9.2f} {lost.sequences:10,}"
        )
