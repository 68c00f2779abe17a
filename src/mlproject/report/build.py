"""The report of a tracking server: which tables and figures it has."""

from collections.abc import Callable

import pandas

from mlproject import results
from mlproject.architectures import ARCHITECTURES
from mlproject.report.content import Report, Wish
from mlproject.report.cost import cost_table
from mlproject.report.joint_tables import joint_table, readings_table
from mlproject.report.more_tables import (
    alignment_table,
    factor_tables,
    protocol_table,
    runs_table,
    user_table,
)
from mlproject.report.paper_tables import deeper_table, main_table
from mlproject.report.pictures import Readings, draw
from mlproject.report.pooling import dataset_kinds
from mlproject.report.published import DATASETS
from mlproject.report.statements import statements_table
from mlproject.report.table import Table
from mlproject.report.truth_tables import (
    factor_sites_table,
    methods_tables,
    patterns_table,
    sites_table,
)
from mlproject.store import Store
from mlproject.store.results.conditions import parse
from mlproject.system.errors import UserError, nearest
from mlproject.system.masking import without_credentials

UI = "http://127.0.0.1:5000"


def build(wish: Wish, store: Store, tell: Callable[[str], None] = lambda text: None) -> Report:
    """Read the tracking server and make all tables and figures.

    Args:
        wish: what to report.
        store: the tracking store.
        tell: is told what is going on.

    Raises:
        UserError: see `mlproject.results.runs`, `mlproject.report.more_tables.user_table`; unknown
            networks.
    """
    tell("reading runs")
    for name in wish.networks:
        if name not in ARCHITECTURES:
            raise UserError(f"unknown network {name!r}: {nearest(name, ARCHITECTURES)}")
    found = results.find(list(wish.experiment) or None, parse(wish.where), store)
    runs = found.runs
    counted = results.counted(runs)
    names = runs["experiment"].unique()
    about = ", ".join(wish.experiment) or ("all experiments" if len(names) != 1 else names[0])
    report = Report(f"Motif representations by network: {about}", _summary(runs, wish.where))
    report.unreadable += found.unreadable
    report.experiment = str(names[0]) if len(names) == 1 else None
    if wish.rows:
        report.tables.append(user_table(counted, wish.rows, wish.columns, wish.where))
    kinds = [kind for kind in DATASETS if (dataset_kinds(counted) == kind).any()]
    report.tables += [main_table(counted, kind) for kind in DATASETS]
    report.tables.append(deeper_table(counted))
    report.summary += _verdicts(report.tables)
    report.tables += [one for one in (joint_table(counted), readings_table(counted)) if one]
    report.tables.append(statements_table(counted))
    for kind in kinds:
        report.tables += factor_tables(counted, kind)
    optional = [
        sites_table(counted),
        factor_sites_table(counted),
        *methods_tables(counted),
        patterns_table(counted),
        *(alignment_table(counted, kind) for kind in kinds),
        protocol_table(counted),
        cost_table(counted),
    ]
    report.tables += [table for table in optional if table]
    ui = wish.ui or (without_credentials(store.uri) if store.uri.startswith("http") else UI)
    report.tables.append(runs_table(runs, ui))
    if wish.figures:
        draw(report, counted, wish.networks, Readings(store), tell)
    return report


def _summary(runs: pandas.DataFrame, where: str) -> list[str]:
    fit = f" that fit `{where}`" if where else ""
    if runs.empty:
        return [f"The tracking store has no runs{fit} yet: `python -m mlproject train` makes one."]
    states = runs["state"].value_counts()
    counted = int(states.pop(results.COUNTED)) if results.COUNTED in states else 0
    text = f"{len(runs)} run{'s' * (len(runs) != 1)}{fit}, of which {counted} count"
    rest = ", ".join(f"{count} {state}" for state, count in states.items())
    lines = [text + (f" (left out: {rest})." if rest else ".")]
    if "time/total" in runs:
        hours = runs["time/total"].sum() / 3600
        lines.append(f"They took {hours:.1f} hours in all.")
    imported = int(runs["imported"].astype(bool).sum())
    if imported:
        lines.append(f"{imported} of them were imported.")
    done = results.counted(runs)
    epochs = sorted(set(done["epochs"])) if len(done) else []
    if epochs and epochs[0] < 100:
        few = ", ".join(str(one) for one in epochs)
        lines.append(
            f"Training was shortened: at most {few} epochs"
            + (" (the paper: 100)." if epochs else "")
        )
    return lines


def _verdicts(tables: list[Table]) -> list[str]:
    """Say how many printed numbers have runs to compare with, and how they compare."""
    values: list[str] = []
    for table in tables:
        for name in table.frame:
            if str(name).endswith(" verdict"):
                values += [str(value).partition(" (")[0] for value in table.frame[name] if value]
    known = [value for value in values if value != "no runs"]
    if not known:
        return []
    counts = ", ".join(
        f"{known.count(kind)} {text}"
        for kind, text in (("agrees", "agree"), ("differs", "differ"), ("cannot tell", "undecided"))
    )
    return [f"Of {len(values)} printed numbers, {len(known)} have runs of ours: {counts}."]
