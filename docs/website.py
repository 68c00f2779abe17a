"""Hooks of the documentation site, see mkdocs.yml: pages that are made, links out of docs/."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
OTHERS = {"benchmarks.md": "benchmarks/README.md", "changelog.md": "CHANGELOG.md"}
API = {
    "results": (
        "Results",
        "Recorded runs as tables and objects.",
        ["results"],
    ),
    "spec": (
        "Specs and runs",
        "`make_spec` builds a spec from flat names, and `run` trains, reads and records it.",
        ["architectures", "spec", "run.run", "run.context"],
    ),
    "data": (
        "Data sets",
        "The data set file, what makes one, and the synthetic data.",
        ["data", "data.dataset", "data.fasta", "data.peaks", "data.table", "data.synthetic"],
    ),
    "sequence": (
        "Sequences and lengths",
        "Codes, one-hot arrays and shuffles; receptive fields.",
        ["sequence", "geometry"],
    ),
    "motifs": (
        "Motifs",
        "Motifs, MEME files, databases and Tomtom.",
        ["motifs.pwm", "motifs.meme", "motifs.databases", "motifs.tomtom"],
    ),
    "network": (
        "Networks",
        "Build, train, test and save a network.",
        ["network.build", "network.training", "network.evaluation", "network.saving"],
    ),
    "filters": (
        "Filters",
        "From activations to motifs, matches and sites.",
        ["filters.scan", "filters.align", "filters.reading", "filters.truth", "filters.ablation"],
    ),
    "attribution": (
        "Attribution",
        "Scores of single letters; TF-MoDISco.",
        [
            "attribution",
            *("attribution.methods", "attribution.scores"),
            *("attribution.truth", "attribution.patterns"),
        ],
    ),
    "insilico": (
        "In-silico experiments",
        "Motifs in backgrounds, and alleles in windows.",
        ["insilico.embedding", "insilico.experiments", "insilico.variants"],
    ),
    "draw": (
        "Drawings",
        "Logos, tracks and curves.",
        ["draw.logos", "draw.tracks", "draw.curves", "draw.output"],
    ),
}  # fmt: skip


def api_page(title: str, line: str, modules: list[str]) -> str:
    """Return the page of some modules, in Markdown for mkdocstrings."""
    parts = [f"# {title}\n\n{line}\n"]
    options = "    options:\n      heading_level: 3\n      show_root_heading: false\n"
    parts += [f"## `mlproject.{name}`\n\n::: mlproject.{name}\n{options}" for name in modules]
    return "\n".join(parts)


def notebook_page(path: Path) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by the name of their file."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for kind, content in _outputs(cell.outputs):
            if kind == "image/png":
                name = f"{path.stem}_{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode(content)
                parts.append(f"![output]({name})")
            else:
                parts.append(
                    content if kind == "text/html" else f"```text\n{content.rstrip()}\n```"
                )
    return "\n\n".join(parts), pictures


def _outputs(outputs: list[Any]) -> Iterator[tuple[str, str]]:
    """Yield the type and the content of what a cell shows."""
    for one in outputs:
        if one.output_type == "stream":
            yield "text/plain", one.text
        else:
            kind = next(k for k in ("image/png", "text/html", "text/plain") if k in one.data)
            yield kind, re.sub(r"(?s)<style.*?</style>\s*", "", one.data[kind])


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the API pages where the navigation says ``api``."""
    for entry in config.nav or []:
        for title, value in entry.items():
            if value == "api":
                entry[title] = [f"api/{name}.md" for name in API]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the API pages, the notebooks, and pages that lie outside docs/."""
    made = {f"api/{name}.md": api_page(*page) for name, page in API.items()}
    made |= {name: (ROOT / path).read_text("utf-8") for name, path in OTHERS.items()}
    notebooks = {}
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        text, pictures = notebook_page(ROOT / "docs" / file.src_uri)
        made[file.src_uri.replace(".ipynb", ".md")] = text
        folder = file.src_uri.rpartition("/")[0]
        notebooks |= {f"{folder}/{name}": content for name, content in pictures.items()}
    for name, content in (made | notebooks).items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point links out of docs/ to pages of the site, or write the name of the file."""
    here = page.file.src_uri
    folder = (ROOT / OTHERS[here] if here in OTHERS else ROOT / "docs" / here).parent

    def link(found: re.Match[str]) -> str:
        text, target, anchor = found.groups()
        path = (folder / target).resolve()
        if not path.is_relative_to(ROOT):
            return found.group()
        name = path.relative_to(ROOT).as_posix()
        page_of = {path: name for name, path in OTHERS.items()}
        up = "../" * here.count("/")
        if name in page_of:
            return f"[{text}]({up}{page_of[name]}{anchor or ''})"
        if path.is_relative_to(ROOT / "docs") and here not in OTHERS:
            return found.group().replace(".ipynb", ".md")
        if path.is_relative_to(ROOT / "docs") and path.suffix != ".py":
            return f"[{text}]({up}{name.removeprefix('docs/')}{anchor or ''})"
        return text if text.strip("`") in name else f"{text} (`{name}`)"

    return re.sub(r"(?<!!)\[([^\]]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)", link, markdown)
