"""The figure of a layer: letters as high as they must be, every filter named, files whole."""

from itertools import combinations
from pathlib import Path

import logomaker
import numpy as np
import pandas
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mlproject.draw.letters import letter_heights, stack_letters
from mlproject.draw.logos import (
    draw_logo,
    filter_labels,
    format_evalue,
    logo_figure,
    summary,
)
from mlproject.draw.output import save_figure
from mlproject.draw.style import LETTER_COLORS
from mlproject.filters.align import Aligned
from mlproject.filters.reading import LayerReading, read_layer
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.pwm import Motif, information
from mlproject.system.errors import UserError

RELEVANT = {"CEBPB": ("MA0466",), "SRF": ("MA0083",)}
TARGETS = {motif.id: motif for motif in jaspar()}


@pytest.fixture(scope="module")
def reading() -> LayerReading:
    pwms = np.full((5, 19, 4), 0.25)
    for number, motif in enumerate(jaspar_by_id(["MA0466.2", "MA0083.3", "MA0139.1"])):
        width = min(motif.width, 19)
        pwms[number, :width] = motif.pwm[:width] * 0.9 + 0.025
    pwms[3, ::4] = [0.4, 0.2, 0.2, 0.2]
    nsites = np.array([300, 200, 100, 50, 0])
    aligned = Aligned(pwms, nsites, nsites[:, None] * np.ones(19), np.ones(5, np.float32))
    found = read_layer("conv1", "released", aligned, jaspar())
    kept = tuple(match for match in found.matches if match.query_id != "filter3")
    return found._replace(matches=kept)


def texts(figure: Figure) -> list[str]:
    parts = [figure.texts, *(axes.texts for axes in figure.axes)]
    return [text.get_text() for part in parts for text in part]


def test_a_column_is_as_high_as_its_information() -> None:
    pwm = jaspar_by_id(["MA0083.3"])[0].pwm
    np.testing.assert_allclose(letter_heights(pwm).sum(axis=1), information(pwm), atol=1e-12)
    assert letter_heights(np.array([[1.0, 0, 0, 0]])).tolist() == [[2, 0, 0, 0]]
    assert not letter_heights(np.full((2, 4), 0.25)).any()


def test_letters_are_drawn_at_their_place_in_their_height_and_colour() -> None:
    axes: Axes = Figure().add_subplot()
    draw_logo(axes, np.array([[1.0, 0, 0, 0], [0, 0, 0.5, 0.5]]), span=4)
    boxes = {patch.get_facecolor()[:3]: patch.get_path().get_extents() for patch in axes.patches}
    assert set(boxes) == {to_rgb(LETTER_COLORS[letter]) for letter in "AGT"}
    first = boxes[to_rgb(LETTER_COLORS["A"])]
    assert (first.ymin, first.ymax) == pytest.approx((0, 2))
    assert first.xmax < 0.5 < boxes[to_rgb(LETTER_COLORS["G"])].xmin
    lower, upper = sorted(
        (boxes[to_rgb(LETTER_COLORS[letter])] for letter in "GT"), key=lambda b: b.ymin
    )
    assert (lower.ymin, lower.ymax, upper.ymax) == pytest.approx((0, 0.5, 1.0))
    assert axes.get_ylim() == (0, 2)
    assert axes.get_xlim() == (-1.5, 2.5)


def test_letters_stand_where_logomaker_puts_them() -> None:
    pwm = jaspar_by_id(["MA0083.3"])[0].pwm
    heights = letter_heights(pwm)
    logo = logomaker.Logo(pandas.DataFrame(heights, columns=list("ACGT")), ax=Figure().subplots())
    glyphs = {(glyph.c, round(glyph.p)): glyph for glyph in logo.glyph_list if glyph.patch}
    placed = list(stack_letters(heights, 1e-9))
    assert len(placed) == len(glyphs)
    for one in placed:
        glyph = glyphs[one.letter, one.column]
        assert (one.bottom, one.bottom + one.height) == pytest.approx((glyph.floor, glyph.ceiling))


