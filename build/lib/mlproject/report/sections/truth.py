"""Tables that compare filters and attributions with the planted sites."""

import math
import re
from typing import Any

import pandas

from mlproject.architectures import printed_name
from mlproject.fields import ATTRIBUTIONS
from mlproject.report.measure import Measure, measure_of
from mlproject.report.published import SYNTHETIC
from mlproject.report.registry import table
from mlproject.report.table import Column, Table
from mlproject.report.trials import Trials, of_dataset, trials_by_network

MOTIFS = "the motifs themselves"
SITES = (
    ("match_relevant", "match relevant motif", "filters"),
    ("site_ap", "AP", "planted sites, mean of filters"),
    ("site_auroc", "AUROC", "planted sites, mean of filters"),
    ("site_precision", "precision", "planted sites, mean of filters"),
    ("site_recall", "recall", "planted sites, mean of filters"),
    ("site_in_place", "in place", "planted sites, mean of filters"),
    ("tf_site_ap", "AP", "best filter of each factor"),
    ("tf_site_recall", "recall", "best filter of each factor"),
    ("ablation_max", "largest", "AUROC lost without a filter"),
    ("ablation_relevant", "share of relevant filters", "AUROC lost without a filter"),
)
CEILINGS = {"site_ap": "baseline/site_ap", "site_auroc": "baseline/site_auroc"}
CEILINGS |= {"tf_site_ap": "baseline/site_ap"}
LAYER = r"(conv\d+)/site_ap"
KINDS = {"auroc": "AUROC", "aupr": "AUPR", "snr": "signal / noise"}
FACTOR = "conv1/tf_site_ap/"
PATTERNS = (
    ("conv1/coverage", "conv1", "factors found by"),
    ("conv2/coverage", "conv2", "factors found by"),
    ("modisco/coverage", "TF-MoDISco", "factors found by"),
    ("modisco/patterns", "patterns", "TF-MoDISco"),
    ("modisco/match_relevant", "match a factor", "TF-MoDISco"),
)


def baseline_of(counted: pandas.DataFrame, kind: str, metric: str) -> float:
    """Return the score of the known motifs alone on a kind of data set, NaN if unknown."""
    frame, _ = of_dataset(counted, kind)
    values = frame[metric].dropna() if metric in frame else pandas.Series(dtype=float)
    return float(values.iloc[-1]) if len(values) else math.nan


@table(70, "truth", first=True)
def sites_table(counted: pandas.DataFrame) -> Table | None:
    """Return how well filters detect planted sites, a row for each network and layer read."""
    layers = sorted({str(m[1]) for name in counted if (m := re.fullmatch(LAYER, str(name)))})
    rows = []
    for layer in layers:
        for found in _trials(counted, f"{layer}/site_ap"):
            row: dict[str, Any] = {"network": printed_name(found.arch), "layer": layer}
            row["n"] = len(found.runs)
            row |= {name: measure_of(found.runs, f"{layer}/{name}") for name, _, _ in SITES}
            rows.append(row)
    if not rows:
        return None
    ceiling = {metric: baseline_of(counted, SYNTHETIC, name) for metric, name in CEILINGS.items()}
    if not all(math.isnan(value) for value in ceiling.values()):
        motifs = {metric: Measure(value) for metric, value in ceiling.items()}
        rows.append({"network": MOTIFS, "layer": "", "n": math.nan, **motifs})
    columns = [Column("network", "network"), Column("layer", "layer")]
    columns.append(Column("n", "n", digits=0))
    columns += [Column(metric, label, group, 3) for metric, label, group in SITES]
    notes = (
        "AP: average precision with which a filter's largest activation separates the sites of its "
        "motif (the one, on the strand, that it detects best) from those of all others and from "
        "windows without any; by chance about 0.01 (AUROC: 0.5). Precision and recall: of the "
        "positions above the threshold of the alignment. In place: share of those on a site that "
        "lie within 1 nt of the filter's most common place. Mean ± standard deviation over trials.",
        f"{MOTIFS}: each factor's motif as a filter, log-odds: the ceiling that chance motifs "
        "leave.",
        "AUROC lost: test AUROC less that with the filter fixed at its mean activation; the share "
        "of all losses that falls to filters that match a relevant motif.",
    )
    return Table(
        "truth_filters",
        "Filters against the planted sites, synthetic sequences",
        rows,
        tuple(columns),
        notes,
    )


