"""Test AUROC of CNN-25 on a user's data, plain and with EvoAug, by seed; difference and interval.

Both train for the same number of epochs in total. The interval is that of a paired t-test.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from arguments import at_least

from mlproject.system.startup import prepare_keras


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--seeds", type=at_least(2), default=3)
    parser.add_argument("--epochs", type=at_least(1), default=10)
    parser.add_argument("--fine_tune", type=int, default=4)
    options = parser.parse_args()
    prepare_keras(None, 2)
    from scipy import stats

    from mlproject.architectures import make_spec
    from mlproject.data import read
    from mlproject.network.build import build, predict
    from mlproject.network.evaluation import mean_auroc
    from mlproject.network.training import fit

    data = read(options.dataset)
    labels, count = np.asarray(data.test.labels), len(data.classes)
    shared = {"dataset": str(options.dataset), "bn_momentum": 0.9, "monitor": "val_auroc"}
    kinds: dict[str, dict[str, object]] = {
        "plain": {"epochs": options.epochs + options.fine_tune},
        "evoaug": {
            "epochs": options.epochs, "augment": "evoaug", "fine_tune": options.fine_tune,
        },
    }  # fmt: skip
    found = np.zeros((options.seeds, len(kinds)))
    for seed in range(options.seeds):
        for number, (kind, values) in enumerate(kinds.items()):
            spec = make_spec({**shared, **values, "seed": seed})
            model = build(spec, data.length, count, data.task)
            with tempfile.TemporaryDirectory() as folder:
                state = Path(folder) / "state.h5"
                done = fit(model, spec, data.train, data.valid, state_path=state, task=data.task)
            found[seed, number] = mean_auroc(labels, predict(model, data.test.codes))
            print(
                f"seed {seed}, {kind}: test AUROC {found[seed, number]:.4f}, best epoch "
                f"{done.best_epoch} of {len(done.history)}",
                flush=True,
            )
    gained = found[:, 1] - found[:, 0]
    margin = stats.t.ppf(0.975, len(gained) - 1) * gained.std(ddof=1) / len(gained) ** 0.5
    print(
        f"plain {found[:, 0].mean():.4f}, evoaug {found[:, 1].mean():.4f}, difference "
        f"{gained.mean():+.4f}, 95 % interval {gained.mean() - margin:+.4f} to "
        f"{gained.mean() + margin:+.4f}"
    )


if __name__ == "__main__":
    main()
