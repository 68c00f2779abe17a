"""The baseline: known motifs against the labels, both strands, the best place."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from mlproject.commands.cli import cli
from mlproject.data import make_dataset
from mlproject.data.synthetic import generate
from mlproject.fields import canonical_sha256
from mlproject.filters.baseline import (
    Baseline,
    class_motifs,
    field,
    log_odds,
    log_odds_maps,
    pwm_scan,
)
from mlproject.motifs.databases import jaspar_by_id
from mlproject.motifs.pwm import Motif, reverse_complement
from mlproject.network.evaluation import ClassScore
from mlproject.run import baseline as cache
from mlproject.run.baseline import cached_pwm_scan, format_baseline
from mlproject.system.errors import UserError


def slow_map(matrix: np.ndarray, codes: np.ndarray, left: int) -> np.ndarray:
    """Return the sum of the letters' log-odds where column `left` of a matrix lies."""
    found = np.full(codes.shape, -np.inf)
    for row, sequence in enumerate(codes):
        for start in range(codes.shape[1] - len(matrix) + 1):
            seen = sequence[start : start + len(matrix)]
            values = [
                column[letter] for column, letter in zip(matrix, seen, strict=True) if letter < 4
            ]
            found[row, start + left] = sum(values)
    return found


def test_log_odds_have_one_pseudocount_and_a_uniform_background() -> None:
    motif = Motif("m", "", np.array([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]), 9.0)
    wanted = np.log2(np.array([9.25, 0.25, 0.25, 0.25]) / 10 * 4)
    np.testing.assert_allclose(log_odds(motif)[0], wanted, atol=1 / 2048)
    assert not log_odds(motif)[1].any()
    unknown, twenty = (log_odds(motif._replace(nsites=sites)) for sites in (0.0, 20.0))
    np.testing.assert_array_equal(unknown, twenty)


def test_maps_are_those_of_a_slow_scan_of_both_strands() -> None:
    motifs = jaspar_by_id(["MA0466.2", "MA0151.1", "MA0502.1"])
    codes = np.random.default_rng(0).integers(0, 5, (7, 40), np.uint8)
    width, left, _ = field(motifs)
    assert width == max(motif.width for motif in motifs)
    maps = np.concatenate(list(log_odds_maps(motifs, codes, 3)))
    assert maps.shape == (7, 40, 6)
    for number, motif in enumerate(motifs):
        for strand, pwm in enumerate((motif.pwm, reverse_complement(motif.pwm))):
            before = (width - motif.width) // 2
            wanted = slow_map(log_odds(motif._replace(pwm=pwm)), codes, left - before)
            assert np.array_equal(maps[..., 2 * number + strand], wanted.astype(np.float32))


def test_a_class_scores_by_the_best_place_of_its_best_motif() -> None:
    data = generate(3, 300, 150)
    two = {**data.relevant, "CEBPB": ("MA0466", "MA0083")}
    merged = make_dataset(data.splits, data.classes, two, data.motifs)
    found = pwm_scan(merged)
    assert [row.name for row in found.rows] == list(data.classes)
    codes = np.asarray(data.test.codes)
    own = [data.motifs[data.classes.index(name)] for name in ("CEBPB", "SRF")]
    best = np.max(
        [
            slow_map(log_odds(motif._replace(pwm=pwm)), codes, 0).max(axis=1)
            for motif in own
            for pwm in (motif.pwm, reverse_complement(motif.pwm))
        ],
        axis=0,
    )
    column = data.classes.index("CEBPB")
    wanted = roc_auc_score(data.test.labels[:, column], best)
    assert found.metrics()["baseline/test_auroc/CEBPB"] == pytest.approx(wanted)


def test_planted_motifs_come_first_then_jaspar_and_a_class_without_any_is_left_out() -> None:
    data = generate(0, 40, 150)
    assert {name: own[0].id for name, own in class_motifs(data).items()} == {
        name: motif.id for name, motif in zip(data.classes, data.motifs, strict=True)
    }
    relevant = {name: ids for name, ids in data.relevant.items() if name != "SRF"}
    splits = {name: split._replace(sites=None) for name, split in data.splits.items()}
    unknown = make_dataset(splits, data.classes, relevant)
    assert class_motifs(unknown)["SRF"] == ()
    assert {motif.id for motif in class_motifs(unknown)["NFYB"]} == {"MA0060.2", "MA0502.1"}
    found = pwm_scan(unknown)
    assert "SRF" not in [row.name for row in found.rows]
    assert found.sites == {}
    none = make_dataset(splits, data.classes, {})
    assert pwm_scan(none) == Baseline((), {})
    assert pwm_scan(none).metrics() == {}
    with pytest.raises(UserError, match="needs classes with known motifs"):
        format_baseline(pwm_scan(none))


def test_on_the_papers_data_motifs_alone_do_well_and_sites_have_a_ceiling() -> None:
    found = pwm_scan(generate(0, 2000, 200))
    values = found.metrics()
    assert 0.96 < values["baseline/test_auroc"] < 0.995
    assert values["baseline/test_auroc/SRF"] > 0.995
    assert values["baseline/site_auroc"] > 0.99
    assert values["baseline/site_ap/SRF"] > 0.98 > values["baseline/site_ap/Arid3a"]


def test_it_is_computed_once_a_data_set(tmp_path: Path) -> None:
    data = generate(0, 40, 150)
    first = cached_pwm_scan(data, tmp_path / "data")
    (path,) = (tmp_path / "data").iterdir()
    assert data.sha256[:16] in path.name
    kept = json.loads(path.read_text())
    del kept["sha256"]
    kept["rows"][0]["auroc"] = 0.125
    path.write_text(json.dumps(kept | {"sha256": canonical_sha256(kept)}))
    again = cached_pwm_scan(data, tmp_path / "data")
    assert again.rows[0] == ClassScore(**kept["rows"][0])
    assert again.rows[1:] == first.rows[1:]


def test_no_damaged_copy_of_what_was_kept_is_used(tmp_path: Path) -> None:
    data = generate(0, 40, 150)
    first = cached_pwm_scan(data, tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    copies = [whole[: int(cut)] for cut in rng.integers(0, len(whole), 5)]
    for place, bit in zip(rng.integers(0, len(whole), 40), rng.integers(0, 8, 40), strict=True):
        copies.append(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
    other = json.loads(whole)
    del other["sha256"]
    other["dataset_sha256"] = "0" * 64
    copies.append(json.dumps(other | {"sha256": canonical_sha256(other)}).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "pwm_scan", lambda *_: None)  # a copy that is used gives no error
        for copy in copies:
            path.write_bytes(copy)
            with pytest.raises(AttributeError):
                cached_pwm_scan(data, tmp_path)
    path.write_bytes(copies[-1])
    assert cached_pwm_scan(data, tmp_path) == first


def test_the_command_prints_every_class_and_the_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["baseline", "--sequences", "400"])
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert [line.split()[0] for line in lines] == ["class", *generate(0, 40).classes, "mean"]
    mean = pwm_scan(generate(0, 400)).metrics()["baseline/test_auroc"]
    assert float(lines[-1].split()[1]) == pytest.approx(mean, abs=1e-4)
