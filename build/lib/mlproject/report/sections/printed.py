"""The paper's tables with our numbers beside the published ones."""

import math
from collections.abc import Sequence
from typing import Any

import pandas

from mlproject.architectures import printed_name
from mlproject.report.labels import label_of
from mlproject.report.measure import Measure
from mlproject.report.published import (
    IN_VIVO,
    INCONSISTENCIES,
    SYNTHETIC,
    archs_of,
    printed,
    published,
)
from mlproject.report.registry import table
from mlproject.report.table import Column, Table, published_column
from mlproject.report.trials import Trials, of_dataset, trials
from mlproject.report.verdicts import ONE_DATA_SET, band_of, compare

RULE = (
    "Ours: mean ± standard deviation over n trials (n − 1). Published: mean ± standard deviation "
    "over 5 trials as printed. Δ: ours less published. Verdict: `agrees` is short for equivalent "
    "within ±0.01 (AUROC, AUPR) or ±0.10 (match fractions): the 90 % interval of the difference "
    "(Welch; published deviation times √(5/4), at least 0.0005) lies within that band, which is a "
    "pair of one-sided tests at 5 % (TOST). `differs`: it lies outside altogether; else "
    "`cannot tell`."
)

SCAN = (
    "PWM scan: no network; each class scores a sequence by the best place of its known motifs on "
    "either strand. Chance matches in the background keep it below 1."
)


@table(20, "synthetic", SYNTHETIC, first=True)
@table(21, "invivo", IN_VIVO, first=True)
def main_table(counted: pandas.DataFrame, dataset: str) -> Table:
    """Return Table 1 (synthetic) or Table 2 (in vivo): a row for each network.

    Args:
        counted: runs that count, see `mlproject.results.counted`.
        dataset: `SYNTHETIC` or `IN_VIVO`.
    """
    metrics = ["test_auroc", "conv1/match_jaspar", "conv1/match_relevant"]
    if dataset == IN_VIVO:
        metrics.insert(1, "test_aupr")
    frame, notes = of_dataset(counted, dataset)
    rows, networks = [], []
    for arch in archs_of(dataset):
        found = trials(frame, arch, metrics[0])
        networks.append(found)
        row: dict[str, Any] = {"network": printed_name(arch), "arch": arch, "n": len(found.runs)}
        row |= {metric: _compared(found, dataset, metric) for metric in metrics}
        row |= {"run_ids": " ".join(found.runs["run_id"]), "command": ""}
        if found.runs.empty:
            row["command"] = _command(arch, dataset)
        rows.append(row)
    rows += _motifs_alone(frame, metrics)
    columns = [Column("network", "network"), Column("n", "n", digits=0)]
    for metric in metrics:
        columns += _columns(metric, label_of(metric), over_classes=metric.startswith("test_"))
    number, what = ("1", "synthetic") if dataset == SYNTHETIC else ("2", "in vivo")
    return _finish(
        f"table{number}",
        f"Table {number}. Test performance and first-layer motif matches, {what} sequences",
        rows,
        columns,
        [*notes, *_trial_notes(networks), *([SCAN] if "baseline/test_auroc" in frame else [])],
        dataset,
    )


