"""``embed`` on trained networks: the planted motifs come first, and the run gets the results."""

import re
from pathlib import Path

import pandas
import pytest
from conftest import TINY

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.fields import Group
from mlproject.motifs.databases import jaspar
from mlproject.motifs.meme import write_meme
from mlproject.run.context import Settings
from mlproject.run.run import run
from mlproject.spec import fields_of
from mlproject.store import connect
from mlproject.system.errors import UserError

NETWORK = Path(__file__).parents[1] / "sweeps" / "own_network.py"
TABLES = {"effects", "strands", "positions", "copies", "pairs", "spacing"}


def test_a_filter_without_a_layer_is_one_of_an_own_models_first_convolution(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"model": f"{NETWORK}:build", "model_args.filters": 6, "embedded": "filter0"}
    data = {"sequences": 600, "length": 150, "epochs": 1, "backgrounds": 10}
    run_id = run(make_spec(data | own), Settings(quiet=True)).run_id
    store = connect()
    found = pandas.read_csv(store.download(run_id, "embedding/effects.csv", workplace / "own"))
    assert set(found["motif"]) == {"filter0"}
    main(["embed", run_id, "--motifs", "filter0,narrow/filter0", "--count", "10"])
    assert capsys.readouterr().out.splitlines()[1].startswith("narrow/filter0:")


def test_embed_adds_tables_figures_and_metrics_to_the_run(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"epochs": 1, "embedded": "SRF, filter0", "backgrounds": 10}
    run_id = run(make_spec(TINY | more), Settings(quiet=True)).run_id
    store = connect()
    embedded = pandas.read_csv(store.download(run_id, "embedding/effects.csv", workplace / "own"))
    assert list(dict.fromkeys(embedded["motif"])) == ["SRF", "filter0"]
    own = embedded[(embedded["motif"] == "SRF") & (embedded["class"] == "SRF")]["effect"].item()
    assert store.run(run_id).data.metrics["embed/effect/SRF"] == pytest.approx(own)
    card = store.download(run_id, "card.html", workplace / "own").read_text()
    table = card[card.index('<table id="effects">') :].partition("</table>")[0]
    assert re.findall("<tr><th>(SRF|filter0)</th>", table) == ["SRF", "filter0"]
    assert table.count("own") == 1
    assert table.count("<td") == 2 * 12
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
        ("nothing", "a motif to embed must be a class, a factor, an id"),
        ("filter99", "has no filter99, or it is dead"),
        ("A" * 200, "must fit into the sequences of 150 nt"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["embed", run_id, "--motifs", wrong])
        assert message in capsys.readouterr().err


def test_a_motif_that_does_not_exist_is_refused_before_the_training(workplace: Path) -> None:
    with pytest.raises(UserError, match=r"a motif to embed must be a class.*got 'SRFF'"):
        run(make_spec(TINY | {"embedded": "auto,filter1,SRFF"}), Settings(quiet=True))
    assert not results.runs().size
    with pytest.raises(UserError, match=r"`embedded`.* takes no file: got 'mine.meme'"):
        make_spec({"embedded": "SRF,mine.meme"})


def test_embedded_motifs_are_part_of_the_interpretation_and_old_hashes_hold() -> None:
    plain, asked = make_spec({}), make_spec({"embedded": "auto"})
    assert asked.train_sha256("0") == plain.train_sha256("0")
    assert asked.spec_sha256("0") != plain.spec_sha256("0")
    assert {"embedded", "backgrounds"} <= set(fields_of(Group.INTERPRETATION))


@pytest.mark.slow
def test_planted_motifs_have_the_largest_effect_on_their_class(workplace: Path) -> None:
    run_id = run(make_spec({"epochs": 12}), Settings(quiet=True)).run_id
    main(["embed", run_id, "--count", "100", "--quiet"])
    metrics = connect().run(run_id).data.metrics
    assert metrics["test_auroc"] > 0.75
    assert metrics["embed/own_first"] >= 0.75  # of twelve factors, 1/12 by chance
