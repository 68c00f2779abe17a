"""What augmentations cost: epochs of CNN-25 with and without them, in turn in one process.

Prints a table: processor time of an epoch of each kind and its ratio to one of the same round
without augmentation, medians over rounds.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from arguments import at_least

from mlproject.system.startup import prepare_keras

SINGLE = ("deletion", "insertion", "translocation", "inversion", "mutation", "noise")
KINDS: dict[str, dict[str, object]] = {
    "none": {},
    "reverse_complement": {"augment": "reverse_complement"},
    "shift": {"shift": 20},
    **{
        name: {"augment": "evoaug", "augmentations": name, "augment_most": 1, "noise": 0.3}
        for name in SINGLE
    },
    "evoaug": {"augment": "evoaug"},
    "evoaug and shift": {"augment": "evoaug", "shift": 20},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=at_least(1), default=5, help="epochs of each kind")
    parser.add_argument("--sequences", type=at_least(1), default=2000, help="sequences an epoch")
    options = parser.parse_args()
    prepare_keras(None, 1)
    from epochs import ours

    from mlproject.architectures import make_spec
    from mlproject.data.synthetic import generate

    split = generate(0, options.sequences * 10 // 7, 200).train
    few = split._replace(codes=split.codes[:300], labels=split.labels[:300])
    trainings = {kind: ours(make_spec(values)) for kind, values in KINDS.items()}
    for train in trainings.values():
        train(few, 1)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(options.rounds):
        for kind, train in trainings.items():
            clock = time.process_time()
            train(split, number + 2)
            seconds[kind].append(time.process_time() - clock)
    print("| augmentation | processor time of an epoch | of none |\n|---|---|---|")
    for kind, found in seconds.items():
        shares = [own / plain for own, plain in zip(found, seconds["none"], strict=True)]
        print(f"| {kind} | {statistics.median(found):.2f} s | {statistics.median(shares):.2f} |")


if __name__ == "__main__":
    main()
