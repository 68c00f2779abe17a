"""The report as files: a page to browse, a README for a repository, tables and figures."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from mlproject.draw.logos import save
from mlproject.draw.svg import glyphs
from mlproject.draw.templating import template
from mlproject.report.atlas import atlas_cards
from mlproject.report.content import Picture, Report
from mlproject.report.table import note_html, plain_markdown
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file, atomic_folder

MARK = "<!-- made by `python -m mlproject report` -->"
COLORS = 128
README_TABLES = (
    "table1",
    "table2",
    "deeper_layers",
    "joint",
    "readings",
    "statements",
    "truth_filters",
)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write ``report.html``, ``README.md``, ``tables/`` and ``figures/`` and return their paths.

    Raises:
        UserError: the folder has a README.md that is not ours, or cannot be written.
    """
    readme = folder / "README.md"
    if readme.exists() and MARK not in readme.read_text(encoding="utf-8", errors="replace"):
        raise UserError(
            f"`--out` must be a folder of its own: {readme} is not a report's; name another"
        )
    paths = []
    with atomic_folder(folder) as aside:
        for table in report.tables:
            paths += table.write(aside / "tables")
        for name, picture in report.pictures.items():
            paths += save(picture.figure, aside / "figures" / name)
        images = {name: _embedded(aside / "figures" / f"{name}.png") for name in report.pictures}
        for path, text in (
            (aside / "report.html", render(report, images)),
            (aside / "README.md", markdown(report)),
        ):
            with atomic_file(path) as file:
                file.write(text.encode())
            paths.append(path)
        return [folder / path.relative_to(aside) for path in paths]


def render(report: Report, images: dict[str, str]) -> str:
    """Return the page, all ASCII; `images` are data addresses of the pictures."""
    page = _template().render(
        report=report,
        images=images,
        glyphs=glyphs() if report.atlases else "",
        atlases={kind: atlas_cards(atlas) for kind, atlas in report.atlases.items()},
        sections=_sections(report),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def markdown(report: Report) -> str:
    """Return the report as GitHub reads it, pictures by relative links."""
    parts = [MARK, f"# {plain_markdown(report.title)}", " ".join(report.summary)]
    if "message" in report.pictures:
        parts.append(_figure_markdown("message", report.pictures["message"]))
    tables = [table for table in report.tables if table.name != "runs"]
    first = [table for table in tables if table.name in ("custom", *README_TABLES)]
    rest = [table for table in tables if table not in first]
    parts += [table.markdown() for table in first]
    parts += [
        _figure_markdown(name, picture)
        for name, picture in report.pictures.items()
        if name != "message"
    ]
    parts += [table.markdown() for table in rest]
    parts += [f"- {plain_markdown(text)}" for text in (*report.unreadable, *report.missing)]
    parts.append(
        "All of this, sortable and with the atlas by network, is in [report.html](report.html); "
        "every table is in `tables/` as Markdown, HTML, CSV and LaTeX, every figure in `figures/` "
        "as PNG and PDF."
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _figure_markdown(name: str, picture: Picture) -> str:
    return f"### {picture.title}\n\n![{picture.title}](figures/{name}.png)\n\n{picture.caption}"


def _sections(report: Report) -> list[dict[str, Any]]:
    """Return the page's sections: title, anchor, names of pictures, tables, atlas."""
    of = {table.name: table for table in report.tables}

    def tables(*starts: str) -> list[Any]:
        return [table for name, table in of.items() if name.startswith(starts)]

    sections = [
        ("Your table", "custom", [], tables("custom")),
        ("Pool size", "pool", ["message"], []),
        ("Synthetic sequences", "synthetic", [], tables("table1")),
        ("In vivo sequences", "invivo", [], tables("table2")),
        ("Deeper layers", "deeper", ["figS1", "figS2"], tables("deeper")),
        ("All cells together", "joint", [], tables("joint", "readings")),
        ("Statements", "statements", [], tables("statements")),
        (
            "Filters and attributions against the truth",
            "truth",
            ["truth_filters", "truth_attributions"],
            tables("truth"),
        ),
        ("Atlas", "atlas", [n for n in report.pictures if n.startswith("atlas")], []),
        ("Factors", "factors", [], tables("factors")),
        (
            "Filters side by side",
            "filters",
            ["fig2", "fig3", "fig4", "networks_synthetic", "networks_in_vivo"],
            [],
        ),
        ("Number of filters", "count", ["filters"], []),
        ("Accuracy and interpretability", "pareto", ["pareto"], []),
        ("Alignment and protocol", "protocol", [], tables("alignments", "protocols")),
        ("Toy model", "toy", ["fig1"], []),
        ("Runs", "runs", [], tables("cost", "runs")),
    ]
    return [
        {
            "title": title,
            "anchor": anchor,
            "pictures": [name for name in names if name in report.pictures],
            "tables": [
                {
                    "title": one.title,
                    "html": one.html(),
                    "notes": [note_html(note) for note in one.notes],
                    "commands": one.commands,
                }
                for one in found
            ],
        }
        for title, anchor, names, found in sections
        if found or any(name in report.pictures for name in names)
    ]


def _embedded(path: Path) -> str:
    """Return a PNG as a data address, with fewer colours to keep the page small."""
    return f"data:image/png;base64,{base64.b64encode(small(path)).decode()}"


def small(path: Path, colors: int = COLORS) -> bytes:
    """Return a PNG with fewer colours, which is a third of its size."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(colors, dither=Image.Dither.NONE)
        few.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _template() -> jinja2.Template:
    return template("report.html.j2", note=note_html)
