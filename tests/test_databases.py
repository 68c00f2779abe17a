"""Databases of known motifs: by name, from files, several at once; the motifs of the classes."""

import gzip
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY

from mlproject import results
from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.data import make_dataset
from mlproject.data.dataset import Dataset
from mlproject.data.relevant import relevant_motifs, run_relevant, without_motif
from mlproject.data.split import Split
from mlproject.fields import JASPAR_RELEASES, jaspar_names, parse_databases
from mlproject.filters.baseline import class_motifs
from mlproject.motifs.databases import (
    WIDEST,
    databases,
    factor,
    jaspar,
    jaspar_by_id,
    meme_database,
    motifs_of,
    title_of,
)
from mlproject.motifs.meme import write_meme
from mlproject.motifs.pwm import Motif
from mlproject.motifs.tomtom import match_files
from mlproject.run.context import Settings
from mlproject.run.motif_choice import choose_motifs
from mlproject.run.run import run
from mlproject.store import connect
from mlproject.system.errors import UserError

DATA = "0" * 64
FACTORS = ("CEBPB", "SRF", "YY1")


def hocomoco(path: Path, names: tuple[str, ...] = FACTORS) -> Path:
    """Write motifs of JASPAR under ids as HOCOMOCO has them, without second names."""
    known = {motif.name: motif for motif in jaspar()}
    motifs = [known[name]._replace(id=f"{name}_HUMAN.H11MO.0.A", name="") for name in names]
    write_meme(path, motifs)
    return path


def data_of(classes: tuple[str, ...], relevant: Mapping[str, tuple[str, ...]]) -> Dataset:
    rng = np.random.default_rng(0)
    splits = {
        name: Split(rng.integers(0, 4, (8, 30)), rng.integers(0, 2, (8, len(classes))))
        for name in ("train", "valid", "test")
    }
    return make_dataset(splits, classes, relevant)


def test_every_jaspar_database_is_there_under_its_name_and_no_release_is_left_out() -> None:
    import pyjaspar

    assert {f"JASPAR{year}" for year in JASPAR_RELEASES} == set(pyjaspar.jaspar_releases)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("jaspar2014_urochordates", "jaspar2016_plants", "jaspar2026_fungi"):
            assert len(jaspar(name)) > 0
    ids = {motif.id for motif in jaspar("jaspar2016_all")}
    assert ids > {motif.id for motif in jaspar("jaspar2016_insects")}
    assert [len(jaspar(f"jaspar{year}")) for year in (2016, 2018, 2026)] == [519, 579, 1019]
    assert {motif.name for motif in jaspar("jaspar2024")} >= {"ZNF143", "CTCF"}


def test_names_are_read_in_any_case_and_paths_as_they_are() -> None:
    assert parse_databases("JASPAR2024, My.meme") == ("jaspar2024", "My.meme")
    assert title_of("jaspar2026_plants,a/My.meme") == "JASPAR 2026 plants, My.meme"
    assert title_of("jaspar2016") == "JASPAR 2016"
    assert make_spec({"motifs": "JASPAR2024"}) == make_spec({"motifs": "jaspar2024"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jaspar2025", "unknown JASPAR release 'jaspar2025': did you mean jaspar202"),
        ("jaspar2024_plant", "did you mean jaspar2024_plants"),
        ("jaspar2016,JASPAR2016", "given once: got jaspar2016 twice"),
        ("jaspar2016,", "must name databases or MEME files"),
        ("nowhere.meme", "cannot read nowhere.meme"),
    ],
)
def test_an_unknown_database_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_spec({"motifs": text})
    assert len(jaspar_names()) == 7 * len(JASPAR_RELEASES)


def test_a_file_that_changes_within_a_process_is_read_again(tmp_path: Path) -> None:
    path = hocomoco(tmp_path / "own.meme")
    began = make_spec({"motifs": str(path)})
    assert len(databases(began.motifs, began.motifs_sha256)) == 3
    hocomoco(path, FACTORS[:2])
    assert len(databases(str(path))) == 2
    assert len(motifs_of(make_spec({"motifs": str(path)}))) == 2
    assert len(motifs_of(began)) == 3  # a run that has read it goes on with what it read


