"""Recorded runs as tables and objects, read from the tracking server.

Examples:
    >>> from mlproject import results
    >>> done = results.runs(experiment="table1", arch=["CNN-2", "CNN-25"], where="test_auroc > 0.9")
    >>> done.groupby("arch")["conv1/match_relevant"].mean()
    >>> reading = results.filters(done.run_id.iloc[0], "conv1")
"""

from mlproject.store.results.attributed import examples, pattern_matches, patterns
from mlproject.store.results.described import address, first_layer, relevant, spec_of
from mlproject.store.results.frame import COUNTED, Found, counted, find, runs
from mlproject.store.results.loading import (
    attributions,
    dataset,
    filters,
    history,
    importance,
    kernels,
    model,
    per_class,
    site_truth,
    targets,
)

__all__ = [
    "COUNTED",
    "Found",
    "address",
    "attributions",
    "counted",
    "dataset",
    "examples",
    "filters",
    "find",
    "first_layer",
    "history",
    "importance",
    "kernels",
    "model",
    "pattern_matches",
    "patterns",
    "per_class",
    "relevant",
    "runs",
    "site_truth",
    "spec_of",
    "targets",
]
