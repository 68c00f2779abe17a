"""Recipes of generated data: each rule holds in the sequences and in the planted truth."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mlproject.architectures import make_spec
from mlproject.commands.cli import main
from mlproject.data import Dataset, load, read
from mlproject.data.recipe import Recipe
from mlproject.data.recipes import RECIPES, make_recipe
from mlproject.data.split import Split
from mlproject.data.synthetic import generate
from mlproject.motifs.databases import jaspar
from mlproject.motifs.pwm import information
from mlproject.system.errors import UserError

GOLDEN = {
    "exponential": "f43144a3090381297db7c52121b4bce2e1826ed70b03e2f473b95580216ededa",
    "codes": "b5ea52d298dc303e0ebfdf8044950ffbb6b0aa0c87c4d00bf5282374311e99b1",
    "grammar": "287ede6f5fa9f995f672a63d8e61d96dcb1e599cd52201b80f27c67d66507bbb",
}
VALUES = {
    "mpra": "8f2f88c811490e36006452da56504a38b754fd2c08498124de97f112fa381340",
    "mpra_interaction": "6960893efe2dc539bb97f14c904709ff4d7b53e9480c151c905355e41cc77c27",
    "accessibility": "b76e9aae1d818008b3f1051a13d333c54e71e7735f840062f4243d3a5a584520",
    "cell_types": "0a543a4a726fce2d7222fc1680e6962ab3516a58761ab002b10379d2bb38dd09",
}
UNLIKELY = 1e-3


def small(name: str = "synthetic", sequences: int = 300, **settings: str) -> Dataset:
    return generate(3, sequences, 200, name, settings)


def sites_by_row(split: Split) -> list[np.ndarray]:
    assert split.sites is not None
    return [split.sites[split.sites["sequence"] == row] for row in range(len(split.codes))]


@pytest.fixture(scope="module")
def codes() -> Dataset:
    return generate(name="codes")


@pytest.mark.parametrize("name", GOLDEN | VALUES)
def test_the_data_of_a_recipe_stay_what_they_were(name: str) -> None:
    """If this fails, raise VERSION: files of the old generator must not pass for new ones."""
    assert generate(0, 100, 200, name).sha256 == (GOLDEN | VALUES)[name]


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_run_asks_for_a_recipe_by_its_name(name: str, tmp_path: Path) -> None:
    spec = make_spec({"dataset": name, "sequences": 60})
    made = load(spec, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith(f"{name}-")
    assert made.sha256 == read(path).sha256 == load(spec, tmp_path).sha256
    assert made.sha256 == generate(0, 60, 200, name).sha256


def test_sizes_of_the_second_papers_data_are_its_own(codes: Dataset) -> None:
    assert make_spec({"dataset": "exponential"}).sequences == 30_000
    assert [len(split.codes) for split in codes.splits.values()] == [14_000, 2_000, 4_000]
    labels = np.concatenate([split.labels for split in codes.splits.values()])
    assert labels.shape == (20_000, 1)
    assert labels.sum() == 10_000


def test_codes_have_3_to_7_motifs_as_often_as_the_paper(codes: Dataset) -> None:
    counts = Counter(len(sites) for sites in sites_by_row(codes.test))
    assert set(counts) == {3, 4, 5, 6, 7}
    found = np.array([counts[number] for number in range(3, 8)])
    expected = np.array([0.50, 0.25, 0.17, 0.05, 0.03]) * found.sum()
    assert stats.chisquare(found, expected).pvalue > UNLIKELY


def test_positives_of_codes_have_core_motifs_only_and_negatives_any_of_the_pool(
    codes: Dataset,
) -> None:
    split = codes.train
    assert split.sites is not None
    assert [motif.name for motif in codes.motifs[:5]] == ["SP1", "Gabpa", "CEBPB", "MAX", "YY1"]
    assert len({motif.id for motif in codes.motifs}) == 55
    positive = split.labels[split.sites["sequence"], 0] == 1
    own, other = split.sites["motif"][positive], split.sites["motif"][~positive]
    assert stats.chisquare(np.bincount(own, minlength=55)[:5]).pvalue > UNLIKELY
    assert own.max() < 5
    assert stats.chisquare(np.bincount(other, minlength=55)).pvalue > UNLIKELY


def slow_starts(rng: np.random.Generator, widths: np.ndarray, length: int) -> np.ndarray:
    """Return starts as the second paper's code draws them, a sequence at a time."""
    free = length - widths.sum()
    while True:
        shares = rng.uniform(0, 2, len(widths) + 1)
        gaps = np.round(shares / shares.sum() * free).astype(int)
        if gaps.sum() == free:
            return gaps[:-1].cumsum() + widths.cumsum() - widths


