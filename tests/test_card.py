"""The card: one page that stands by itself, with every filter, every class and no foreign text."""

import cProfile
import json
import pstats
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE

from mlproject.architectures import make_spec
from mlproject.draw.svg import COLUMN, LOGO, logo, nice_ticks, pair
from mlproject.filters.ablation import Ablation
from mlproject.filters.align import Aligned
from mlproject.filters.reading import read_layer
from mlproject.filters.truth import FilterTruth
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.pwm import reverse_complement
from mlproject.network.evaluation import Curves, class_scores, curves
from mlproject.network.value_scores import densities, value_scores
from mlproject.run.card import CardData, render

IDS = {"CEBPB": "MA0466.2", "SRF": "MA0083.3", "NFYB": "MA0502.1"}
RELEVANT = {"CEBPB": ("MA0466",), "SRF": ("MA0083",), "NFYB": ("MA0502", "MA0060")}
WINDOW = 19


def filters(count: int) -> Aligned:
    """CEBPB, SRF's reverse complement, CTCF, a dead one, then JASPAR's others, blurred."""
    cebpb, srf, ctcf = (motif.pwm for motif in jaspar_by_id(["MA0466.2", "MA0083.3", "MA0139.1"]))
    known = [cebpb, reverse_complement(srf), ctcf[:WINDOW], None, *(m.pwm for m in jaspar()[50:])]
    pwms = np.full((count, WINDOW, 4), 0.25)
    for pwm, motif in zip(pwms, known, strict=False):
        if motif is not None:
            width = min(len(motif), WINDOW)
            pwm[:width] = motif[:width] * 0.9 + 0.025
    nsites = np.array([0 if number == 3 else 100 + number for number in range(count)])
    return Aligned(pwms, nsites, nsites[:, None] * np.ones(WINDOW), np.ones(count, np.float32))


def card_data(count: int = 6) -> CardData:
    rng = np.random.default_rng(0)
    labels = (rng.random((400, 3)) < 0.3).astype(np.uint8)
    predicted = labels + rng.normal(size=labels.shape)
    epochs = range(1, 6)
    return CardData(
        name="CNN-25 · seed 0",
        description="Trained on synthetic data.\nTwo motifs.",
        facts={"Network": "CNN-25", "Data set SHA-256": "ab" * 32},
        spec=make_spec({}).flat(),
        metrics={"best_epoch": 4.0, "test_auroc": 0.9},
        history=[
            {"epoch": e, "train_loss": 1 / e, "val_loss": 1.1 / e, "val_auroc": 1 - 0.5 / e}
            for e in epochs
        ],
        rows=class_scores(labels, predicted, list(IDS)),
        curves=curves(labels, predicted, list(IDS)),
        readings=[read_layer("conv1", "released", filters(count), jaspar())],
        targets=jaspar(),
        relevant=RELEVANT,
        truth=jaspar_by_id(IDS.values()),
        times={"time/train": 171.3, "time/total": 3700.0},
    )


@pytest.fixture(scope="module")
def data() -> CardData:
    return card_data()


class Page(HTMLParser):
    """Elements with their attributes and text; checks that tags are closed in order."""

    VOID = ("meta", "br", "link", "img", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data.strip())

    def of_class(self, name: str) -> Iterator[dict[str, str | None]]:
        return (attrs for _, attrs in self.elements if name in (attrs.get("class") or "").split())


