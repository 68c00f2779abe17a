"""Pages that a finished sweep leaves beside its table: the living atlas, and a comparison."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlproject.names import Artifact
from mlproject.store import STORE_ERRORS, Store
from mlproject.sweeps.cell_source import NamedWriter
from mlproject.sweeps.ledger import Ledger
from mlproject.system.errors import UserError
from mlproject.system.startup import prepare_keras

if TYPE_CHECKING:
    import pandas

    from mlproject.draw.sequence_scores import SequenceScores

MOST_RUNS = 150  # of an atlas; reading the filters of more takes minutes


def sweep_pages(
    ledger: Ledger, store: Store, experiment_id: str, home: Path
) -> Iterator[NamedWriter]:
    """Yield the pages about the finished cells of a sweep, as artifacts of its run.

    A page that cannot be made is left out: it can be made at any time by the commands ``atlas`` and
    ``compare``.
    """
    from mlproject.report.compare import MOST_RUNS as MOST_COMPARED
    from mlproject.report.compare import write_comparison
    from mlproject.report.content import load_content
    from mlproject.report.living import title_of, write_living_atlas

    own = [row.outcome.run_id for row in ledger.best() if row.outcome.run_id]
    try:
        content = load_content([store.client.get_experiment(experiment_id).name], store=store)
    except (UserError, *STORE_ERRORS):
        return
    frame = content.counted.set_index("run_id", drop=False)
    frame = frame.loc[[run_id for run_id in own if run_id in frame.index]]
    settings = frame.sort_values("seed", kind="stable").drop_duplicates("replicates")
    chosen = frame[frame["run_id"].isin(settings["run_id"])].head(MOST_COMPARED)
    content.counted = frame.head(MOST_RUNS).reset_index(drop=True)
    with tempfile.TemporaryDirectory() as folder:
        atlas, comparison = Path(folder) / Artifact.ATLAS, Path(folder) / Artifact.COMPARISON
        try:
            write_living_atlas(content, atlas, title_of(content.counted))
            if len(chosen) > 1:
                runs = chosen.reset_index(drop=True)
                write_comparison(content, runs, comparison, _scores(runs, home))
        except (UserError, *STORE_ERRORS):
            pass
        for path in (atlas, comparison):
            if path.exists():
                page = path.read_bytes()
                yield path.name, lambda target, page=page: target.write_bytes(page)  # type: ignore[misc]


def _scores(runs: "pandas.DataFrame", home: Path) -> "SequenceScores | None":
    """Return attributions of one sequence that the runs have recorded, None without any."""
    if all(spec.get("attributions", "none") == "none" for spec in runs["spec"]):
        return None
    prepare_keras()
    from mlproject.run.recorded_scores import recorded_scores

    try:
        return recorded_scores(runs, home)
    except UserError:  # the data set is gone: the page has all else
        return None
