"""Names of metrics in tables and figures."""

LABELS = {
    "test_auroc": "AUROC",
    "test_aupr": "AUPR",
    "match_jaspar": "JASPAR match",
    "match_relevant": "relevant match",
    "auroc": "AUROC",
}


def label_of(metric: str) -> str:
    """Return the name of a metric in tables and figures."""
    return LABELS[metric.rpartition("/")[2]]
