"""The sentences of a reproduction's page; every number in them is computed from the runs."""

import math
from collections import Counter

import numpy as np
import pandas

from mlproject.architectures import PROTOCOLS
from mlproject.report.labels import label_of
from mlproject.report.measure import Measure, measure
from mlproject.report.table import Table
from mlproject.system.messages import quantity

METRICS = ("test_auroc", "conv1/match_jaspar", "conv1/match_relevant")
MATCHES = METRICS[1:]


def short(verdict: str) -> str:
    """Return a verdict without its n; ``cannot tell`` becomes ``undecided``."""
    return verdict.partition(" (")[0].replace("cannot tell", "undecided")


def who(counted: pandas.DataFrame) -> str:
    """Return a sentence on the runs: protocols, trials, machines, hours."""
    kinds = []
    for protocol, runs in counted.groupby("protocol", sort=False):
        seeds = runs.groupby("arch")["seed"].nunique()
        low, high = int(seeds.min()), int(seeds.max())
        trials = f"{low}" if low == high else f"{low} to {high}"
        kinds.append(
            f"{quantity(len(runs), 'run')} by the protocol `{protocol}` "
            f"({quantity(len(seeds), 'network')}, "
            f"{trials} trial{'s' * (high > 1)} of each)"
        )
    machines = [
        f"{len(runs)} on {device} with {backend}"
        for (device, backend), runs in counted.fillna(
            {"device": "an unknown device", "backend": "an unknown backend"}
        ).groupby(["device", "backend"])
    ]
    hours = counted["time/total"].sum() / 3600 if "time/total" in counted else 0.0
    says = (
        f"{' and '.join(kinds)}, trained by this project: {', '.join(machines)}; {hours:.1f} hours."
    )
    return f"{says} {shortened(counted)}".rstrip()


def shortened(counted: pandas.DataFrame) -> str:
    """Return a sentence on trainings of fewer epochs than the paper's, "" if there are none."""
    epochs = sorted({int(one) for one in counted["epochs"]})
    if not epochs or epochs[0] >= 100:
        return ""
    most = f"{', '.join(map(str, epochs))} epoch{'s' * (epochs != [1])}"
    return f"Training was shortened: at most {most} (the paper: 100)."


def result(statements: Table | None) -> str:
    """Return the main statement of the paper, our verdict on it, and the size of the effect."""
    if statements is None or not statements.rows or not statements.rows[0]["n"]:
        return ""
    row = statements.rows[0]
    theirs = row.get("published")
    published = f"; the paper's own numbers give {theirs:+.3f}" if theirs is not None else ""
    seeds = f"{row['n']} seed{'s' * int(row['n'] != 1)}"
    counts = Counter(short(one["verdict"]) for one in statements.rows if one["n"])
    rest = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    text = (
        f"**{row['statement']}** Here: {short(row['verdict'])}, effect "
        f"{row['effect']:+.3f} ({row['interval']}, {seeds}{published}). "
        f"Of the paper's statements that these runs can test: {rest}."
    )
    return text.replace("+-", "±").replace(" -", " −")


def verdicts(table: Table) -> str:
    """Return for each metric which networks agree, differ or are undecided."""
    lines = []
    for metric in METRICS:
        found: dict[str, list[str]] = {"agrees": [], "differs": [], "undecided": []}
        for row in table.rows:
            if row["n"] > 0 and (kind := short(row[metric].short_verdict)) in found:
                found[kind].append(row["network"])
        parts = [
            f"{kind} for {len(names)}" + (f" ({', '.join(names)})" if kind != "agrees" else "")
            for kind, names in found.items()
            if names
        ]
        if parts:
            lines.append(f"- {label_of(metric)}: {'; '.join(parts)}.")
    return "\n".join(lines)


def alignment_says(table: Table | None) -> str:
    """Return the distance of both definitions of an alignment from the published numbers."""
    if table is None:
        return ""
    parts = []
    for metric in MATCHES:
        keys = [f"{metric} {name}" for name in ("released", "paper", "published")]
        rows = [(row["network"], *(_mean(row[key]) for key in keys)) for row in table.rows]
        known = [row for row in rows if not any(math.isnan(value) for value in row[1:])]
        if not known:
            continue
        far = [float(np.mean([abs(row[side] - row[3]) for row in known])) for side in (1, 2)]
        network, released, paper, published = max(known, key=lambda row: abs(row[2] - row[1]))
        parts.append(
            f"Over {quantity(len(known), 'network')} the {label_of(metric)} is {far[0]:.3f} "
            "from the "
            f"printed one under `released` and {far[1]:.3f} under `paper` (mean of the "
            f"absolute differences); they are furthest apart for {network}: "
            f"{released:.3f} and {paper:.3f}, printed {published:.3f}."
        )
    return " ".join(parts)


def _mean(value: Measure | float) -> float:
    return value.mean if isinstance(value, Measure) else value


def protocol_fields() -> str:
    """Return the fields in which the protocols differ, with both values."""
    paper, released = PROTOCOLS["paper"], PROTOCOLS["released"]
    return ", ".join(
        f"`{name}` {_plain(paper[name])} (code: {_plain(released[name])})" for name in paper
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def protocol_says(table: Table | None) -> str:
    """Return the distance of both protocols from the published numbers, and their best epochs."""
    if table is None:
        return ""
    sides = {
        name: [row for row in table.rows if row["protocol"] == name]
        for name in ("released", "paper")
    }
    parts = []
    for metric in METRICS:
        shown = metric if metric == "test_auroc" else f"{metric} released"
        far = {
            name: measure(
                [abs(row[shown].mean - row[f"{metric} published"].mean) for row in rows]
            ).mean
            for name, rows in sides.items()
        }
        parts.append(f"{label_of(metric)} {far['released']:.3f} and {far['paper']:.3f}")
    epochs = {name: np.mean([row["epochs"] for row in rows]) for name, rows in sides.items()}
    networks = ", ".join(dict.fromkeys(row["network"] for row in table.rows))
    return (
        "Mean absolute difference to the printed numbers, trained by `released` and by `paper` and "
        f"both aligned as the code does, over {networks}: {'; '.join(parts)}. The "
        f"best epoch is {epochs['released']:.0f} on average under `released` and "
        f"{epochs['paper']:.0f} under `paper`, of 100 at most."
    )
