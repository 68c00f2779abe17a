"""The exception for users' mistakes, and the parts of its messages."""

import difflib
from collections.abc import Iterable

LONGEST = 100  # characters of a name in a comparison with others
SHOWN = 60  # characters of a value in a message


class UserError(ValueError):
    """A user's mistake: one line with the rule, the value received and what to do.

    The command line prints the message without a traceback and exits with code 2. Line ends and
    control characters in the received value are printed as escapes.
    """

    def __str__(self) -> str:
        text = super().__str__()
        if text.isprintable():
            return text
        return "".join(
            one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
        )


def reason(error: BaseException) -> str:
    """Return the first 300 characters of the first line of an error's message, else its class."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def short_repr(value: object) -> str:
    """Return the `repr` of a value, shortened to about `SHOWN` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python does not format integers of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``"did you mean a, b?"`` with the names in `allowed` most similar to `name`.

    Names whose words have `name` as their initials come first: ``lr`` means ``learning_rate``.
    """
    names, name = sorted(allowed), name[:LONGEST]
    lower = {other.lower(): other for other in names}
    short = name.lower()
    close = [other for other in lower if len(short) > 1 and _initials(other) == short]
    close += difflib.get_close_matches(short, list(lower), n=3, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(dict.fromkeys(lower[other] for other in close[:3]))}?"
    return f"allowed: {', '.join(names)}"


def _initials(name: str) -> str:
    return "".join(word[0] for word in name.split("_") if word)
