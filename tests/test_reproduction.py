"""The page of a reproduction: made of exported files alone, the same each time."""

import os
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest
from recorded import inside, reading, record, record_filters

from mlproject import results
from mlproject.report.reproduction import LARGEST, make_reproduction
from mlproject.store import connect
from mlproject.store.exchange.exporting import export
from mlproject.system.errors import UserError

AUROC = {"CNN-2": (0.967, 0.965), "CNN-4": (0.953, 0.958), "CNN-25": (0.972, 0.974)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Path]:
    """The folder of a reproduction of six runs with filters, and four of two protocols."""
    with inside(tmp_path_factory.mktemp("reproduction"), migrated_store) as folder:
        for arch, values in AUROC.items():
            for seed, auroc in enumerate(values):
                record_filters({"arch": arch, "seed": seed}, reading(8, seed=seed), auroc)
        for seed in (0, 1):
            more = {"best_epoch": 97.0, "conv1/match_jaspar_released": 0.2, "time/cpu": 7200.0}
            options = {"arch": "CNN-25", "protocol": "paper", "seed": seed}
            record(options, 0.95, 0.4, more=more)
            options = {"arch": "CNN-10", "seed": seed}
            more = {
                "best_epoch": 30.0,
                "conv1/match_jaspar_paper": 0.9,
                "baseline/test_auroc": 0.98,
            }
            record(options, 0.96, 0.9, more=more)
        export(connect(), Path("out"))
        (folder / "out" / "notes.md").write_text("CNN-4 differs because of the moon.\n")
        make_reproduction(Path("out"))
        yield folder / "out"


def text_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def test_numbers_of_the_page_are_those_of_the_runs(made: Path) -> None:
    text = text_of(made)
    for arch, values in AUROC.items():
        mean, sd = statistics.mean(values), statistics.stdev(values)
        assert f"| {arch} | 2 | {mean:.3f} ± {sd:.3f} | " in text
    assert re.search(r"\| CNN-25 \| 2 \| 0\.973 .* \| 0\.973 ± 0\.001 \| −?\+?0\.000 agrees", text)
    assert "| CNN-1 | 0 | — | 0.972 ± 0.001 | no runs |" in text
    assert "| PWM scan | — | 0.980 | — |  | — | — |  | — | — |  |" in text
    assert "8 runs by the protocol `released` (4 networks, 2 trials of each) and 2 runs by" in text
    assert "10 on an unknown device with tensorflow 2; " in text
    found = re.search(r"\| network \| Arid3a \|.*\|\n.*\n\| CNN-2 \| ([01]\.\d\d) \|", text)
    assert found is not None
    assert "AUROC: agrees for 2" in text
    assert "\n## What differs, and why\n\nCNN-4 differs because of the moon.\n" in text


def test_the_page_shows_both_alignments_both_protocols_and_the_hours(made: Path) -> None:
    text = text_of(made)
    assert "| CNN-25 | paper | 2 | 97 | 0.950 ± 0.000 | 0.973 ± 0.001 | 0.200 ± 0.000 |" in text
    assert "`learning_rate` 0.0003 (code: 0.001)" in text
    assert "under `released` and 97 under `paper`, of 100 at most" in text
    assert "| CNN-10 | 2 | 1.000 ± 0.000 | 0.900 ± 0.000 | 0.987 |" in text
    assert re.search(r"\| CNN-25 \| paper \|  ?.*\| 2 \| 97 \| 0\.6 \| .* \| 4\.00 \|", text)


def test_the_page_links_only_to_what_is_there_and_pictures_are_small(made: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", text_of(made))
    assert {"figures/message.png", "figures/fig2.png", "figures/atlas_synthetic.png"} <= set(links)
    assert all((made / link).exists() for link in links)
    for path in (made / "figures").iterdir():
        assert path.stat().st_size <= LARGEST
    assert not list(made.glob("*.html"))
    assert not re.search(r"\n#+ [^\n]*\n[^\n]", text_of(made)), "a heading needs an empty line"


def test_the_page_is_the_same_each_time_and_touches_no_store(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    make_reproduction(made)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:9"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{made.parent / 'mlflow.db'}")
    assert len(results.runs(store=connect())) == 10


def test_a_readme_of_ones_own_is_left_alone_and_an_empty_folder_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="take a folder that `export` wrote"):
        make_reproduction(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(UserError, match="needs runs that `export` wrote"):
        make_reproduction(tmp_path)
    (tmp_path / "notes.md").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(UserError, match=r"notes must be readable text: .*notes\.md"):
        make_reproduction(tmp_path)
    (tmp_path / "README.md").write_bytes("# naïve\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"rename it to notes\.md"):
        make_reproduction(tmp_path)
