"""The trials of a cell of a paper that is described by data."""

from collections.abc import Mapping
from typing import Any

import pandas

from mlproject.architectures import make_spec, recorded_spec
from mlproject.fields import Group
from mlproject.report.effects import Values
from mlproject.spec import RunSpec

_COMPARED = (Group.DATA, Group.NETWORK, Group.TRAINING)
_FREE = ("seed", "training_version")
_ALIGNED = ("alignment", "threshold", "window")


class PaperRuns:
    """The runs that count, found by the fields that determine weights and filters.

    Layers, attributions and motif databases may differ.
    """

    def __init__(self, counted: pandas.DataFrame) -> None:
        specs = counted["spec"] if len(counted) else []
        self._frame = counted
        self._keys = [_key(recorded_spec(spec)) for spec in specs]

    def of(self, options: Mapping[str, Any]) -> pandas.DataFrame:
        """Return the runs that differ from the spec of `options` in the seed only, by seed."""
        wanted = _key(make_spec(options))
        rows = [number for number, key in enumerate(self._keys) if key == wanted]
        return self._frame.iloc[rows].sort_values("seed") if rows else self._frame.iloc[:0]

    def by_seed(self, options: Mapping[str, Any], metric: str) -> Values:
        """Return a metric of these runs by seed."""
        runs = self.of(options)
        if metric not in runs:
            return {}
        runs = runs[runs[metric].notna()]
        return dict(zip(map(int, runs["seed"]), map(float, runs[metric]), strict=True))


def _key(spec: RunSpec) -> dict[str, Any]:
    values = {name: value for name, value in spec.flat(*_COMPARED).items() if name not in _FREE}
    return values | {name: getattr(spec, name) for name in _ALIGNED}