def test_every_filter_and_every_class_is_shown(data: CardData) -> None:
    page = Page(render(data))
    shown = list(page.of_class("filter"))
    assert [card["data-number"] for card in shown] == [str(number) for number in range(6)]
    assert [card["data-kind"] for card in shown][:4] == ["relevant", "relevant", "other", "dead"]
    assert [json.loads(card["data-classes"] or "") for card in shown][:2] == [["CEBPB"], ["SRF"]]
    found = {card["data-class"]: card["class"] for card in page.of_class("motif")}
    assert found == {"CEBPB": "motif found", "SRF": "motif found", "NFYB": "motif missing"}
    assert "2 of 3 classes" in page.text
    rows = [
        attrs["data-key"] for tag, attrs in page.elements if tag == "tr" and "data-key" in attrs
    ]
    assert rows == list(IDS)
    lines = [a for tag, a in page.elements if tag == "polyline"]
    assert len(lines) == 3 + 2 * (3 + 1)
    for text in ("CNN-25 · seed 0", "CTCF", "dead", "ab" * 32, "2 min 51 s", "1 h 01 min", "pool1"):
        assert text in page.text


def test_each_motif_of_a_number_has_its_own_box(data: CardData) -> None:
    ids = tuple(identifier.partition(".")[0] for identifier in IDS.values())
    values = np.arange(6.0)[:, None]
    rows = value_scores(values, values[::-1], ["activity"])
    seen = densities(values, values[::-1], ["activity"])
    numbers = replace(data, task="regression", rows=rows, curves=(), densities=seen, units=("",))
    page = Page(render(replace(numbers, relevant={"activity": ids})))
    boxes = list(page.of_class("motif"))
    assert len(boxes) == len(ids)
    assert {box["data-class"] for box in boxes} == {"activity"}
    assert f"of {len(ids)} motifs" in " ".join(page.text)


def test_the_page_stands_by_itself(data: CardData) -> None:
    html = render(data)
    assert html.isascii()
    page = Page(html)
    links = [
        value
        for _, attrs in page.elements
        for name, value in attrs.items()
        if name in ("src", "href", "action", "srcset", "target", "data")
    ]
    assert links
    assert all((value or "").startswith("#") for value in links)
    assert not re.search(r"url\(|@import|https?:|window\.open|fetch\(|import\(", html)
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in links if value} <= set(ids)


def test_text_of_others_is_escaped(data: CardData) -> None:
    evil = '</script><script>alert("1")</script>\'&'
    rows = [row._replace(name=evil) if row.name == "SRF" else row for row in data.rows]
    found = [row._replace(name=evil) if row.name == "SRF" else row for row in data.curves]
    relevant = {evil if name == "SRF" else name: ids for name, ids in data.relevant.items()}
    targets = [motif._replace(name=evil) for motif in data.targets]
    html = render(
        replace(
            data,
            name=evil,
            description=evil,
            facts={evil: evil},
            spec={"dataset": evil},
            rows=rows,
            curves=found,
            relevant=relevant,
            targets=targets,
        )
    )
    assert html.count("<script") == 1
    page = Page(html)
    assert evil in page.text
    assert evil in [attrs.get("data-key") for _, attrs in page.elements]
    assert [evil] in [json.loads(card["data-classes"] or "") for card in page.of_class("filter")]


def test_runs_without_filters_curves_or_truth_have_a_card(data: CardData) -> None:
    labels = np.zeros((9, 3), np.uint8)
    bare = replace(
        data,
        description="",
        facts={},
        metrics={},
        history=[{"epoch": 1, "train_loss": float("nan")}],
        rows=class_scores(labels, np.zeros((9, 3)), list(IDS)),
        curves=[],
        readings=[],
        relevant={},
        truth=(),
        times={},
    )
    page = Page(render(bare))
    assert not list(page.of_class("filter"))
    assert "—" in page.text
    flat = Aligned(np.full((2, 5, 4), 0.25), np.zeros(2, int), np.zeros((2, 5)), np.zeros(2))
    dead = replace(bare, readings=[read_layer("conv1", "paper", flat, jaspar())], history=[])
    assert len(list(Page(render(dead)).of_class("dead"))) == 2


def test_a_run_of_one_epoch_shows_its_points(data: CardData) -> None:
    one = {"epoch": 1, "train_loss": 0.123456789, "val_loss": 0.2, "val_auroc": 0.5123456789}
    page = Page(render(replace(data, history=[one])))
    assert sum(tag == "circle" for tag, _ in page.elements) == 3
    flat = [{**one, "epoch": epoch, "val_loss": 0.123456789} for epoch in (1, 2)]
    assert "circle" not in render(replace(data, history=flat))


