"""Types of arguments that the scripts share: `argparse` refuses a wrong one with one line."""

import argparse
from collections.abc import Callable
from pathlib import Path


def at_least(least: int) -> Callable[[str], int]:
    """Return the type of a whole number that has a least value."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more: got {value}")
        return value

    return number


def existing(text: str) -> Path:
    """Return the path of a file or folder that exists."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"must exist: got {text}")
    return path
