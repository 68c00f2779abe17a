"""Look for a rival of a run after each epoch, without a training that waits for the store."""

import threading
from collections.abc import Callable
from contextlib import suppress

from mlproject.store import STORE_ERRORS

WAIT_SECONDS = 5.0


class RivalWatch:
    """Asks the store in a thread; one question at a time.

    A store that answers is waited for. One that does not answer delays a training by at most
    `WAIT_SECONDS` for each question.
    """

    def __init__(self, ask: Callable[[], str | None]) -> None:
        """Prepare the watch; `ask` returns the rival, None if there is none."""
        self._ask = ask
        self._found: str | None = None
        self._thread: threading.Thread | None = None

    def look(self) -> str | None:
        """Return the rival as far as it is known."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="rivals", daemon=True)
            self._thread.start()
            self._thread.join(WAIT_SECONDS)
        return self._found

    def _work(self) -> None:
        with suppress(*STORE_ERRORS):
            self._found = self._ask()
