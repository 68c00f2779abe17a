"""How pages are made: jinja2 that escapes everything and refuses names that nobody has set."""

from collections.abc import Callable

import jinja2


def template(name: str, **filters: Callable[..., object]) -> jinja2.Template:
    """Return a template of ``report/templates`` with filters of its own."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mlproject", "report/templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)
