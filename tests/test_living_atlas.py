"""The living atlas: small, quick to open; its sliders and tips show what was recorded."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import open_page
from recorded import inside, reading, record, start

from mlproject.data.paper import CLASSES, RELEVANT
from mlproject.filters.reading import LayerReading, match_scores
from mlproject.motifs.meme import write_meme
from mlproject.motifs.tomtom import format_tsv
from mlproject.network.kernel_history import Kernels, append_kernel, read_kernels, write_kernels
from mlproject.report.axes import axes_of
from mlproject.report.content import load_content
from mlproject.report.living import MOST_BYTES, living_page, title_of, write_living_atlas
from mlproject.system.errors import UserError


def record_run(options: dict[str, object], layer: LayerReading, epochs: int = 0) -> str:
    """Record a run with filters, their truth and importance, and its kernels after each epoch."""
    tracker = start(options)
    stem = "filters/conv1"
    count = len(layer.motifs)
    tracker.artifact(f"{stem}.meme", lambda path: write_meme(path, layer.motifs))
    tracker.artifact(f"{stem}_clipped.meme", lambda path: write_meme(path, layer.clipped, 4))
    tracker.artifact(f"{stem}_matches.tsv", lambda path: path.write_text(format_tsv(layer.matches)))
    truth = ["filter,motif,strand,average_precision,precision,recall,offset"]
    truth += [f"{number},{CLASSES[number % 12]},+,0.5,0.25,0.75,2" for number in range(count)]
    tracker.artifact(f"{stem}_truth.csv", lambda path: path.write_text("\n".join(truth) + "\n"))
    lost = ["filter,auroc_loss,drives"]
    lost += [f"{number},0.0{number:02},MAX" for number in range(count)]
    tracker.artifact(f"{stem}_importance.csv", lambda path: path.write_text("\n".join(lost) + "\n"))
    if epochs:
        rng = np.random.default_rng(0)
        kernels = rng.normal(size=(epochs, 19, 4, count)).astype(np.float16)
        found = Kernels(np.arange(1, epochs + 1), kernels)
        tracker.artifact("filters/first_kernels.npz", lambda path: write_kernels(path, found))
    values = {f"conv1/{key}": value for key, value in match_scores(layer, RELEVANT).items()}
    tracker.metrics(values | {"test_auroc": 0.9, **{f"test_auroc/{name}": 0.9 for name in CLASSES}})
    tracker.finish("FINISHED")
    return tracker.run_id


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Path:
    with inside(tmp_path_factory.mktemp("atlas"), migrated_store) as folder:
        record_run({"arch": "CNN-2", "seed": 0}, reading(1))
        record_run({"arch": "CNN-2", "seed": 1}, reading(2), epochs=3)
        record_run({"arch": "CNN-25", "seed": 0}, reading(12), epochs=3)
        record({"arch": "CNN-10"}, status="FAILED")
        content = load_content()
        write_living_atlas(content, folder / "atlas.html", title_of(content.counted))
        return folder


def data_of(page: str) -> Any:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_page_has_every_filter_of_every_run_and_needs_no_network(store: Path) -> None:
    page = (store / "atlas.html").read_text("ascii")
    assert not re.search(r"""(src|href)=["']?(https?:|//)""", page)
    data = data_of(page)
    assert [axis["name"] for axis in data["axes"]] == ["pool1", "seed"]
    assert data["axes"][0]["values"] == ["2", "25"]
    assert [len(run["filters"]) for run in data["runs"]] == [14, 14, 14]
    assert {factor["name"] for factor in data["factors"]} == set(CLASSES)
    one = data["runs"][-1]["filters"][3]
    assert (one["motif"], one["recall"], one["auroc_loss"]) == (CLASSES[3], 0.75, 0.003)
    assert "epochs" not in data["runs"][0]