def _motifs_alone(frame: pandas.DataFrame, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return the row of the PWM scan if the runs have recorded it, else no row."""
    row: dict[str, Any] = {"network": "PWM scan", "arch": "", "n": math.nan}
    row |= {"run_ids": "", "command": ""}
    for metric in metrics:
        name = f"baseline/{metric}"
        values = frame[name].dropna() if name in frame else pandas.Series(dtype=float)
        if len(values):
            over_classes = sd_over_classes(frame.loc[values.index[-1:]], name)
            row[metric] = Measure(float(values.iloc[-1]), sd_over_classes=over_classes)
    return [row] if metrics[0] in row else []


@table(30, "deeper", first=True)
def deeper_table(counted: pandas.DataFrame) -> Table:
    """Return the matches of deeper layers, a row for each data set, network and layer."""
    rows, networks, notes = [], [], []
    known = published()
    deeper = known[known["metric"].str.fullmatch(r"conv[2-9]/match_jaspar")]
    for dataset, arch in deeper[["dataset", "arch"]].drop_duplicates().itertuples(index=False):
        frame, left_out = of_dataset(counted, dataset)
        layers = int(deeper["metric"][deeper["arch"] == arch].str[4].astype(int).max())
        found = trials(frame, arch, f"conv{layers}/match_jaspar")
        networks.append(found)
        notes += left_out
        for number in range(1, layers + 1):
            row: dict[str, Any] = {"dataset": dataset, "network": printed_name(arch)}
            row |= {"arch": arch, "layer": f"conv{number}", "n": len(found.runs)}
            for kind in ("match_jaspar", "match_relevant"):
                row[kind] = _compared(found, dataset, f"conv{number}/{kind}")
            row |= {"run_ids": " ".join(found.runs["run_id"]), "command": ""}
            if found.runs.empty and number == 1:
                names = ",".join(f"conv{one}" for one in range(1, layers + 1))
                row["command"] = f"{_command(arch, dataset)} --layers {names}"
            rows.append(row)
    columns = [
        Column("dataset", "sequences"),
        Column("network", "network"),
        Column("layer", "layer"),
        Column("n", "n", digits=0),
        *_columns("match_jaspar", label_of("match_jaspar"), over_classes=False),
        *_columns("match_relevant", label_of("match_relevant"), over_classes=False),
    ]
    title = "Motif matches of deeper layers"
    return _finish(
        "deeper_layers", title, rows, columns, [*dict.fromkeys(notes), *_trial_notes(networks)]
    )


def _compared(found: Trials, dataset: str, metric: str) -> Measure:
    runs = found.runs
    values = runs[metric].dropna().to_numpy(float) if metric in runs else []
    compared = compare(values, printed(dataset, found.arch, metric), band_of(metric))
    compared = compared._replace(mark=_marks(dataset, found.arch, metric))
    if metric.startswith("test_"):
        compared = compared._replace(sd_over_classes=sd_over_classes(runs, metric))
    return compared


def sd_over_classes(runs: pandas.DataFrame, metric: str) -> float:
    """Return the standard deviation (n) over the classes, mean over the trials."""
    single = runs.filter(like=f"{metric}/").dropna(axis=1, how="all")
    return float(single.std(axis=1, ddof=0).mean()) if single.size else math.nan


def _columns(metric: str, label: str, over_classes: bool) -> list[Column]:
    columns = [Column(metric, "ours", label, 3)]
    if over_classes:
        columns.append(Column(metric, "sd over classes", label, 3, "sd_over_classes"))
    return [
        *columns,
        published_column(metric, label),
        Column(metric, "Δ", label, 3, "difference", signed=True),
        Column(metric, "verdict", label, part="verdict"),
    ]


def _footnotes(dataset: str) -> list[Any]:
    return [one for one in INCONSISTENCIES if one.dataset == dataset]


def _marks(dataset: str, arch: str, metric: str) -> str:
    found = [
        "abcdefghijklmnop"[number]
        for number, note in enumerate(_footnotes(dataset))
        if arch in note.archs and metric in note.metrics
    ]
    return ",".join(found)


def _command(arch: str, dataset: str) -> str:
    data = "" if dataset == SYNTHETIC else " --dataset IN_VIVO.h5"
    return f"python -m mlproject train --arch {arch}{data}"


def _trial_notes(networks: Sequence[Trials]) -> list[str]:
    """Return sentences on deviations from the default protocol, and on the runs left out."""
    with_runs = [one for one in networks if not one.runs.empty]
    kinds: dict[tuple[str, ...], list[str]] = {}
    for one in with_runs:
        kinds.setdefault(one.unlike, []).append(printed_name(one.arch))
    notes = []
    for unlike, names in kinds.items():
        if unlike:
            who = "All rows" if len(kinds) == 1 else ", ".join(dict.fromkeys(names))
            notes.append(f"{who}: not the full protocol, but {', '.join(unlike)}.")
    return [*notes, *dict.fromkeys(text for one in networks for text in one.left_out)]


def _finish(
    name: str,
    title: str,
    rows: list[dict[str, Any]],
    columns: Sequence[Column],
    notes: Sequence[str],
    dataset: str | None = None,
) -> Table:
    commands = [row["command"] for row in rows if row["command"]]
    marks = []
    if dataset:
        marks = [
            f"^{'abcdefghijklmnop'[number]}^ {note.text}" if note.archs else note.text
            for number, note in enumerate(_footnotes(dataset))
        ]
    notes = (*notes, RULE, ONE_DATA_SET, *marks)
    return Table(name, title, rows, tuple(columns), notes, tuple(commands))