def test_the_content_of_a_file_enters_the_hash_and_its_path_does_not(tmp_path: Path) -> None:
    one = hocomoco(tmp_path / "one.meme")
    two = tmp_path / "two.meme"
    two.write_bytes(one.read_bytes())
    first, second = (make_spec({"motifs": f"jaspar2024,{path}"}) for path in (one, two))
    assert first.spec_sha256(DATA) == second.spec_sha256(DATA)
    assert first.train_sha256(DATA) == make_spec({}).train_sha256(DATA)
    assert first.spec_sha256(DATA) != make_spec({"motifs": "jaspar2024"}).spec_sha256(DATA)
    swapped = make_spec({"motifs": f"{one},jaspar2024"})
    assert swapped.spec_sha256(DATA) != first.spec_sha256(DATA)
    assert make_spec(first.flat()) == first
    hocomoco(two, FACTORS[:2])
    assert make_spec({"motifs": f"jaspar2024,{two}"}).spec_sha256(DATA) != first.spec_sha256(DATA)
    with pytest.raises(UserError, match="must be the files that the run began with"):
        databases(second.motifs, second.motifs_sha256)
    two.unlink()
    assert make_spec(second.flat()) == second  # a recorded spec needs no file


def test_ids_are_unique_across_databases_and_equal_motifs_are_there_once(tmp_path: Path) -> None:
    both = databases("jaspar2016,jaspar2018")
    ids = [motif.id for motif in both]
    shared = {motif.id for motif in jaspar("jaspar2016")} & {m.id for m in jaspar("jaspar2018")}
    assert len(ids) == len(set(ids)) == 519 + 579 - len(shared)
    other = tmp_path / "own.meme"
    mine = Motif("MA0466.2", "mine", np.full((4, 4), 0.25), 10.0)
    write_meme(other, [mine, *jaspar_by_id(["MA0083.3"])], decimals=15)
    write_meme(gz := tmp_path / "plain.meme", [mine._replace(id="x")])
    gz.with_suffix(".meme.gz").write_bytes(gzip.compress(gz.read_bytes()))
    found = databases(f"jaspar2016,{other},{gz.with_suffix('.meme.gz')}")
    assert [motif.id for motif in found[519:]] == ["MA0466.2@own", "MA0083.3@own", "x"]
    again = tmp_path / "again"
    again.mkdir()
    (again / "own.meme").write_bytes(other.read_bytes().replace(b"0.250000", b"0.250001"))
    write_meme(again / "own.meme", [mine._replace(pwm=np.eye(4))])
    with pytest.raises(UserError, match=r"ids must differ .*: MA0466.2@own"):
        databases(f"jaspar2016,{other},{again / 'own.meme'}")


@pytest.mark.parametrize(
    ("identifier", "name", "wanted"),
    [
        ("MA0139.1", "CTCF", "CTCF"),
        ("MA0139.1", "MA0139.1.CTCF", "CTCF"),
        ("MA0149.1", "EWSR1-FLI1", "EWSR1-FLI1"),
        ("MA0052.1", "RORA(var.2)", "RORA"),
        ("MA0259.1", "ARNT::HIF1A", "ARNT::HIF1A"),
        ("CTCF_HUMAN.H11MO.0.A", "", "CTCF"),
        ("GATA1.H12CORE.0.PSM.A", "GATA1.H12CORE.0.PSM.A", "GATA1"),
        ("M00111_2.00", "(TFAP2B)_(Homo_sapiens)_(DBD_0.99)", "TFAP2B"),
        ("filter3", "", ""),
    ],
)
def test_the_factor_is_found_in_the_names_of_each_database(
    identifier: str, name: str, wanted: str
) -> None:
    assert factor(Motif(identifier, name, np.eye(4), 1.0)) == wanted


def test_relevant_motifs_of_a_run_follow_its_databases(tmp_path: Path) -> None:
    path = hocomoco(tmp_path / "h.meme")
    recorded = {"CEBPB": ("MA0466",), "mine": ("MA0095",)}
    data = data_of(("CEBPB", "mine", "THAP11"), recorded)
    assert run_relevant(make_spec({}), data) == recorded
    newer = run_relevant(make_spec({"motifs": "jaspar2024"}), data)
    assert newer["mine"] == ("MA0095",)
    assert newer["THAP11"] == ("MA1573",)
    own = run_relevant(make_spec({"motifs": str(path)}), data)
    assert own["CEBPB"] == ("MA0466", "CEBPB_HUMAN.H11MO.0.A")
    wanted = {"motifs": str(path), "relevant": "mine=yy1,CEBPB="}
    assert run_relevant(make_spec(wanted), data) == {"mine": ("YY1_HUMAN.H11MO.0.A",)}
    by_name = run_relevant(make_spec({"relevant": "auto,mine=MA0083.3"}), data)
    assert by_name == {"CEBPB": ("MA0466",), "mine": ("MA0083.3",)}
    alone = run_relevant(make_spec({"relevant": "none,mine=SRF"}), data)
    assert alone == {"mine": ("MA0083",)}
    with pytest.raises(UserError, match="must be data, auto, none, or CLASS=ID"):
        run_relevant(make_spec({"relevant": "all"}), data)
    with pytest.raises(UserError, match=r"no factor 'SRFF' in JASPAR 2016: did you mean SRF"):
        run_relevant(make_spec({"relevant": "mine=SRFF"}), data)
    assert relevant_motifs(["CEBPB"], "auto", str(path)) == {"CEBPB": ("CEBPB_HUMAN.H11MO.0.A",)}