def test_every_filter_is_named(reading: LayerReading) -> None:
    labels = filter_labels(reading, TARGETS, RELEVANT)
    assert [(label.name, label.kind) for label in labels] == [
        ("CEBPB", "relevant"),
        ("SRF", "relevant"),
        ("CTCF", "other"),
        ("no match", "none"),
        ("dead", "dead"),
    ]
    assert float(labels[0].evalue) <= 0.1
    counted = summary(labels)
    assert "2 of 5 filters match a relevant motif" in counted
    assert "1 only another motif" in counted
    assert "1 dead" in counted
    assert "relevant" not in summary(filter_labels(reading, TARGETS, {}), any_relevant=False)


def test_the_figure_shows_filters_and_truth_on_one_scale(reading: LayerReading) -> None:
    truth = jaspar_by_id(["MA0466.2", "MA0083.3"])
    figure = logo_figure(reading, TARGETS, RELEVANT, truth, "CNN-25 · seed 0")
    assert len(figure.axes) == 5 + 2 * len(truth)
    assert {axes.get_ylim() for axes in figure.axes} == {(0.0, 2.0)}
    spans = [high - low for low, high in (axes.get_xlim() for axes in figure.axes)]
    assert spans == pytest.approx([19.0] * len(spans))
    shown = texts(figure)
    for text in ("CNN-25 · seed 0", "CEBPB", "SRF", "CTCF", "no match", "dead", "0", "4"):
        assert text in shown
    assert len(logo_figure(reading, TARGETS, {}, (), "").axes) == 5


@pytest.mark.parametrize("count", [1, 30, 37])
def test_nothing_overlaps_and_nothing_leaves_the_page(count: int) -> None:
    motif = Motif("filter0", "", np.full((5, 4), 0.25), 1.0)
    motifs = tuple(motif._replace(id=f"filter{number}") for number in range(count))
    flat = LayerReading("conv1", "paper", motifs, (), (0,) * count, ())
    figure = logo_figure(flat, TARGETS, RELEVANT, (motif,) * 12, "title")
    boxes = [axes.get_position() for axes in figure.axes]
    assert min(box.x0 for box in boxes) >= 0
    assert min(box.y0 for box in boxes) >= 0
    assert max(box.x1 for box in boxes) <= 1
    assert max(box.y1 for box in boxes) <= 1
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.2e-12, "3e-12"), (0.00052, "5e-4"), (0.0123, "0.012"), (0.1, "0.1"), (0.0, "0")],
)
def test_evalues_are_short(value: float, text: str) -> None:
    assert format_evalue(value) == text


# Machado et al., IEEE TVCG 15(6): 1291, 2009: full deuteranopia and protanopia, in linear RGB.
DICHROMATS = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])


@pytest.mark.parametrize("kind", DICHROMATS)
def test_letters_stay_apart_without_red_or_green_cones(kind: str) -> None:
    def lab(color: str) -> np.ndarray:
        rgb = np.array(to_rgb(color))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        root = np.cbrt(TO_XYZ @ np.clip(np.array(DICHROMATS[kind]) @ linear, 1e-3, 1))
        return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])

    distances = [
        np.linalg.norm(lab(one) - lab(other))
        for one, other in combinations(LETTER_COLORS.values(), 2)
    ]
    assert min(distances) > 20


def test_files_are_whole_and_the_same_each_time(tmp_path: Path, reading: LayerReading) -> None:
    figures = [logo_figure(reading, TARGETS, RELEVANT, (), "title") for _ in range(2)]
    one, other = (
        save_figure(figure, tmp_path / name / "conv1")
        for figure, name in zip(figures, "ab", strict=True)
    )
    assert [path.name for path in one] == ["conv1.png", "conv1.pdf"]
    assert one[0].read_bytes().startswith(b"\x89PNG")
    assert one[1].read_bytes().startswith(b"%PDF")
    for first, second in zip(one, other, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["conv1.pdf", "conv1.png"]


def test_a_place_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        save_figure(Figure(), tmp_path / "file" / "conv1")
