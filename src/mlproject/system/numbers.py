"""Whole numbers in texts of users and of files."""

import re

_digits = re.compile(r"[0-9]{1,18}").fullmatch


def whole_number(text: str) -> int | None:
    """Return the number that up to 18 decimal digits say, None for any other text."""
    return int(text) if _digits(text) else None