def test_gaps_of_the_second_paper_are_rounded_and_drawn_until_they_fit() -> None:
    rng = np.random.default_rng(0)
    chosen = [sites for sites in sites_by_row(generate(name="exponential").test) if len(sites) == 2]
    fast = np.array([sites["start"] for sites in chosen])
    slow = np.array([slow_starts(rng, sites["width"].astype(int), 200) for sites in chosen])
    for column in range(2):
        assert stats.ks_2samp(fast[:, column], slow[:, column]).pvalue > UNLIKELY
    assert fast[:, 0].min() == 0


def test_every_column_of_the_core_motifs_is_above_the_authors_limit_of_information(
    codes: Dataset,
) -> None:
    assert all((information(motif.pwm) > 0.01).all() for motif in codes.motifs[:5])


def test_grammar_differs_in_order_and_spacing_only() -> None:
    made = generate(1, 2000, 200, "grammar")
    for row, sites in enumerate(sites_by_row(made.train)):
        gap = int(sites["start"][1]) - int(sites["start"][0]) - int(sites["width"][0])
        follows = gap == 10 and sites["motif"].tolist() == [0, 1]
        if made.train.labels[row, 0]:
            assert follows
        assert sites["strand"].tolist() == [1, 1]
    negative = made.train.labels[:, 0] == 0
    assert negative.mean() == pytest.approx(0.5, abs=0.03)
    planted = made.train.sites
    assert planted is not None
    assert np.bincount(planted["motif"][negative[planted["sequence"]]]).min() > 600


def test_gc_content_is_that_of_the_background() -> None:
    made = small(gc="0.3", motifs="MA0079.3", counts="1", negatives="1")
    letters = np.bincount(made.train.codes.reshape(-1), minlength=4)
    expected = np.array([0.35, 0.15, 0.15, 0.35]) * letters.sum()
    assert stats.chisquare(letters, expected).pvalue > UNLIKELY
    assert not made.train.labels.any()


def test_shuffled_negatives_have_the_composition_of_positives() -> None:
    made = small("codes", 60, negative_kind="shuffled", decoys="0", motifs="MA0079.3", counts="1")
    split = made.train
    assert split.sites is not None
    assert set(split.sites["sequence"]) == set(np.flatnonzero(split.labels[:, 0]))
    negative = split.codes[split.labels[:, 0] == 0]
    strong = np.isin(negative, (1, 2)).mean()
    assert strong > 0.51  # three SP1 motifs of 11 nt, mostly G, in each


def test_imbalance_is_the_ratio_of_the_first_motif_to_the_last() -> None:
    made = small(sequences=4000, motifs="MA0079.3,MA0062.2,MA0095.2", imbalance="9")
    counts = np.bincount(made.train.sites["motif"])  # type: ignore[index]
    assert counts[0] / counts[2] == pytest.approx(9, rel=0.2)
    assert counts[0] / counts[1] == pytest.approx(3, rel=0.2)


def test_label_noise_turns_its_share_of_labels() -> None:
    made = small(sequences=3000, label_noise="0.1")
    split = made.train
    truth = np.zeros_like(split.labels)
    truth[split.sites["sequence"], split.sites["motif"]] = 1  # type: ignore[index]
    assert (truth != split.labels).mean() == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("kind", ["genomic", "shuffled"])
def test_backgrounds_come_from_a_genome(kind: str, tmp_path: Path) -> None:
    genome = tmp_path / "g.fa"
    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("AAAC"), 900))
    genome.write_text(f">one\n{text}NNNN{text}\n")
    settings = {"background": kind, "genome": str(genome), "negatives": "1"}
    made = small(sequences=20, **settings)
    assert set(np.unique(made.train.codes)) == {0, 1}
    inside = ["".join("ACGTN"[code] for code in row) in text for row in made.train.codes]
    assert all(inside) == (kind == "genomic")