def test_a_logo_has_the_heights_of_the_letters() -> None:
    svg = logo(np.array([[1.0, 0, 0, 0], [0, 0, 0.5, 0.5], [0.25] * 4]), left=5)
    found = re.findall(r'href="#(.)" transform="matrix\((.*?)\)"', svg)
    letters = [letter for letter, _ in found]
    places = [[float(value) for value in numbers.split()] for _, numbers in found]
    assert letters == ["A", "G", "T"]
    assert [place[3] for place in places] == [LOGO, LOGO / 4, LOGO / 4]
    assert [place[5] for place in places] == pytest.approx([0, LOGO * 0.75, LOGO * 0.5])
    assert [place[4] // COLUMN for place in places] == [0, 1, 1]


def test_a_match_stands_below_the_columns_that_it_matches(data: CardData) -> None:
    """The filter is SRF's reverse complement: both logos show it at the same place."""
    html = render(data)
    card = re.search(r'<article[^>]*id="conv1-1".*?</article>', html, re.DOTALL)
    assert card is not None
    letters: dict[bool, dict[float, str]] = {True: {}, False: {}}
    for letter, numbers in re.findall(r'href="#(.)" transform="matrix\((.*?)\)"', card[0]):
        _, _, _, height, x, y = (float(value) for value in numbers.split())
        if height > 0.4 * LOGO:
            letters[y + height < LOGO + 1][x] = letter
    assert len(letters[True]) > 5
    assert letters[True].items() <= letters[False].items()


def test_pairs_show_the_overlap() -> None:
    flat = np.full((5, 4), 0.25)
    svg = pair(flat, flat[:3], 4, (4, 5), (-1, 7), "title")
    assert f'viewBox="0 0 {8 * COLUMN:g}' in svg
    assert f'class="band" x="{5 * COLUMN:g}" width="{COLUMN:g}"' in svg
    assert "band" not in pair(flat, None, 0, (0, 0), (0, 5), "title")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 50, (0, 10, 20, 30, 40, 50)), (0.1, 0.5, (0.1, 0.2, 0.3, 0.4, 0.5)), (3, 3, None)],
)
def test_ticks_are_round(low: float, high: float, ticks: tuple[float, ...] | None) -> None:
    found = nice_ticks(low, high)
    assert all(low <= tick <= high for tick in found)
    assert ticks is None or found == ticks


def test_a_card_is_cheap_and_small() -> None:
    large = card_data(128)
    with cProfile.Profile() as profile:
        html = render(large)
    assert pstats.Stats(profile).total_calls < 1_000_000  # type: ignore[attr-defined]
    assert len(html) < 1.5e6


def test_a_card_of_very_many_classes_stays_small(data: CardData) -> None:
    names = [f"class {number}" for number in range(919)]
    points = np.stack([np.linspace(0, 1, 500), np.linspace(0, 1, 500) ** 0.3], axis=1)
    rows = [data.rows[0]._replace(name=name) for name in names]
    html = render(
        replace(data, rows=rows, curves=[Curves(name, points, points[::-1]) for name in names])
    )
    assert html.count("<polyline") == 3 + 2 * (919 + 1)
    assert len(html) < 1.5e6


