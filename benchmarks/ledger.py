"""The parts of a run, and the CPU seconds of each, for `pipeline.py`."""

import builtins
import functools
import importlib
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

TRAINING, IMPORTS = "training", "imports"
PARTS = {
    "data": ["run.run.load"],
    TRAINING: ["network.trainer.train_epoch"],
    "validation": ["network.trainer.Training._validate"],
    "states saved": ["network.checkpoint.write"],
    "evaluation": ["run.stages.test"],
    "curves drawn": [f"run.stages.{one}_figure" for one in ("history", "roc", "pr", "record")],
    "baseline": ["run.run.scan_motifs"],
    "scan and alignment": [f"run.layer_reader.LayerReader.{one}" for one in ("scan", "read")],
    "planted sites": ["run.layer_reader.LayerReader._peaks", "run.layer_reader.LayerReader.truth"],
    "ablation": ["run.filters._ablate"],
    "Tomtom": ["run.layer_reader.read_layer"],
    "shuffled filters": ["run.filters.null_scores"],
    "logos": ["run.filters.logo_figure", "run.filters.record_figure"],
    "card": ["run.run.card_data", "run.run.record_card"],
    "tracking": [
        "run.run.connect", "store.client.Store.start", "store.tracker.Tracker.flush",
        "store.tracker.Tracker.finish", "store.tracker.Tracker.beat",
    ],
    "model saved": ["store.tracker.Tracker.model"],
}  # fmt: skip


class Ledger:
    """CPU seconds (user + system) by part; a part inside another is not counted twice."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.epochs: list[float] = []
        self._open, self._since = [IMPORTS], 0.0

    def charge(self) -> None:
        """Charge what passed since the last call to the innermost open part."""
        now = time.process_time()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge what happens inside to `name`."""
        self.charge()
        self._open.append(name)
        before = time.process_time()
        try:
            yield
        finally:
            self.charge()
            self._open.pop()
            if name == TRAINING:
                self.epochs.append(time.process_time() - before)

    def counted(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """Return the function, charged to a part."""

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            with self.part(name):
                return function(*arguments, **options)

        return call

    def count_imports(self) -> None:
        """Charge modules to the imports, wherever they are loaded for the first time."""
        load = builtins.__import__

        def call(name: str, *arguments: Any, **options: Any) -> Any:
            if name in sys.modules or self._open[-1] == IMPORTS:
                return load(name, *arguments, **options)
            with self.part(IMPORTS):
                return load(name, *arguments, **options)

        builtins.__import__ = call

    def count_parts(self) -> None:
        """Charge the functions of `PARTS`."""
        for part, names in PARTS.items():
            for name in names:
                *modules, attribute = name.split(".")
                last = modules.pop() if modules[-1][0].isupper() else None
                owner: Any = importlib.import_module(".".join(["mlproject", *modules]))
                owner = getattr(owner, last) if last else owner
                setattr(owner, attribute, self.counted(getattr(owner, attribute), part))
        training: Any = importlib.import_module("mlproject.network.training_tools")
        make = training.predictor
        training.predictor = lambda *args, **kw: self.counted(make(*args, **kw), "validation")
