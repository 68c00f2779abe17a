"""What runs recorded of their attributions as text."""

import pandas

from mlproject.motifs.pwm import Motif
from mlproject.motifs.tomtom import Match
from mlproject.names import Artifact
from mlproject.store import Store, connect
from mlproject.store.results.described import Run, id_of
from mlproject.store.results.recorded import (
    EXAMPLES,
    downloaded,
    read_matches,
    read_motifs,
    read_table,
    read_text,
)


def examples(run: Run, method: str, store: Store | None = None) -> pandas.DataFrame:
    """Return the contributions in a few sequences, a row for each sequence.

    Args:
        run: row of `mlproject.results.runs`, id of a run, or its first letters.
        method: name of the attribution method.
        store: where it is; None: the store that ``MLFLOW_TRACKING_URI`` names.

    Returns:
        Columns as `mlproject.attribution.examples.example_table` has them.

    Raises:
        UserError: the run has no such table.
    """
    store = store or connect()
    with downloaded(store, id_of(run, store), Artifact.examples(method)) as path:
        return read_table(path, EXAMPLES)


def patterns(run: Run, store: Store | None = None) -> tuple[Motif, ...]:
    """Return a run's TF-MoDISco patterns, most seqlets first; arguments as for `examples`."""
    store = store or connect()
    with downloaded(store, id_of(run, store), Artifact.PATTERNS) as path:
        return read_motifs(path)


def pattern_matches(run: Run, store: Store | None = None) -> tuple[Match, ...]:
    """Return the matches of a run's TF-MoDISco patterns; arguments as for `examples`."""
    store = store or connect()
    with downloaded(store, id_of(run, store), Artifact.PATTERN_MATCHES) as path:
        return read_matches(read_text(path))
