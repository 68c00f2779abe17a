"""The published numbers under the names of our metrics, and where they contradict each other."""

import io
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import pandas

PAPER = "koo_eddy_2019"
TRIALS = 5
SYNTHETIC, IN_VIVO = "synthetic", "in vivo"
DATASETS = (SYNTHETIC, IN_VIVO)
_METRICS = {
    "auroc": "test_auroc",
    "aupr": "test_aupr",
    "match_jaspar": "match_jaspar",
    "match_relevant": "match_relevant",
}
_SOURCES = (
    ("table1_synthetic.csv", SYNTHETIC),
    ("table2_invivo.csv", IN_VIVO),
    ("deeper_layers.csv", None),
)


class Inconsistency(NamedTuple):
    """Printed numbers that contradict each other.

    Attributes:
        dataset: kind of the data set.
        archs: names of the networks, () = all.
        metrics: names of our metrics, () = the note is about the complete table.
        text: one sentence.
    """

    dataset: str
    archs: tuple[str, ...]
    metrics: tuple[str, ...]
    text: str


_MATCHES = ("conv1/match_jaspar", "conv1/match_relevant")
INCONSISTENCIES = (
    Inconsistency(
        SYNTHETIC, ("CNN9-25",), _MATCHES[1:], "The table prints 0.980, the text says 93 %."
    ),
    Inconsistency(
        SYNTHETIC, ("CNN-50-2",), _MATCHES[1:], "The table prints 0.893, the text says 90 %."
    ),
    Inconsistency(
        SYNTHETIC,
        ("CNN9-4",),
        _MATCHES[1:],
        "The table prints 0.033, the text speaks of no matches.",
    ),
    Inconsistency(
        SYNTHETIC,
        ("CNN19-1-2",),
        _MATCHES,
        "The text's “87 % match to ground truth” is the JASPAR column; the relevant one is 0.747.",
    ),
    Inconsistency(
        SYNTHETIC,
        ("CNN3-50",),
        ("test_auroc",),
        "The text says 0.652 ± 0.060 (over classes), the table 0.648 ± 0.008 (over trials).",
    ),
    Inconsistency(
        SYNTHETIC,
        ("CNN3-2",),
        ("test_auroc",),
        "The text says 0.968 ± 0.039 (over classes), the table 0.968 ± 0.001 (over trials).",
    ),
    Inconsistency(
        IN_VIVO,
        ("CNN-25x60", "CNN-25x90", "CNN-25x120"),
        _MATCHES,
        "Digit for digit the match columns of Table 1: very likely copied from there.",
    ),
    *(
        Inconsistency(
            dataset,
            (),
            (),
            "The paper's caption calls its errors the standard deviation across the 12 classes; "
            "by their size, and by the text, they are over 5 trials, and are read so here. "
            "The text once calls them the “standard deviation of the mean”.",
        )
        for dataset in DATASETS
    ),
    *(
        Inconsistency(
            dataset,
            (),
            (),
            "The paper's list of its 12 transcription factors names MEF2A twice.",
        )
        for dataset in DATASETS
    ),
)


@lru_cache
def published() -> pandas.DataFrame:
    """Return the published numbers.

    Returns:
        Columns ``dataset`` (`SYNTHETIC` or `IN_VIVO`), ``arch`` (our name of the network),
        ``metric`` (ours: ``test_auroc``, ``conv2/match_relevant``, ...), ``mean``, ``sd`` over
        `TRIALS` trials. Source: the files in ``published/<PAPER>/``, see SOURCE.md there.
    """
    rows: dict[tuple[str, str, str], tuple[float, float]] = {}
    for name, dataset in _SOURCES:
        path = files("mlproject.report").joinpath("published", PAPER, name)
        for row in pandas.read_csv(io.StringIO(path.read_text(encoding="utf-8"))).to_dict(
            "records"
        ):
            where = dataset or {"synthetic": SYNTHETIC, "invivo": IN_VIVO}[row["dataset"]]
            for key, metric in _METRICS.items():
                if key in row:
                    layer = "" if key in ("auroc", "aupr") else f"conv{row.get('layer', 1)}/"
                    place = (where, _arch(row["model"]), f"{layer}{metric}")
                    rows.setdefault(place, (row[key], row[f"{key}_sd"]))
    records = [(*place, *values) for place, values in rows.items()]
    return pandas.DataFrame(records, columns=["dataset", "arch", "metric", "mean", "sd"])


def printed(dataset: str, arch: str, metric: str) -> tuple[float, float] | None:
    """Return the published mean and standard deviation, None if there are none."""
    table = published()
    found = table[
        (table["dataset"] == dataset) & (table["arch"] == arch) & (table["metric"] == metric)
    ]
    return None if found.empty else (float(found["mean"].iloc[0]), float(found["sd"].iloc[0]))


def archs_of(dataset: str) -> list[str]:
    """Return the networks that have a published AUROC, in the order of the paper."""
    table = published()
    return list(table["arch"][(table["dataset"] == dataset) & (table["metric"] == "test_auroc")])


def _arch(model: str) -> str:
    """Return our name of a network: ``CNN-25 (60)`` is ``CNN-25x60``."""
    return model.replace(" (", "x").rstrip(")")