CLICKS = """
<script>
const errors = [];
window.addEventListener("error", (event) => errors.push(event.message));
const shown = () => [...document.querySelectorAll(".filter")].filter((card) => !card.hidden)
  .map((card) => Number(card.dataset.number));
const click = (selector) => { document.querySelector(selector).click(); return shown(); };
const sort = (key) => {
  const select = document.querySelector("select");
  select.value = key;
  select.dispatchEvent(new Event("change"));
  return shown();
};
const result = {
  all: shown(), relevant: click('[data-show="relevant"]'), dead: click('[data-show="dead"]'),
  SRF: click('.motif button[data-class="SRF"]'),
  chip: document.querySelector(".chip.on").textContent, again: click(".chip.class"),
  sites: sort("sites"), evalue: sort("evalue"), number: sort("number"),
};
document.querySelector('tr[data-key="SRF"]').dispatchEvent(new Event("mouseenter"));
result.lit = [...document.querySelectorAll(".line.lit")].map((line) => line.dataset.key);
const letter = document.querySelector(".filter use").getBoundingClientRect();
result.letters = letter.width > 0 && letter.height > 0;
result.rows = Math.max(...[...document.querySelectorAll("#classes tr")]
  .map((row) => row.getBoundingClientRect().height));
result.wide = document.documentElement.scrollWidth;
result.errors = errors;
document.body.innerHTML = `<pre id="result">${JSON.stringify(result)}</pre>`;
</script>
"""


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [700, 1100, 1400])
def test_the_card_works_in_a_browser(tmp_path: Path, data: CardData, width: int) -> None:
    path = tmp_path / "card.html"
    path.write_text(render(data).replace("</body>", f"{CLICKS}</body>"))
    switches = "headless no-sandbox disable-gpu disable-quic no-first-run disable-sync dump-dom"
    command = ["chromium", *(f"--{name}" for name in switches.split())]
    command += ["--disable-background-networking", "--disable-component-update"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"]
    command += ["--enable-logging=stderr", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "CONSOLE" not in done.stderr
    match = re.search(r'<pre id="result">(.*?)</pre>', done.stdout)
    assert match is not None
    result = json.loads(match[1])
    assert result["all"] == result["again"] == result["number"] == [0, 1, 2, 3, 4, 5]
    assert result["relevant"][:2] == [0, 1]
    assert result["dead"] == [3]
    assert result["SRF"] == [1]
    assert result["chip"] == "SRF ×"
    assert result["sites"] == [5, 4, 2, 1, 0, 3]
    assert sorted(result["evalue"]) == result["all"]
    assert result["evalue"] != result["all"]
    assert result["lit"] == ["SRF", "SRF"]
    assert result["letters"]
    assert result["wide"] <= width
    assert result["rows"] < 40
    assert result["errors"] == []


def test_filters_stand_in_the_order_in_which_the_network_needs_them() -> None:
    loss = np.array([[0.0, 0.0, 0.01], [0.2, 0.0, 0.1], [-0.01, 0.0, 0.0]] + [[0.0] * 3] * 3)
    lost = Ablation("conv1", tuple(IDS), 300, np.array([0.9, 0.9, 0.9]), loss)
    sites = np.array([[4, 4], [4, 4]])
    area = np.full((6, 2, 2), 0.25)
    area[1, 0, 1] = 0.75
    found = FilterTruth(
        ("CEBPB", "SRF"), sites, area, area, area, np.full((6, 2), 0.5), np.ones(6, int),
        np.zeros(6, int), np.array([0, 1, 0, 0, 0, 0]), np.zeros(6), np.ones(6),
    )  # fmt: skip
    whole = replace(card_data(), ablations={"conv1": lost}, truths={"conv1": found})
    page = Page(render(whole))
    shown = [
        attrs for tag, attrs in page.elements if (attrs.get("class") or "").startswith("filter ")
    ]
    assert [int(attrs["data-number"] or 0) for attrs in shown] == [1, 0, 3, 4, 5, 2]
    text = " ".join(" ".join(page.text).split())
    assert "without it −0.1000 CEBPB, NFYB" in text
    assert "without it +0.0033" in text
    assert "sees CEBPB −: AP 0.75, recall 0.75" in text
    assert ", over 300 of the 400 sequences, when the filter is fixed" in text
    assert "importance" in text
    plain = " ".join(Page(render(card_data())).text)
    assert "without it" not in plain
    assert "importance" not in plain
