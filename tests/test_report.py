"""The report of real stores: what it counts, pools, says, writes and records."""

import csv
import math
import re
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas
import pytest
from click.testing import CliRunner
from matplotlib.text import Text
from PIL import Image
from recorded import inside, reading, record, record_filters, start
from scipy import stats

from mlproject import results
from mlproject.architectures import ARCHITECTURES
from mlproject.commands.cli import cli, main
from mlproject.draw.canvas import fitted
from mlproject.draw.panels import Block, panel_figure, shares
from mlproject.filters.reading import LayerReading
from mlproject.motifs.databases import jaspar
from mlproject.report.build import build
from mlproject.report.content import ReportRequest
from mlproject.report.document import Report
from mlproject.report.page import write_report
from mlproject.report.published import SYNTHETIC
from mlproject.report.recording import WrittenReport, make_report
from mlproject.report.sections.charts import filters_figure, message_figure
from mlproject.report.sections.joint import readings_table
from mlproject.report.sections.printed import deeper_table, main_table
from mlproject.report.sections.statements import statements_table
from mlproject.report.sections.user import user_table
from mlproject.report.table import Table
from mlproject.report.trials import trials
from mlproject.store import connect
from mlproject.system.errors import UserError

TRIALS = {"CNN-2": (0.968, 0.967), "CNN-4": (0.955, 0.957), "CNN-25": (0.973, 0.974)}
SIZES = (14, 30, 60, 14, 14, 14)
FOUND = {"CNN-2": 1, "CNN-4": 5, "CNN-25": 13}


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, migrated_store: Path) -> Iterator[Path]:
    """A folder with a store of three networks, two seeds each, with filters, and a failed run."""
    with inside(tmp_path_factory.mktemp("swept"), migrated_store) as folder:
        for arch, values in TRIALS.items():
            for seed, auroc in enumerate(values):
                layer = reading(FOUND[arch], seed=seed)
                record_filters({"arch": arch, "seed": seed, "epochs": 20}, layer, auroc)
        record({"arch": "CNN-50"}, status="FAILED")
        yield folder


@pytest.fixture(scope="module")
def made(swept: Path) -> WrittenReport:
    """The whole report of that store, written and recorded."""
    wish = ReportRequest(rows=("arch",), columns=("test_auroc",), networks=("CNN-25",))
    return make_report(wish, swept / "out")


def row(table: Table | None, **wanted: object) -> pandas.Series:
    """Return the one row of a table with these values."""
    assert table is not None
    frame = table.frame
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_table_1_is_what_a_direct_computation_from_the_runs_gives(made: WrittenReport) -> None:
    client = connect().client
    experiment = client.get_experiment_by_name("table1")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'")
    for arch, printed in (("CNN-2", 0.966), ("CNN-25", 0.973)):
        values = [run.data.metrics for run in runs if run.data.tags.get("mlproject.arch") == arch]
        assert len(values) == 2
        found = row(made.report.table("table1"), arch=arch)
        auroc = [one["test_auroc"] for one in values]
        assert found["n"] == 2
        assert found["test_auroc"] == pytest.approx(sum(auroc) / 2)
        assert found["test_auroc sd"] == pytest.approx(abs(auroc[0] - auroc[1]) / np.sqrt(2))
        assert found["test_auroc difference"] == pytest.approx(sum(auroc) / 2 - printed)
        matches = [one["conv1/match_relevant"] for one in values]
        assert found["conv1/match_relevant"] == pytest.approx(np.mean(matches))
        assert found["test_auroc verdict"] == "agrees"
    over_classes = row(made.report.table("table1"), arch="CNN-2")["test_auroc sd over classes"]
    assert over_classes == pytest.approx(0.0, abs=1e-12)


def test_cells_without_runs_say_so_and_how_to_fill_them(made: WrittenReport) -> None:
    table = made.report.table("table1")
    assert table is not None
    assert list(table.frame["n"]) == [2 if arch in TRIALS else 0 for arch in table.frame["arch"]]
    empty = row(table, arch="CNN-25x60")
    assert empty["test_auroc verdict"] == "no runs"
    assert "python -m mlproject train --arch CNN-25x60" in table.commands
    assert len(table.commands) == 16 - len(TRIALS)
    deeper = made.report.table("deeper_layers")
    assert deeper is not None
    assert "python -m mlproject train --arch CNN-1 --layers conv1,conv2" in deeper.commands
    options = {option for command in cli.commands["train"].params for option in command.opts}
    assert "--experiment" in options
    for command in (*table.commands, *deeper.commands):
        assert command.split("--arch ")[1].split()[0] in ARCHITECTURES


