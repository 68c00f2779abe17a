"""Figures and pages as files."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
import matplotlib
from matplotlib.figure import Figure

from mlproject.system.files import atomic_file


def save_figure(figure: Figure, stem: Path, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Write a figure as ``<stem>.png`` (200 dpi) and ``<stem>.pdf``, each atomically.

    The same figure gives the same bytes. The folder is made if it does not exist.

    Raises:
        UserError: a file cannot be written.
    """
    paths = []
    for kind in formats:
        buffer = io.BytesIO()
        metadata = {"CreationDate": None} if kind == "pdf" else {}
        with matplotlib.rc_context({"pdf.fonttype": 42}):
            figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
        path = stem.with_name(f"{stem.name}.{kind}")
        with atomic_file(path) as file:
            rest = buffer.getbuffer()
            while rest:
                rest = rest[file.write(rest) :]
        paths.append(path)
    return paths


def template(name: str, **filters: Callable[..., object]) -> jinja2.Template:
    """Return an HTML template of ``draw/templates``, which escapes everything.

    A template raises an error for a name that is not set.
    """
    return _template(name, True, **filters)


def text_template(name: str) -> jinja2.Template:
    """Return a template for plain text, which escapes nothing."""
    return _template(name, False)


def _template(name: str, escape: bool, **filters: Callable[..., object]) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlproject", "draw/templates"),
        autoescape=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
