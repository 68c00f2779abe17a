"""The PWM scan of a data set: computed once, kept in a file, printed as a table."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlproject.data import Dataset
from mlproject.fields import canonical_sha256
from mlproject.filters.baseline import Baseline, class_motifs, pwm_scan
from mlproject.motifs.pwm import Motif
from mlproject.names import metric_name
from mlproject.network.evaluation import ClassScore, metrics
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file

VERSION = 2


def cached_pwm_scan(
    data: Dataset, folder: Path, motifs: Mapping[str, tuple[Motif, ...]] | None = None
) -> Baseline:
    """Return `pwm_scan` of a data set, from a file in `folder` if an earlier call has written it.

    The file holds the hash of the data set and of the motifs, and its content's hash. Any other
    file is replaced.
    """
    usual = class_motifs(data)
    wanted = usual if motifs is None else motifs
    key = data.sha256 if _identity(wanted) == _identity(usual) else _key(data, wanted)
    path = folder / f"pwm-scan-{VERSION}-{key[:16]}.json"
    if (kept := read_pwm_scan(path, key)) is not None:
        return kept
    found = pwm_scan(data, wanted)
    rows = [row._asdict() for row in found.rows]
    content = {"dataset_sha256": key, "rows": rows, "sites": found.sites}
    content["sha256"] = canonical_sha256(content)
    with atomic_file(path) as file:
        file.write(json.dumps(content).encode())
    return found


def read_pwm_scan(path: Path, dataset_sha256: str) -> Baseline | None:
    """Return the scores in a file, None if it is damaged or belongs to another data set."""
    try:
        kept: Any = json.loads(path.read_text(encoding="utf-8"))
        if kept.pop("sha256") != canonical_sha256(kept) or kept["dataset_sha256"] != dataset_sha256:
            return None
        return Baseline(tuple(ClassScore(**row) for row in kept["rows"]), dict(kept["sites"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _key(data: Dataset, motifs: Mapping[str, tuple[Motif, ...]]) -> str:
    return canonical_sha256({"dataset": data.sha256, "motifs": _identity(motifs)})


def _identity(motifs: Mapping[str, tuple[Motif, ...]]) -> dict[str, list[Any]]:
    return {
        name: [[motif.id, motif.nsites, motif.pwm.round(9).tolist()] for motif in own]
        for name, own in motifs.items()
    }


def format_baseline(found: Baseline) -> str:
    """Return the scores by class and their means as a table of text.

    Raises:
        UserError: no class has a motif.
    """
    if not found.rows:
        raise UserError("a PWM scan needs classes with known motifs: `relevant` names none")
    lines: list[list[str]] = [["class", "positives", "AUROC", "AUPR", "AP", "site AP"]]
    for row in found.rows:
        site = found.sites.get(f"site_ap/{metric_name(row.name)}")
        values = (row.auroc, row.aupr, row.ap, site)
        lines.append([row.name, f"{row.positives:,}", *map(_shown, values)])
    means = metrics(found.rows, "")
    kinds = [means.get(kind) for kind in ("auroc", "aupr", "ap")]
    lines.append(["mean", "", *map(_shown, [*kinds, found.sites.get("site_ap")])])
    wide = max(len(line[0]) for line in lines)
    return "\n".join(
        f"{line[0]:<{wide}}" + "".join(f"{cell:>11}" for cell in line[1:]) for line in lines
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
