"""The one exception that means: the user has to change something."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that only the user can mend: one line with the rule, the value and what to do.

    The command line prints the message without a traceback and exits with code 2.
    """


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``"did you mean a, b?"`` for the names in `allowed` that are nearest to `name`."""
    names = sorted(allowed)
    lower = {other.lower(): other for other in names}
    close = difflib.get_close_matches(name.lower(), list(lower), n=3, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(lower[other] for other in close)}?"
    return f"allowed: {', '.join(names)}"