def test_a_motif_that_takes_hours_to_compare_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.meme"
    for width in (WIDEST, WIDEST + 1):
        write_meme(path, [Motif("wide", "", np.full((width, 4), 0.25), 20.0)])
        if width == WIDEST:
            assert meme_database(path)[0].width == WIDEST
            continue
        for use in (meme_database, match_files):
            with pytest.raises(UserError, match="at most 1,000 columns: wide has 1,001"):
                use(path)


def test_two_motifs_of_one_name_and_id_are_both_embedded(tmp_path: Path) -> None:
    rows = np.eye(4)
    for number in range(3):
        pwm = rows[[number, 1, 2, 3]]
        write_meme(tmp_path / f"{number}.meme", [Motif("id", "X", pwm, 20.0)])
    files = ",".join(f"{tmp_path}/{number}.meme" for number in range(3))
    data = data_of(("YY1",), {})
    found, _ = choose_motifs(files, make_spec({}), data, lambda layer: ())
    assert [motif.name for motif in found] == ["X", "X id", "X id_"]
    assert [motif.consensus[0] for motif in found] == ["A", "C", "G"]


def test_a_class_without_a_motif_is_named_with_similar_names() -> None:
    note = without_motif(("SRF", "ZNF777", "x"), {"SRF": ("MA0083",)}) or ""
    assert note.startswith("no motif in JASPAR 2016 for ZNF777 (similar names: ")
    assert "ZNF" in note.split("similar names: ")[1]
    assert ", x: left out of match_relevant" in note
    assert without_motif(("SRF",), {"SRF": ("MA0083",)}) is None
    chosen = without_motif(("srf", "YY1"), {"YY1": ("MA0095",)})
    assert chosen == "`relevant` gives no motif to srf: left out of match_relevant"
    many = without_motif([f"histone{number}" for number in range(900)], {}) or ""
    assert len(many) < 400
    assert "and 895 more" in many


def test_a_run_follows_a_file_of_motifs_from_matches_to_results(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hocomoco(workplace / "h.meme")
    spec = make_spec(TINY | {"motifs": str(path), "epochs": 1, "evalue": 1.0})
    result = run(spec, Settings(quiet=False))
    assert "note: no motif in h.meme for Arid3a" in capsys.readouterr().err
    found = connect().run(result.run_id)
    assert "filters match h.meme" in found.data.tags["mlflow.note.content"]
    row = results.runs().iloc[0]
    assert results.relevant(row)["SRF"][-1] == "SRF_HUMAN.H11MO.0.A"
    reading = results.filters(row)
    known = {motif.id for motif in results.targets(row)}
    assert {match.target_id for match in reading.matches} <= known
    assert known == {f"{name}_HUMAN.H11MO.0.A" for name in FACTORS}
    path.unlink()
    kept = results.targets(result.run_id)
    assert {motif.name for motif in kept} == set(FACTORS)  # all three are relevant


def test_the_commands_take_databases(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = hocomoco(workplace / "h.meme")
    main(["match", str(path), "--motifs", f"jaspar2018,{path}"])
    table = capsys.readouterr().out
    assert "SRF_HUMAN.H11MO.0.A\tMA0083.3" in table
    assert "SRF_HUMAN.H11MO.0.A\tSRF_HUMAN.H11MO.0.A" in table
    main(["match", str(path), "--targets", str(path)])
    assert "MA0083" not in capsys.readouterr().out
    arguments = ["baseline", "--sequences", "100", "--length", "100", "--motifs", str(path)]
    main([*arguments, "--relevant", "none,SRF=SRF,CEBPB=CEBPB"])
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == ["class", "CEBPB", "SRF", "mean"]
    known = class_motifs(data_of(("SRF",), {}), {"SRF": ("MA0083",)}, jaspar("jaspar2018"))
    assert [motif.id for motif in known["SRF"]] == ["MA0083.3"]
