"""The documentation: the site is built without a warning, and the tutorials run."""

import csv
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE

ROOT = Path(__file__).parent.parent


def test_the_site_is_built_without_a_warning_or_another_server(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr[-3000:]
    assert "WARNING" not in built.stderr
    pages = {
        path.relative_to(tmp_path / "site").as_posix(): path.read_text(encoding="utf-8")
        for path in (tmp_path / "site").rglob("*.html")
    }
    assert {"index.html", "gallery.html", "tutorials/own_peaks.html", "changelog.html"} <= {*pages}
    assert 'id="mlproject.results.runs"' in pages["api/results.html"]
    assert 'id="mlproject.motifs.tomtom.tomtom"' in pages["api/motifs.html"]
    for name, page in pages.items():
        loaded = re.findall(
            r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(http[^"]*)', page
        )
        assert not loaded, name
        for link in (
            () if name == "404.html" else re.findall(r'(?:href|src)="([^"#:]+)(?:#[^"]*)?"', page)
        ):
            assert ((tmp_path / "site" / name).parent / link).exists(), (name, link)


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    pages = [
        ROOT / "README.md",
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
    ]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
            head, *rows = table.splitlines()
            for row in rows:
                assert _bars(row) == _bars(head), (page.name, row)


def _bars(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", row))


def test_the_numbers_of_the_paper_in_the_readme_are_those_of_the_published_table() -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    table = ROOT / "docs" / "reproduction" / "koo_eddy_2019" / "tables" / "table1.csv"
    with table.open(encoding="utf-8") as file:
        rows = {row["network"]: row for row in csv.DictReader(file) if row["arch"]}

    def shares(*pools: int) -> str:
        found = [float(rows[f"CNN-{pool}"]["conv1/match_relevant"]) for pool in pools]
        *first, last = (f"{100 * one:.0f}" for one in found)
        return f"{', '.join(first)} and {last} %"

    def count(metric: str, verdict: str = "agrees") -> int:
        return sum(row[f"{metric} verdict"] == verdict for row in rows.values())

    assert f"1, 2 and 4 nt, {shares(1, 2, 4)} of the filters match" in text
    assert f"10, 25, 50 and 100 nt, {shares(10, 25, 50, 100)} (" in text
    assert (
        f"Of {len(rows)} networks, {count('conv1/match_relevant')} have relevant matches "
        f"equivalent within ±0.10, and {count('test_auroc')} an AUROC equivalent within ±0.01; "
        f"{count('test_auroc', 'differs')} AUROC differs" in text
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("jaspar_to_logos", r"Found: .*CTCF \(\d+\)"),
        ("own_peaks", r"Found: CTCF \(\d+\), TP73 \(\d+\)"),
    ],
)
def test_a_tutorial_runs_and_finds_its_motifs(name: str, found: str) -> None:
    pytest.importorskip("nbclient")
    notebook = runpy.run_path(str(ROOT / "docs" / "notebooks.py"))["executed"](name, int(PATIENCE))
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    text = "".join(one.text for one in outputs if one.output_type == "stream")
    assert re.search(found, text), text
    pictures = [one for one in outputs if "image/png" in one.get("data", {})]
    assert len(pictures) == {"jaspar_to_logos": 3, "own_peaks": 2}[name]
