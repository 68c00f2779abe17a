"""The report as files: a page to browse, a README for a repository, tables and figures."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from mlproject.draw.letters import svg_letters
from mlproject.draw.output import save_figure, template
from mlproject.report.atlas import atlas_cards
from mlproject.report.document import Picture, Report
from mlproject.report.table import note_html, plain_markdown
from mlproject.system.errors import UserError
from mlproject.system.files import atomic_file, atomic_folder

MARK = "<!-- made by `python -m mlproject report` -->"
COLORS = 128


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write ``report.html``, ``README.md``, ``tables/`` and ``figures/`` and return their paths.

    Raises:
        UserError: the folder has a README.md that no report wrote, or cannot be written.
    """
    readme = folder / "README.md"
    if readme.exists() and MARK not in readme.read_text(encoding="utf-8", errors="replace"):
        raise UserError(
            f"`--out` must be a folder for reports only: no report wrote {readme}; name another one"
        )
    paths = []
    with atomic_folder(folder) as aside:
        for table in report.tables:
            paths += table.write(aside / "tables")
        for name, picture in report.pictures.items():
            paths += save_figure(picture.figure, aside / "figures" / name)
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
    """Return the HTML page, all ASCII; `images` are the data URLs of the pictures."""
    page = _template().render(
        report=report,
        images=images,
        glyphs=svg_letters() if report.atlases else "",
        atlases={kind: atlas_cards(atlas) for kind, atlas in report.atlases.items()},
        sections=_parts(report),
    )
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def markdown(report: Report) -> str:
    """Return the report as Markdown with relative links to the pictures."""
    parts = [MARK, f"# {plain_markdown(report.title)}", " ".join(report.summary)]
    if "message" in report.pictures:
        parts.append(_figure_markdown(report.pictures["message"]))
    tables = [table for table in report.tables if table.name != "runs"]
    first = [table for table in tables if table.name in report.first]
    rest = [table for table in tables if table not in first]
    parts += [table.markdown() for table in first]
    parts += [
        _figure_markdown(picture) for name, picture in report.pictures.items() if name != "message"
    ]
    parts += [table.markdown() for table in rest]
    parts += [f"- {plain_markdown(text)}" for text in (*report.unreadable, *report.missing)]
    parts.append(
        "All of this, sortable and with the atlas by network, is in [report.html](report.html); "
        "every table is in `tables/` as Markdown, HTML, CSV and LaTeX, every figure in `figures/` "
        "as PNG and PDF."
    )
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _figure_markdown(picture: Picture) -> str:
    image = f"![{picture.title}](figures/{picture.name}.png)"
    return f"### {picture.title}\n\n{image}\n\n{picture.caption}"


def _parts(report: Report) -> list[dict[str, Any]]:
    """Return the parts of the page: title, anchor, names of pictures, tables."""
    tables = {table.name: table for table in report.tables}
    return [
        {
            "title": part.title,
            "anchor": part.anchor,
            "pictures": part.pictures,
            "tables": [
                {
                    "title": one.title,
                    "html": one.html(),
                    "notes": [note_html(note) for note in one.notes],
                    "commands": one.commands,
                }
                for one in (tables[name] for name in part.tables)
            ],
        }
        for part in report.parts
    ]


def _embedded(path: Path) -> str:
    """Return a PNG as a data URL, with fewer colours to keep the page small."""
    return f"data:image/png;base64,{base64.b64encode(small(path)).decode()}"


def small(path: Path, colors: int = COLORS) -> bytes:
    """Return a PNG with fewer colours, about a third of its size."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        few = image.convert("RGB").quantize(colors, dither=Image.Dither.NONE)
        few.save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _template() -> jinja2.Template:
    return template("report.html.j2", note=note_html)
