"""What the page of a reproduction says in sentences: every number in them is of the runs."""

import pandas

from mlproject.architectures import PROTOCOLS
from mlproject.report.paper_tables import label_of
from mlproject.report.table import Table

METRICS = ("test_auroc", "conv1/match_jaspar", "conv1/match_relevant")
MATCHES = METRICS[1:]


def short(verdict: str) -> str:
    """Return a verdict without its n; what cannot be told is undecided."""
    return verdict.partition(" (")[0].replace("cannot tell", "undecided")


def who(counted: pandas.DataFrame) -> str:
    """Say which runs these are, and where they were made."""
    kinds = []
    for protocol, runs in counted.groupby("protocol", sort=False):
        seeds = runs.groupby("arch")["seed"].nunique()
        low, high = int(seeds.min()), int(seeds.max())
        trials = f"{low}" if low == high else f"{low} to {high}"
        kinds.append(
            f"{len(runs)} runs by the protocol `{protocol}` ({len(seeds)} networks, "
            f"{trials} trial{'s' * (high > 1)} of each)"
        )
    machines = [
        f"{len(runs)} on {device} with {backend}"
        for (device, backend), runs in counted.fillna(
            {"device": "an unknown device", "backend": "an unknown backend"}
        ).groupby(["device", "backend"])
    ]
    hours = counted["time/total"].sum() / 3600 if "time/total" in counted else 0.0
    epochs = sorted({int(one) for one in counted["epochs"]})
    shortened = (
        f" Training was shortened: at most {', '.join(map(str, epochs))} epochs (the paper: 100)."
        if epochs[0] < 100
        else ""
    )
    return (
        f"{' and '.join(kinds)}, trained by this project: {', '.join(machines)}; "
        f"{hours:.1f} hours.{shortened}"
    )


def result(statements: Table | None) -> str:
    """Return the paper's message and what our runs say to it, with the size of the effect."""
    if statements is None or statements.frame.empty:
        return ""
    row = statements.frame.iloc[0]
    if not row["n"]:
        return ""
    published = f"; the paper's own numbers give {row['published']:+.3f}"
    seeds = f"{row['n']} seed{'s' * int(row['n'] != 1)}"
    counts = statements.frame["verdict"][statements.frame["n"] > 0].map(short)
    rest = ", ".join(f"{count} {name}" for name, count in counts.value_counts().items())
    text = (
        f"**{row['statement']}** Here: {short(row['verdict'])}, effect "
        f"{row['effect']:+.3f} ({row['interval']}, {seeds}{published}). "
        f"Of the paper's statements that these runs can test: {rest}."
    )
    return text.replace("+-", "±").replace(" -", " −")


def verdicts(table: Table) -> str:
    """Say which cells agree, which differ, and of which it cannot be told."""
    lines = []
    for metric in METRICS:
        frame = table.frame[table.frame["n"] > 0]
        kinds = frame[f"{metric} verdict"].map(short)
        parts = []
        for kind in ("agrees", "differs", "undecided"):
            if names := list(frame["network"][kinds == kind]):
                few = f" ({', '.join(names)})" if kind != "agrees" else ""
                parts.append(f"{kind} for {len(names)}{few}")
        if parts:
            lines.append(f"- {label_of(metric)}: {'; '.join(parts)}.")
    return "\n".join(lines)


def alignment_says(table: Table | None) -> str:
    """Say how far both definitions are from what is printed."""
    if table is None:
        return ""
    parts = []
    for metric in MATCHES:
        frame = table.frame.dropna(subset=[f"{metric} {n}" for n in ("released", "paper")])
        frame = frame.dropna(subset=[f"{metric} published"])
        if frame.empty:
            continue
        far = {
            name: float((frame[f"{metric} {name}"] - frame[f"{metric} published"]).abs().mean())
            for name in ("released", "paper")
        }
        gap = frame[f"{metric} paper"] - frame[f"{metric} released"]
        widest = frame.loc[gap.abs().idxmax()]
        parts.append(
            f"Over {len(frame)} networks the {label_of(metric)} is {far['released']:.3f} from the "
            f"printed one under `released` and {far['paper']:.3f} under `paper` (mean of the "
            f"absolute differences); they are furthest apart for {widest['network']}: "
            f"{widest[f'{metric} released']:.3f} and {widest[f'{metric} paper']:.3f}, printed "
            f"{widest[f'{metric} published']:.3f}."
        )
    return " ".join(parts)


def protocol_fields() -> str:
    """Say in which fields the protocols differ."""
    paper, released = PROTOCOLS["paper"], PROTOCOLS["released"]
    return ", ".join(
        f"`{name}` {_plain(paper[name])} (code: {_plain(released[name])})" for name in paper
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def protocol_says(table: Table | None) -> str:
    """Say how far both protocols are from what is printed, and how long they go on improving."""
    if table is None:
        return ""
    frame = table.frame
    parts = []
    for metric in METRICS:
        shown = metric if metric == "test_auroc" else f"{metric} released"
        far = {
            name: float((rows[shown] - rows[f"{metric} published"]).abs().mean())
            for name, rows in frame.groupby("protocol")
        }
        parts.append(f"{label_of(metric)} {far['released']:.3f} and {far['paper']:.3f}")
    epochs = frame.groupby("protocol")["epochs"].mean()
    networks = ", ".join(dict.fromkeys(frame["network"]))
    return (
        "Mean absolute difference to the printed numbers, trained by `released` and by `paper` and "
        f"both aligned as the code does, over {networks}: {'; '.join(parts)}. The "
        f"best epoch is {epochs['released']:.0f} on average under `released` and "
        f"{epochs['paper']:.0f} under `paper`, of 100 at most."
    )
