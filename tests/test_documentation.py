"""The documentation: the site is built without a warning, and the tutorials run."""

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