def test_the_report_says_what_was_shortened_and_what_does_not_count(made: WrittenReport) -> None:
    text = " ".join(made.report.summary)
    assert "7 runs, of which 6 count (left out: 1 failed)" in text
    assert "at most 20 epochs" in text
    table = made.report.table("table1")
    assert table is not None
    assert any("All rows: not the full protocol, but epochs=20" in note for note in table.notes)


def test_inconsistencies_of_the_paper_are_footnotes_of_their_cells(made: WrittenReport) -> None:
    table = made.report.table("table1")
    assert table is not None
    mark = row(table, arch="CNN9-25")["conv1/match_relevant mark"]
    assert any(note.startswith(f"^{mark}^") and "93 %" in note for note in table.notes)
    assert f"0.980 ± 0.016 <sup>{mark}</sup>" in table.markdown()
    second = made.report.table("table2")
    assert second is not None
    assert any("copied" in note for note in second.notes)


def test_statements_are_effects_paired_over_seeds(made: WrittenReport) -> None:
    table = made.report.table("statements")
    assert table is not None
    first = table.frame.iloc[0]
    counted = results.counted(results.runs())
    pivot = counted.pivot_table(index="seed", columns="arch", values="conv1/match_relevant")
    wanted = pivot["CNN-25"] - (pivot["CNN-2"] + pivot["CNN-4"]) / 2
    assert first["n"] == 2
    assert first["effect"] == pytest.approx(wanted.mean())
    assert set(first["networks"].split(", ")) == set(TRIALS)
    assert set(table.frame["verdict"].iloc[1:]) >= {"no runs"}


def test_factor_tables_count_trials_and_filters(made: WrittenReport) -> None:
    shares = made.report.table("factors_synthetic_coverage")
    counts = made.report.table("factors_synthetic_filters")
    counted = results.counted(results.runs())
    one = counted[counted["arch"] == "CNN-4"]["conv1/filters/MAX"]
    assert row(shares, factor="MAX")["CNN-4"] == (one > 0).mean()
    assert row(counts, factor="MAX")["CNN-4"] == one.mean()
    assert row(shares, factor="all (coverage)")["CNN-25"] == pytest.approx(
        counted[counted["arch"] == "CNN-25"]["conv1/coverage"].mean()
    )