def test_a_page_stays_below_5_mb_with_fewer_epochs_and_at_last_fewer_runs(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    content = load_content()
    whole = data_of(living_page(content, "x"))
    assert [len(run.get("epochs", ())) for run in whole["runs"]].count(3) == 2
    size = len(json.dumps([{**run, "kernels": ""} for run in whole["runs"]]))
    monkeypatch.setattr("mlproject.report.living.ROOM", size + 6000)
    fewer = data_of(living_page(content, "x"))
    assert [len(run.get("epochs", ())) for run in fewer["runs"]].count(2) == 2
    monkeypatch.setattr("mlproject.report.living.ROOM", size // 2)
    page = living_page(content, "x")
    assert "2 runs do not fit" in page
    assert len(data_of(page)["runs"]) == 1
    assert MOST_BYTES <= 5_000_000


def test_without_filters_nothing_is_written(workplace: Path) -> None:
    record({"arch": "CNN-2"}, relevant=None)
    with pytest.raises(UserError, match="an atlas needs finished runs with filters"):
        write_living_atlas(load_content(), workplace / "a.html", "x")
    assert not (workplace / "a.html").exists()


def test_axes_are_the_parameters_that_tell_the_settings_apart(workplace: Path) -> None:
    for options in ({"arch": "CNN-2"}, {"arch": "CNN-25"}, {"arch": "CNN-25", "units": 64}):
        for seed in (0, 1):
            record({**options, "seed": seed})
    assert axes_of(load_content().counted) == ["pool1", "units"]


def test_kernels_survive_a_cut_and_the_last_record_of_an_epoch_counts(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((20, 4)), keras.layers.Conv1D(3, 5)])
    path = tmp_path / "kernels.bin"
    assert read_kernels(path) is None
    for epoch, value in ((1, 0.5), (2, 1.0), (2, 2.0)):
        model.layers[0].kernel.assign(np.full((5, 4, 3), value))
        append_kernel(path, model, epoch)
    path.write_bytes(path.read_bytes() + b"\x03\x00\x00\x00")
    found = read_kernels(path)
    assert found is not None
    assert found.epochs.tolist() == [1, 2]
    assert found.values[:, 0, 0, 0].tolist() == [0.5, 2.0]


@pytest.mark.browser
def test_sliders_choose_runs_and_epochs_and_a_tip_shows_the_numbers(store: Path) -> None:
    with open_page(store / "atlas.html") as page:
        opened = page.execute_script(
            "const t = performance.getEntriesByType('navigation')[0];"
            "return [document.body.dataset.ready, t.domInteractive]"
        )
        assert opened[0] == "yes"
        assert page.get_log("browser") == []
        tiles = "return document.querySelectorAll('.tile').length"
        assert page.execute_script(tiles) == 14
        move = (
            "const i = document.querySelector(`input[name=${arguments[0]}]`);"
            "i.value = arguments[1]; i.dispatchEvent(new Event('input'));"
            "return document.getElementById('run').textContent"
        )
        assert "CNN-25 · seed 0" in page.execute_script(move, "pool1", 1)
        own = "return document.querySelectorAll('[data-factor=MAX] .tile').length"
        assert page.execute_script(own) >= 1
        assert "CNN-2 · seed" in page.execute_script(move, "pool1", 0)
        assert "CNN-2 · seed 1" in page.execute_script(move, "seed", 1)
        pixels = (
            "const c = document.querySelector('.tile canvas'); const d = c.getContext('2d')"
            ".getImageData(0, 0, c.width, c.height).data; let n = 0;"
            "for (let k = 0; k < d.length; k += 4)"
            "  if (d[k + 3] && d[k] + d[k+1] + d[k+2] < 500) n++;"
            "return n"
        )
        end = page.execute_script(pixels)
        page.execute_script(move, "epoch", 0)
        shown = "return document.querySelector('input[name=epoch]').nextSibling.textContent"
        assert page.execute_script(shown) == "1"
        assert page.execute_script(pixels) not in (0, end)
        tip = (
            "const t = document.querySelector('.tile[data-filter=\"3\"]');"
            "t.dispatchEvent(new MouseEvent('mouseenter'));"
            "return document.getElementById('tip').textContent"
        )
        text = page.execute_script(tip)
        for part in ("filter 3", "E-value", "recall", "75.0 %", "AUROC lost without it", "0.0030"):
            assert part in text
