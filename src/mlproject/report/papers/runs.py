"""The trials of a cell of a paper that is described by data."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas

from mlproject.architectures import make_spec, recorded_spec
from mlproject.fields import Group
from mlproject.report.effects import Values
from mlproject.spec import RunSpec
from mlproject.system.errors import nearest

_COMPARED = (Group.DATA, Group.NETWORK, Group.TRAINING)
_FREE = ("seed", "training_version")
ATTRIBUTED = "mlproject.attributed"
_READ = ("alignment", "threshold", "window", "motifs")


class PaperRuns:
    """The runs that count, found by the fields that determine weights, filters and matches.

    Layers and attributions may differ.
    """

    def __init__(self, counted: pandas.DataFrame) -> None:
        specs = counted["spec"] if len(counted) else []
        known = [recorded_spec(spec) for spec in specs]
        self._frame = counted.assign(**{ATTRIBUTED: [spec.attributed for spec in known]})
        self._keys = [_key(spec) for spec in known]

    def of(self, options: Mapping[str, Any], metric: str = "") -> pandas.DataFrame:
        """Return the runs that differ from the spec of `options` in the seed only.

        Args:
            options: fields of the spec, arch and protocol.
            metric: only runs that have it; "" = all.

        Returns:
            One run for each seed, by seed: of several the one that attributes the most sequences.
        """
        wanted = _key(make_spec(options))
        found = self._frame[[key == wanted for key in self._keys]]
        if metric:
            found = found[found[metric].notna()] if metric in found else found[:0]
        if not len(found):
            return found
        ordered = found.sort_values(["seed", ATTRIBUTED], kind="stable")
        return ordered.drop_duplicates("seed", keep="last").drop(columns=ATTRIBUTED)

    def unknown(self, metrics: Sequence[str]) -> list[str]:
        """Return a hint for each metric that no run has, none if there are no runs."""
        numbers = [name for name in self._frame if "/" in name or name.startswith("test_")]
        return [
            f"no run has the metric `{one}`: {nearest(one, numbers)}"
            for one in dict.fromkeys(metrics)
            if numbers and one not in self._frame
        ]

    def by_seed(self, options: Mapping[str, Any], metric: str) -> Values:
        """Return a metric of these runs by seed."""
        runs = self.of(options, metric)
        if metric not in runs:
            return {}
        return dict(zip(map(int, runs["seed"]), map(float, runs[metric]), strict=True))


def _key(spec: RunSpec) -> dict[str, Any]:
    values = {name: value for name, value in spec.flat(*_COMPARED).items() if name not in _FREE}
    return values | {name: getattr(spec, name) for name in _READ}