def test_every_table_has_four_formats_and_every_figure_two(made: WrittenReport) -> None:
    out = made.files[0].parent.parent
    for table in made.report.tables:
        for kind in ("md", "html", "csv", "tex"):
            assert (out / "tables" / f"{table.name}.{kind}").stat().st_size > 40
        back = pandas.read_csv(out / "tables" / f"{table.name}.csv")
        assert len(back) == len(table.frame)
    wanted = {"message", "pareto", "fig1", "fig2", "atlas_synthetic", "networks_synthetic"}
    assert wanted <= set(made.report.pictures)
    for name in made.report.pictures:
        with Image.open(out / "figures" / f"{name}.png") as image:
            assert image.width >= 500
            assert len(image.convert("RGB").getcolors(2**24) or ()) > 50
        assert (out / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_readme_links_only_to_what_is_there(made: WrittenReport) -> None:
    out = made.files[0].parent.parent
    text = (out / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert "figures/message.png" in links
    assert "figures/atlas_synthetic.png" in links
    assert all((out / link).exists() for link in links)


def test_the_page_needs_nothing_from_outside_and_names_runs_as_text(made: WrittenReport) -> None:
    out = made.files[0].parent.parent
    page = (out / "report.html").read_text(encoding="ascii")
    assert not re.findall(r'(?:src|href)="(?!data:|#|http://127.0.0.1:5000/#/)', page)
    assert "@import" not in page
    for run_id in results.runs()["run_id"]:
        assert f">{run_id}</a>" in page
        assert f"runs/{run_id}</td>" in page


def test_the_atlas_has_the_best_filter_of_each_network(made: WrittenReport) -> None:
    atlas = made.report.atlases["synthetic"]
    assert atlas.networks == ("CNN-2", "CNN-4", "CNN-25")
    assert len(atlas.motifs) == 12
    counted = results.counted(results.runs())
    readings = [results.filters(run) for run in counted[counted["arch"] == "CNN-25"]["run_id"]]
    values = [m.e_value for one in readings for m in one.matches if m.target_id == "MA0058.3"]
    assert atlas.entries["MAX", "CNN-25"].match.e_value == min(values)
    assert ("YY1", "CNN-2") not in atlas.entries


def test_the_report_is_a_run_with_its_files_and_no_run_of_the_next_report(
    made: WrittenReport,
) -> None:
    store = connect()
    assert made.run_id is not None
    run = store.run(made.run_id)
    assert run.info.status == "FINISHED"
    names = {item.path for item in store.client.list_artifacts(made.run_id)}
    assert {"report.html", "README.md", "tables", "figures"} <= names
    assert made.run_id not in set(results.runs()["run_id"])


def test_a_folder_with_a_readme_of_its_own_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    report = Report("empty", [])
    with pytest.raises(UserError, match="`--out` must be a folder for reports only"):
        write_report(report, tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_table_of_the_users_own_from_the_command_line(swept: Path, tmp_path: Path) -> None:
    arguments = ["report", "--rows", "arch", "--columns", "test_auroc,conv1/match_relevant"]
    arguments += ["--where", "pool1 >= 4", "--no-figures", "--no-record", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "| arch | n | test_auroc | conv1/match_relevant |" in done.output
    assert "| CNN-4 | 2 | 0.956 ± 0.001 |" in done.output
    assert "CNN-2 |" not in done.output
    assert (tmp_path / "tables" / "custom.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rows", "arhc", "--columns", "test_auroc"], "`arhc`: did you mean arch"),
        (["--rows", "arch", "--columns", "test_auorc"], "did you mean test_auroc"),
        (["--rows", "arch"], "`--rows` and `--columns` go together"),
        (["--ui", "javascript:alert(1)"], "`--ui` must begin with http:// or https://"),
        (["--networks", "CNN25"], "unknown network 'CNN25': did you mean CNN-25"),
        (["--where", "pool1 is 4"], "`where` must be conditions"),
    ],
)
def test_mistakes_on_the_command_line_are_one_line_and_code_2(
    swept: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["report", "--no-figures", "--no-record", "--out", str(swept / "none"), *arguments])
    error = capsys.readouterr().err.strip()
    assert stopped.value.code == 2
    assert message in error
    assert len(error.splitlines()) == 1


def test_runs_that_differ_are_not_pooled_and_the_report_names_what_differs(
    workplace: Path,
) -> None:
    for seed in (0, 1):
        record({"arch": "CNN-25", "seed": seed}, 0.97, 0.9)
    record({"arch": "CNN-25", "seed": 0, "epochs": 20}, 0.5, 0.1)
    record({"arch": "CNN-25", "seed": 0}, 0.6, 0.1, data="e" * 64)
    record({"arch": "CNN-25", "seed": 0}, 0.7, 0.1, version="2")
    counted = results.counted(results.runs())
    table = main_table(counted, SYNTHETIC)
    assert row(table, arch="CNN-25")["test_auroc"] == pytest.approx(0.97)
    notes = " ".join(table.notes)
    assert "Left out: 1 run on the data set eeeeeeeeeeee" in notes
    assert "CNN-25: 1 run left out, with epochs=20 instead of 100" in notes
    assert "metric version 2 instead of 1" in notes
    own = user_table(counted, ["arch"], ["test_auroc"])
    assert [column.key for column in own.columns][:4] == [
        "arch", "dataset_sha256", "metric_version", "epochs"
    ]  # fmt: skip
    assert list(own.frame["n"].sort_values()) == [1, 1, 1, 2]
    assert any("Rows are split by `dataset_sha256`" in note for note in own.notes)


def test_the_full_protocol_comes_before_more_seeds_of_a_shorter_one(workplace: Path) -> None:
    record({"arch": "CNN-25"})
    for seed in (1, 2):
        record({"arch": "CNN-25", "seed": seed, "epochs": 20})
    found = trials(results.counted(results.runs()), "CNN-25", "test_auroc")
    assert list(found.runs["epochs"]) == [100]
    assert found.unlike == ()


def test_rows_with_two_readings_show_both_and_table_1_has_that_of_the_preset(
    workplace: Path,
) -> None:
    for seed in (0, 1):
        record({"arch": "CNN9-4", "seed": seed}, relevant=0.1)
        record({"arch": "CNN-50-2-released", "seed": seed}, 0.92)
        record({"arch": "CNN-50-2", "seed": seed}, 0.97)
    for seed in (0, 1, 2):
        record({"arch": "CNN9-4", "seed": seed, "window": 19}, relevant=0.4)
    counted = results.counted(results.runs())
    assert row(main_table(counted, SYNTHETIC), arch="CNN9-4")["conv1/match_relevant"] == 0.1
    found = readings_table(counted)
    assert found is not None
    shown = {one["reading"].partition(",")[0]: one for one in found.rows if one["n"]}
    assert shown["window of 9 nt"]["conv1/match_relevant"].mean == pytest.approx(0.1)
    assert shown["window of 19 nt"]["conv1/match_relevant"].mean == pytest.approx(0.4)
    assert shown["128 filters"]["test_auroc"].mean == pytest.approx(0.97)
    assert shown["64 filters"]["test_auroc"].mean == pytest.approx(0.92)


def test_deeper_layers_are_read_from_runs_that_have_them(workplace: Path) -> None:
    values = {"conv2/match_jaspar": 0.9, "conv2/match_relevant": 0.85}
    for seed in (0, 1, 2):
        options = {"arch": "CNN-1", "seed": seed, "layers": "conv1,conv2"}
        record(options, 0.97, 0.01, more={k: v + seed / 100 for k, v in values.items()})
    record({"arch": "CNN-1", "seed": 9}, 0.97, 0.5)
    counted = results.counted(results.runs())
    table = deeper_table(counted)
    found = row(table, arch="CNN-1", dataset="synthetic", layer="conv2")
    assert found["n"] == 3
    assert found["match_relevant"] == pytest.approx(0.86)
    assert found["match_relevant verdict"] == "agrees"
    assert row(table, arch="CNN-1", dataset="synthetic", layer="conv1")[
        "match_relevant"
    ] == pytest.approx(0.01)
    effect = row(statements_table(counted), networks="CNN-1", dataset="synthetic")
    assert effect["effect"] == pytest.approx(0.85)
    assert effect["verdict"] == "supported"


def test_an_empty_server_gives_the_published_tables_and_one_clear_sentence(
    workplace: Path,
) -> None:
    report = build(ReportRequest(), connect())
    assert report.summary == [
        "The tracking store has no runs yet: `python -m mlproject train` makes one."
    ]
    table = report.table("table1")
    assert table is not None
    assert len(table.commands) == 16
    assert set(report.pictures) == {"fig1"}
    with pytest.raises(UserError, match="needs finished runs"):
        build(ReportRequest(rows=("arch",), columns=("test_auroc",), figures=False), connect())


def test_one_run_failed_runs_and_runs_without_filters_give_a_report(workplace: Path) -> None:
    record({"arch": "CNN-25"}, 0.97, relevant=None)
    record({"arch": "CNN-2"}, status="FAILED")
    start({"arch": "CNN-4"})
    report = build(ReportRequest(), connect())
    assert report.summary[0] == ("3 runs, of which 1 count (left out: 1 failed, 1 running).")
    found = row(report.table("table1"), arch="CNN-25")
    assert found["test_auroc verdict"] == "cannot tell (n = 1)"
    assert found["conv1/match_relevant verdict"] == "no runs"
    assert "message" in report.pictures
    assert any("Atlas, synthetic sequences: no run with filters" in t for t in report.missing)
    states = report.table("runs")
    assert states is not None
    assert sorted(states.frame["state"]) == ["failed", "finished", "running"]


def test_runs_whose_filters_are_gone_are_named_and_the_rest_is_drawn(workplace: Path) -> None:
    gone = record({"arch": "CNN-25"}, 0.97, 0.9)
    record_filters({"arch": "CNN-2"}, reading(2))
    report = build(ReportRequest(), connect())
    assert report.atlases["synthetic"].networks == ("CNN-2",)
    assert [gone in text for text in report.unreadable] == [True]


def test_only_failed_runs_are_a_report_without_numbers(workplace: Path) -> None:
    record({"arch": "CNN-25"}, status="FAILED")
    report = build(ReportRequest(figures=False), connect())
    assert report.summary[0] == "1 run, of which 0 count (left out: 1 failed)."
    assert row(report.table("table1"), arch="CNN-25")["test_auroc verdict"] == "no runs"


def test_in_vivo_runs_fill_table_2_and_hard_factors_are_tested(workplace: Path) -> None:
    for seed in (0, 1):
        for arch, auroc, hard in (("CNN-25", 0.903, 0.0), ("CNN-25x120", 0.920, 2.0)):
            more = {f"conv1/filters/{name}": hard for name in ("Arid3a", "SP1", "STAT1")}
            more |= {f"conv1/filters/{name}": 1.0 for name in ("CEBPB", "MAX", "SRF", "YY1")}
            options = {"arch": arch, "seed": seed, "dataset": "peaks.h5"}
            record(options, auroc + seed / 1000, 0.7, more=more, data="f" * 64)
    report = build(ReportRequest(figures=False), connect())
    assert row(report.table("table2"), arch="CNN-25")["n"] == 2
    assert row(report.table("table1"), arch="CNN-25")["n"] == 0
    table = report.table("statements")
    assert table is not None
    verdicts = table.frame.set_index("statement")["verdict"]
    assert verdicts["In vivo, AUROC rises from 30 to 120 filters."] == "supported"
    assert verdicts["With 120 filters Arid3a, SP1, STAT1 are found."] == "supported"
    counted = results.counted(results.runs())
    assert filters_figure(counted) is not None
    assert message_figure(counted) is not None


def repeated(layer: LayerReading, size: int) -> LayerReading:
    """Return a layer with so many filters: those of another one, again and again."""
    motifs = tuple(
        layer.motifs[number % len(layer.motifs)]._replace(id=f"filter{number}")
        for number in range(size)
    )
    return layer._replace(motifs=motifs)


def test_figures_fit_a_page_and_their_smallest_text_can_be_read_there(made: WrittenReport) -> None:
    one = reading(FOUND["CNN-4"])
    layers = [Block(f"CNN {number}", repeated(one, size)) for number, size in enumerate(SIZES)]
    relevant = dict.fromkeys(("SP1", "MAX"), ())
    figures = {name: picture.figure for name, picture in made.report.pictures.items()}
    for count in (2, 6):
        figures[f"{count} networks"] = panel_figure(
            layers[:count], relevant, jaspar(), jaspar()[:5]
        )
    for name, figure in figures.items():
        assert figure.get_figwidth() <= 7.0, name
        texts = [one for one in figure.findobj(Text) if one.get_text().strip()]
        assert min(float(one.get_fontsize()) for one in texts) >= 6.5, name


def test_names_in_a_panel_stay_within_their_cell() -> None:
    assert fitted("MAX", 6.5, 0.68) == "MAX"
    short = fitted("STAT1::STAT2 and more", 6.5, 0.68, "bold")
    assert short.endswith("…")
    assert "STAT1" in short


def test_columns_are_shared_so_that_blocks_end_together() -> None:
    assert shares([30, 30, 30], 9) == [3, 3, 3]
    assert shares([30, 30, 30, 30], 9) == [2, 2, 2, 2]
    assert shares([30, 128], 9) == [2, 7]
    assert shares([30], 9) == [9]
    assert shares([120, 30], 9) == [7, 2]


def test_tables_are_what_the_statistics_module_makes_of_the_runs(made: WrittenReport) -> None:
    client = connect().client
    experiment = client.get_experiment_by_name("table1")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "attributes.status = 'FINISHED'")
    runs = [run.data for run in found if "mlproject.arch" in run.data.tags]
    source = files("mlproject.report").joinpath(
        "published", "koo_eddy_2019", "table1_synthetic.csv"
    )
    lines = csv.DictReader(source.read_text(encoding="utf-8").splitlines())
    theirs = {line["model"]: line for line in lines}
    names = {
        "test_auroc": "auroc",
        "conv1/match_jaspar": "match_jaspar",
        "conv1/match_relevant": "match_relevant",
    }
    table = made.report.table("table1")
    for arch in TRIALS:
        ours = row(table, arch=arch)
        trials = [run.metrics for run in runs if run.tags["mlproject.arch"] == arch]
        for metric, name in names.items():
            values = [trial[metric] for trial in trials]
            mean, sd = statistics.mean(values), statistics.stdev(values)
            difference = mean - float(theirs[arch][name])
            assert ours[metric] == pytest.approx(mean, abs=1e-12)
            assert ours[f"{metric} sd"] == pytest.approx(sd, abs=1e-12)
            assert ours[f"{metric} difference"] == pytest.approx(difference, abs=1e-12)
            sample = max(float(theirs[arch][f"{name}_sd"]) * math.sqrt(5 / 4), 0.0005)
            for end in ("low", "high") if sd else ():
                moved = mean - ours[f"{metric} {end}"]
                printed = float(theirs[arch][name])
                test = stats.ttest_ind_from_stats(moved, sd, 2, printed, sample, 5, equal_var=False)
                assert test.pvalue == pytest.approx(0.10)


def test_latex_tables_can_be_typeset(made: WrittenReport, tmp_path: Path) -> None:
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is missing: apt-get install texlive-latex-recommended")
    out = made.files[0].parent.parent
    tables = sorted((out / "tables").glob("*.tex"))
    assert len(tables) == len(made.report.tables)
    inputs = "\n".join(f"\\input{{{path}}}\\clearpage" for path in tables)
    text = "\\documentclass{article}\n\\usepackage{booktabs,graphicx}\n\\usepackage[T1]{fontenc}\n"
    (tmp_path / "all.tex").write_text(f"{text}\\begin{{document}}\n{inputs}\n\\end{{document}}\n")
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert f"({len(tables)} pages" in done.stdout.replace("\n", "")
    assert "LaTeX Warning: Unicode" not in done.stdout
