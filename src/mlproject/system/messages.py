"""Parts of messages: numbers of things, the first notes of many."""

from collections.abc import Callable

MOST_NOTES = 10


def quantity(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 run``, ``25,000 sequences``.

    Args:
        count: the number.
        one: the noun, or words that begin with it, for 1.
        many: the same for other numbers; "": `one` with an s.
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class FirstNotes:
    """Passes the first `MOST_NOTES` notes of a kind on, and counts all.

    Attributes:
        count: the notes so far.
    """

    def __init__(self, report: Callable[[str], object]) -> None:
        self._report = report
        self.count = 0

    def __call__(self, note: str) -> None:
        """Take the next note."""
        self.count += 1
        if self.count <= MOST_NOTES:
            self._report(note)

    @property
    def more(self) -> int:
        """The number of notes that were not passed on."""
        return max(self.count - MOST_NOTES, 0)
