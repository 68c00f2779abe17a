"""The baseline of a data set, a PWM scan or word counts: computed once, kept in a file, printed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlproject.data import Dataset
from mlproject.fields import VALUES, canonical_sha256
from mlproject.filters.baseline import Baseline, class_motifs, pwm_scan
from mlproject.filters.word_baseline import word_scores
from mlproject.motifs.pwm import Motif
from mlproject.names import metric_name
from mlproject.network.evaluation import ClassScore, metrics
from mlproject.network.value_scores import VALUE_LABELS, ValueScore
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file

VERSION = 3


def cached_pwm_scan(
    data: Dataset, folder: Path, motifs: Mapping[str, tuple[Motif, ...]] | None = None
) -> Baseline:
    """Return `pwm_scan` of a data set, from a file in `folder` if an earlier call has written it.

    Outputs that are numbers have the scores of `mlproject.filters.word_baseline.word_scores`.
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
    if data.task in VALUES:
        found = found._replace(rows=tuple(word_scores(data)))
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
        rows = [(ValueScore if "r2" in row else ClassScore)(**row) for row in kept["rows"]]
        return Baseline(tuple(rows), dict(kept["sites"]))
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
    first = found.rows[0]
    if isinstance(first, ClassScore):
        kinds = ["auroc", "aupr", "ap"]
        head = ["class", "positives", "AUROC", "AUPR", "AP"]
    else:
        kinds = [kind for kind in VALUE_LABELS if getattr(first, kind) is not None]
        head = ["output", "sequences", *(VALUE_LABELS[kind] for kind in kinds)]
    lines: list[list[str]] = [[*head, "site AP"]]
    for row in found.rows:
        site = found.sites.get(f"site_ap/{metric_name(row.name)}")
        values = [getattr(row, kind) for kind in kinds]
        lines.append([row.name, f"{row[1]:,}", *map(_shown, [*values, site])])
    means = metrics(found.rows, "")
    shown = [means.get(kind) for kind in kinds]
    lines.append(["mean", "", *map(_shown, [*shown, found.sites.get("site_ap")])])
    wide = max(len(line[0]) for line in lines)
    return "\n".join(
        f"{line[0]:<{wide}}" + "".join(f"{cell:>11}" for cell in line[1:]) for line in lines
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