def test_decoys_come_from_the_release_and_never_count() -> None:
    made = small(negatives="0.5", negative_kind="decoys", decoys="3", motifs="MA0079.3")
    known = {motif.id for motif in jaspar()}
    assert {motif.id for motif in made.motifs} <= known
    split = made.train
    assert split.sites is not None
    with_core = np.isin(
        np.arange(len(split.codes)), split.sites["sequence"][split.sites["motif"] < 1]
    )
    np.testing.assert_array_equal(split.labels[:, 0], with_core)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "gc"], "`--set` must be NAME=VALUE, such as gc=0.4: got 'gc'"),
        (["--set", "gcc=0.4"], "unknown setting `gcc`: did you mean gc?"),
        (["--set", "gc=much"], "`gc` must be a number: got 'much'"),
        (["--set", "gc=2"], "`gc` must be less than 1: got 2.0"),
        (["--set", "counts=0.5,0.2"], "`counts` must sum to 1: got '0.5,0.2'"),
        (["--set", "background=genomic"], "`genome` must be given for background=genomic"),
        (["--set", "motifs=MA9999.1"], "no motif 'MA9999.1' in JASPAR2016"),
        (["--set", "gc=0.4", "--set", "gc=0.5"], "`--set` must give gc once"),
        (["--set", "negative_kind=scrambled"], "`negative_kind=scrambled` needs labels=code"),
        (["--recipe", "codes", "--length", "70"], "`length` must be at least"),
        (["--recipe", "mpra", "--set", "effects=1,2"], "`effects` must have a number for each"),
        (["--set", "noise=1"], "`interactions` and `noise` are for labels=value"),
        (["--set", "spacing=50"], "`length` must be at least 281 nt"),
    ],
)
def test_a_wrong_setting_is_one_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.h5"
    with pytest.raises(SystemExit) as caught:
        main(["dataset", "synthetic", "--out", str(out), *options])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mpra", "mpra_interaction"])
def test_values_are_sums_of_the_effects_of_sites_and_pairs(name: str) -> None:
    recipe = make_recipe(name)
    made = small(name, 400, noise="0")
    for row, sites in enumerate(sites_by_row(made.test)):
        found = [recipe.ids[motif] for motif in sites["motif"]]
        effects = dict(zip(recipe.ids, recipe.sizes, strict=True))
        wanted = sum(effects[one] for one in found)
        wanted += sum(
            more for (one, other), more in recipe.pairs.items() if one in found and other in found
        )
        assert made.test.labels[row, 0] == pytest.approx(wanted, abs=1e-5)
    assert made.provenance["achievable"]["r2"] == pytest.approx(1.0)
    relevant = set(made.relevant["activity"])
    acting = {one for one, size in zip(recipe.ids, recipe.sizes, strict=True) if size}
    acting |= {one for pair in recipe.pairs for one in pair}
    assert {one.partition(".")[0] for one in acting} <= relevant


def test_noise_is_its_share_of_the_spread_and_limits_what_can_be_reached() -> None:
    made = small("mpra", 5000, noise="0.5")
    assert made.provenance["achievable"]["r2"] == pytest.approx(1 / 1.25, abs=0.03)


def test_counts_have_the_mean_asked_for_and_classes_exclude_each_other() -> None:
    counts = small("accessibility", 2000, mean_count="50")
    assert counts.task == "counts"
    assert counts.train.labels.mean() == pytest.approx(50, rel=0.1)
    np.testing.assert_array_equal(counts.train.labels, np.rint(counts.train.labels))
    kinds = small("cell_types", 300)
    for row, sites in enumerate(sites_by_row(kinds.train)):
        assert set(sites["motif"].tolist()) == {int(kinds.train.labels[row].argmax())}


def test_the_page_on_data_names_every_recipe_and_setting() -> None:
    page = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")
    for name in [*RECIPES, *Recipe.model_fields.keys() - {"description"}]:
        assert f"`{name}`" in page, name


def test_recipes_are_rows_that_differ() -> None:
    made = [make_recipe(name).model_dump(exclude={"description"}) for name in RECIPES]
    assert all(one not in made[:number] for number, one in enumerate(made))
    with pytest.raises(UserError, match="unknown recipe 'code': did you mean codes"):
        make_recipe("code")


def test_a_setting_of_another_form_is_refused_with_its_description() -> None:
    with pytest.raises(
        UserError, match=r"^`effects` has another form \(effect of .*\): got 'MA0079=inf'$"
    ):
        make_recipe("mpra", {"effects": "MA0079=inf"})


@pytest.mark.parametrize("effect", ["1000", "-1000", "700"])
def test_effects_that_overflow_give_counts_with_the_mean_of_the_recipe(effect: str) -> None:
    settings = {"effects": f"{effect},0,0,0,0,0", "mean_count": "5"}
    made = generate(0, 2000, 200, "accessibility", settings)
    counts = np.concatenate([split.labels[:, 0] for split in made.splits.values()])
    assert counts.mean() == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("name", ["synthetic", "codes", "mpra"])
def test_own_relevant_motifs_count_for_each_kind_of_data(name: str) -> None:
    def made(relevant: str) -> Dataset:
        return generate(name=name, sequences=40, settings={"relevant": relevant})

    label = generate(name=name, sequences=40).classes[0]
    assert made(f"{label}=MA0001").relevant[label] == ("MA0001",)
    with pytest.raises(UserError, match=r"`relevant` must name classes, .*: got nobody"):
        made("nobody=MA0001")
