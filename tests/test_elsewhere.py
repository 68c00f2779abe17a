"""Filters that drive a class and match nothing in the chosen database are named."""

from pathlib import Path

import numpy as np
from test_card import card_data

from mlproject.filters.ablation import Ablation
from mlproject.filters.align import Aligned
from mlproject.filters.elsewhere import unexplained
from mlproject.filters.reading import read_layer
from mlproject.motifs.databases import jaspar, jaspar_by_id
from mlproject.motifs.meme import write_meme
from mlproject.run.card import render


def test_a_driving_filter_without_a_match_gets_its_best_match_elsewhere(tmp_path: Path) -> None:
    known = jaspar_by_id(["MA0083.3", "MA0466.2", "MA0139.1"])
    write_meme(tmp_path / "one.meme", known[:1])
    pwms = np.full((5, 19, 4), 0.25)
    for number, motif in enumerate((*known, known[2])):
        pwms[number, : motif.width] = motif.pwm[:19]
    pwms[4, :6] = np.eye(4)[[0, 3, 0, 3, 0, 3]] * 0.7 + 0.075
    aligned = Aligned(pwms, np.full(5, 9), np.full((5, 19), 9.0), np.ones(5, np.float32))
    loss = np.zeros((5, 2))
    loss[[0, 1, 2, 4], [0, 1, 1, 0]] = 0.02
    loss[3, 0] = 0.009  # less than drives a class
    lost = Ablation("conv1", ("SRF", "x"), 100, np.ones(2), loss)
    targets = known[:1]
    reading = read_layer("conv1", "released", aligned, targets, 1e-3)
    found = {one.filter: one for one in unexplained(reading, lost, str(tmp_path / "one.meme"))}
    assert set(found) == {1, 2, 4}
    assert (found[1].drives, found[1].database) == (("x",), "JASPAR 2026")
    assert found[1].name.startswith("CEBP")  # they share a motif
    assert found[2].name == "CTCF"
    assert 0 < found[2].e_value < 1e-6
    everything = read_layer("conv1", "released", aligned, jaspar("jaspar2026"))
    other = unexplained(everything, lost, "jaspar2026")
    assert {one.database for one in other} <= {"JASPAR 2026 all"}
    assert not {1, 2} & {one.filter for one in other}
    data = card_data()
    shown = found[1]._replace(filter=3)
    from dataclasses import replace

    page = render(replace(data, unexplained={"conv1": [shown]}))
    assert f"JASPAR 2026: {shown.name} {shown.e_value:.0e}".replace("e-0", "e-") in page
