"""Parts of messages: the first notes of many."""

from collections.abc import Callable

MOST_NOTES = 10


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
