"""How pages are made: jinja2 that escapes everything and refuses names that nobody has set."""

from collections.abc import Callable

import jinja2


def template(name: str, **filters: Callable[..., object]) -> jinja2.Template:
    """Return a page's template of ``draw/templates`` with filters of its own."""
    return _template(name, True, **filters)


def text_template(name: str) -> jinja2.Template:
    """Return a template for plain text, in which nothing is escaped."""
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
