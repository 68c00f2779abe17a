"""What augmentations cost: epochs of CNN-25 with and without them, in turn in one process.

Prints the processor time of an epoch of each kind, the median over rounds, and their ratio.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mlproject.system.startup import prepare_keras

KINDS: dict[str, dict[str, object]] = {
    "none": {},
    "reverse_complement": {"augment": "reverse_complement"},
    "evoaug": {"augment": "evoaug"},
    "evoaug and shift": {"augment": "evoaug", "shift": 20},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each kind")
    parser.add_argument("--sequences", type=int, default=5000, help="sequences an epoch")
    options = parser.parse_args()
    prepare_keras(None, 1)
    from mlproject.architectures import make_spec
    from mlproject.data.synthetic import generate
    from mlproject.network import backend, fast_pass
    from mlproject.network.build import build
    from mlproject.network.epoch import train_epoch
    from mlproject.network.inputs import make_inputs
    from mlproject.network.loss import cross_entropy
    from mlproject.network.steps import make_steps
    from mlproject.network.training_tools import built_optimizer

    split = generate(0, options.sequences * 10 // 7, 200).train
    backend.prepare()
    trainings = {}
    for kind, values in KINDS.items():
        spec = make_spec(values)
        model = build(spec, 200, 12)
        scores = fast_pass.choose(model)[0]
        optimizer = built_optimizer(spec, model)
        steps = make_steps(model, optimizer, scores, cross_entropy, make_inputs(spec))
        train_epoch(steps, split._replace(codes=split.codes[:300], labels=split.labels[:300]),
                    spec, 1)  # fmt: skip
        trainings[kind] = (steps, spec)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(options.rounds):
        for kind, (steps, spec) in trainings.items():
            clock = time.process_time()
            train_epoch(steps, split, spec, number + 2)
            seconds[kind].append(time.process_time() - clock)
    plain = statistics.median(seconds["none"])
    for kind, found in seconds.items():
        middle = statistics.median(found)
        print(f"{kind:<20} {middle:6.2f} s an epoch, {middle / plain:5.2f} of none")


if __name__ == "__main__":
    main()
