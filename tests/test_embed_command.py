"""``embed`` on trained networks: the planted motifs come first, and the run gets the results."""

from pathlib import Path

import pandas
import pytest
from conftest import TINY

from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.motifs.databases import jaspar
from mlproject.motifs.meme import write_meme
from mlproject.run.context import Settings
from mlproject.run.run import run
from mlproject.store import connect

TABLES = {"effects", "strands", "positions", "copies", "pairs", "spacing"}


def test_embed_adds_tables_figures_and_metrics_to_the_run(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = run(make_spec(TINY | {"epochs": 1}), Settings(quiet=True)).run_id
    write_meme(workplace / "mine.meme", jaspar()[:1])
    capsys.readouterr()
    motifs = "SRF,MA0466,gatan,filter0,mine.meme"
    main(["embed", run_id[:8], "--motifs", motifs, "--count", "12", "--letters", "sampled"])
    lines = capsys.readouterr().out.splitlines()
    first = jaspar()[0].name
    assert [line.partition(":")[0] for line in lines[:5]] == [
        "SRF", "CEBPB", "GATAN", "filter0", first,
    ]  # fmt: skip
    assert lines[5].endswith("% of classes")
    store = connect()
    root = store.download(run_id, "embedding", workplace / "got")
    names = {path.name for path in root.iterdir()}
    kinds = ("csv", "png", "pdf")
    assert names == {f"{table}.{kind}" for table in TABLES for kind in kinds}
    effects = pandas.read_csv(root / "effects.csv")
    assert len(effects) == 5 * 12
    assert (effects["low"] <= effects["effect"]).all()
    assert (effects["effect"] <= effects["high"]).all()
    metrics = store.run(run_id).data.metrics
    own = effects[(effects["motif"] == "SRF") & (effects["class"] == "SRF")]["effect"].item()
    assert metrics["embed/effect/SRF"] == pytest.approx(own)
    assert {"embed/own_first", "embed/interaction", "time/embed"} <= set(metrics)
    for wrong, message in (
        ("nothing", "`--motifs` must name classes"),
        ("filter99", "has no active filter99"),
        ("A" * 200, "must fit into the sequences of 150 nt"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["embed", run_id, "--motifs", wrong])
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_planted_motifs_have_the_largest_effect_on_their_class(workplace: Path) -> None:
    run_id = run(make_spec({"epochs": 12}), Settings(quiet=True)).run_id
    main(["embed", run_id, "--count", "100", "--quiet"])
    metrics = connect().run(run_id).data.metrics
    assert metrics["test_auroc"] > 0.75
    assert metrics["embed/own_first"] >= 0.75  # of twelve factors, 1/12 by chance
