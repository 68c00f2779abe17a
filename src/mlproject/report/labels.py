"""Names of metrics in tables and figures."""

LABELS = {
    "test_auroc": "AUROC",
    "test_aupr": "AUPR",
    "test_accuracy": "accuracy",
    "test_pearson": "Pearson",
    "test_r2": "R²",
    "test_deviance": "deviance",
    "match_jaspar": "JASPAR match",
    "match_relevant": "relevant match",
    "auroc": "AUROC",
}


def label_of(metric: str) -> str:
    """Return the name of a metric in tables and figures."""
    name = metric.rpartition("/")[2]
    return LABELS.get(name, name.replace("_", " "))