@table(71, "truth")
def factor_sites_table(counted: pandas.DataFrame) -> Table | None:
    """Return factor x network: how well the best filter of each factor detects its sites."""
    networks = _trials(counted, "conv1/tf_site_ap")
    frame, _ = of_dataset(counted, SYNTHETIC)
    names = [name for name in frame.columns if str(name).startswith(FACTOR)]
    names = [name for name in names if any(one.runs[name].notna().any() for one in networks)]
    if not names:
        return None
    rows = []
    for name in names:
        factor = name.removeprefix(FACTOR)
        row: dict[str, Any] = {"factor": factor}
        row |= {one.arch: measure_of(one.runs, name).mean for one in networks}
        row["motif"] = baseline_of(counted, SYNTHETIC, f"baseline/site_ap/{factor}")
        rows.append(row)
    columns = [Column(one.arch, printed_name(one.arch), digits=2) for one in networks]
    return Table(
        "truth_factors",
        "Average precision of each factor's best first-layer filter on its planted sites",
        rows,
        (Column("factor", "factor"), *columns, Column("motif", MOTIFS, digits=2)),
        ("Mean over trials; a factor's sites on the strand that the filter reads.",),
    )


def methods_of(counted: pandas.DataFrame) -> list[str]:
    """Return the attribution methods that runs were scored with: ``saliency/auroc``, ..."""
    found = {
        match[1]
        for name in counted.columns
        if (match := re.fullmatch(r"([a-z][a-z0-9_]*)/(?:auroc|aupr|snr)", str(name)))
        and counted[name].notna().any()
    }
    return sorted(found)


@table(72, "truth")
def methods_tables(counted: pandas.DataFrame) -> list[Table]:
    """Return networks x attribution methods, a table for each score against the planted sites.

    The metrics are ``<method>/auroc``, ``<method>/aupr`` and ``<method>/snr``.
    """
    methods = methods_of(counted)
    tables = []
    for kind, label in KINDS.items():
        names = {method: f"{method}/{kind}" for method in methods}
        names = {method: name for method, name in names.items() if name in counted}
        rows = []
        for found in _trials(counted, *names.values()):
            row: dict[str, Any] = {"network": printed_name(found.arch), "n": len(found.runs)}
            row |= {method: measure_of(found.runs, name) for method, name in names.items()}
            rows.append(row)
        if not rows:
            continue
        columns = [Column(method, ATTRIBUTIONS.get(method, method), digits=3) for method in names]
        tables.append(
            Table(
                f"truth_attributions_{kind}",
                f"Attributions against the planted sites: {label}, synthetic sequences",
                rows,
                (Column("network", "network"), Column("n", "n", digits=0), *columns),
                ("Importance of single nucleotides against planted ones; mean ± standard "
                 "deviation over trials.",),
            )
        )  # fmt: skip
    return tables


@table(73, "truth")
def patterns_table(counted: pandas.DataFrame) -> Table | None:
    """Return the share of the factors that TF-MoDISco and the filters find; None without any."""
    rows = []
    columns = [one for one in PATTERNS if one[0] in counted and counted[one[0]].notna().any()]
    for found in _trials(counted, "modisco/coverage"):
        row: dict[str, Any] = {"network": printed_name(found.arch), "n": len(found.runs)}
        row |= {metric: measure_of(found.runs, metric) for metric, _, _ in columns}
        rows.append(row)
    if not rows:
        return None
    shown = [
        Column(metric, label, group, 1 if metric == "modisco/patterns" else 3)
        for metric, label, group in columns
    ]
    return Table(
        "truth_patterns",
        "Factors that TF-MoDISco and filters find, synthetic sequences",
        rows,
        (Column("network", "network"), Column("n", "n", digits=0), *shown),
        ("Shares of the factors of which a pattern, or a filter, matches a relevant motif.",),
    )


def _trials(counted: pandas.DataFrame, *metrics: str) -> list[Trials]:
    """Return the trials on synthetic sequences that have any of some metrics, by network."""
    return trials_by_network(of_dataset(counted, SYNTHETIC)[0], *metrics)
