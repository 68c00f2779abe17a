"""One run of each topology: parameters, CPU seconds an epoch, AUROC and motif matches.

    python -m sweeps sweeps/networks.yaml --experiment networks
    python benchmarks/networks.py [--experiment networks]

The first command makes the runs. The second reads their scores from the tracking store and trains
each network for three more epochs with one thread: CPU seconds (user + system) are the smaller of
the last two epochs, validation and saving of the state included. Another load of the machine hardly
changes them.
"""

import argparse
import itertools
import os
import tempfile
from pathlib import Path

from mlproject.system.variables import set_threads

set_threads(1)

import pandas  # noqa: E402

from mlproject import results  # noqa: E402
from mlproject.data import Dataset, load  # noqa: E402
from mlproject.network.build import build, trainable_parameters  # noqa: E402
from mlproject.network.training import fit  # noqa: E402
from mlproject.spec import RunSpec  # noqa: E402
from mlproject.sweeps.plan import expand  # noqa: E402
from mlproject.sweeps.plan_file import read_plan  # noqa: E402

PLAN = Path(__file__).parents[1] / "sweeps" / "networks.yaml"
EPOCHS = 3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiment", default="networks")
    done = results.runs(parser.parse_args().experiment)
    plan = read_plan(PLAN)
    print("| network | parameters | CPU s an epoch | test AUROC | JASPAR match | relevant match |")
    print("|---|---|---|---|---|---|")
    for options, spec in expand(plan):
        own = {name: value for name, value in options.items() if name not in plan.base}
        name = ", ".join(f"`{key}={value}`" for key, value in own.items()) or "CNN-25"
        data = load(spec, Path())
        parameters, seconds = measured(spec, data)
        found = done[done["spec_sha256"] == spec.spec_sha256(data.sha256)]
        cells = ["–"] * 3
        if len(found):
            cells = scores(found.iloc[-1])
        print(f"| {name} | {parameters:,} | {seconds:.1f} | {' | '.join(cells)} |", flush=True)


def measured(spec: RunSpec, data: Dataset) -> tuple[int, float]:
    """Return the number of trainable parameters and the CPU seconds of an epoch."""
    ends = []
    spec = spec.model_copy(update={"epochs": EPOCHS})
    model = build(spec, data.length, len(data.classes))
    with tempfile.TemporaryDirectory() as folder:
        fit(
            model,
            spec,
            data.train,
            data.valid,
            state_path=Path(folder) / "state.h5",
            on_epoch=lambda epoch: ends.append(sum(os.times()[:2])),
        )
    seconds = min(after - before for before, after in itertools.pairwise(ends))
    return trainable_parameters(model), seconds


def scores(run: pandas.Series) -> list[str]:
    """Return test AUROC and the shares of matching filters of the first layer that was read."""
    present = [str(name) for name in run.index[run.notna()]]
    layer = next(
        name.removesuffix("/match_jaspar")
        for name in present
        if name.endswith("/match_jaspar") and not name.startswith("val_")
    )
    names = ("match_jaspar", "match_relevant")
    return [f"{run['test_auroc']:.3f}", *(f"{run[f'{layer}/{name}']:.2f}" for name in names)]


if __name__ == "__main__":
    main()
