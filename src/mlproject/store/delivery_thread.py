"""A thread that delivers a run's journal to the store, so that a training never waits for it."""

import os
import threading
import time

from mlproject.names import Tag
from mlproject.store.connection import StoreConnection
from mlproject.store.delivery import Delivery
from mlproject.store.errors import first_line
from mlproject.store.journal import Journal
from mlproject.system.interrupts import check_interrupts

HEARTBEAT_SECONDS = 30.0
RETRY_SECONDS = 30.0
GATHER_SECONDS = 0.2
STUCK_SECONDS = 60.0
AWAY_SECONDS = 15.0
LOOK_SECONDS = 0.5


class DeliveryThread:
    """Delivers a run's journal in the background and sends the run's heartbeat.

    Attributes:
        problem: why the last attempt failed, None if it succeeded.
    """

    def __init__(self, store: StoreConnection, journal: Journal) -> None:
        self.problem: str | None = None
        self._store = store
        self._journal = journal
        self._delivery = Delivery(journal, store.client, self._note_progress)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()
        self._written = 0
        self._arrived = 0
        self._attempts = 0
        self._failures = 0
        self._retry_at = 0.0
        self._progress_at = 0.0
        self._hurry = False
        self._verify = False
        self._stopped = False

    def wake(self) -> None:
        """Announce a new entry of the journal; return at once."""
        with self._changed:
            self._written += 1
            self._start()
            self._changed.notify_all()

    def start(self) -> None:
        """Start the heartbeat, which tells the store twice a minute that the run is alive."""
        with self._changed:
            self._start()

    def deliver(self, at_end: bool = False, verify: bool = False) -> bool:
        """Wait until the store has all entries, or until delivery is unlikely to succeed.

        The wait ends when an attempt that began after this call fails, or when nothing arrives for
        a minute (a quarter of a minute if the store has been away).

        Args:
            at_end: do not stop for a signal.
            verify: check that all artifacts are in the store, because the journal is removed next.

        Returns:
            Whether the store has all entries.

        Raises:
            Interrupted: a signal asks for the end of the run.
        """
        with self._changed:
            self._written += 1
            goal = self._written
            self._hurry, self._verify = True, self._verify or verify
            self._progress_at = time.monotonic()
            first = self._attempts
            self._start()
            self._changed.notify_all()
            while self._arrived < goal:
                if self._failures > first or self._stopped:
                    return False
                limit = STUCK_SECONDS if self.problem is None else AWAY_SECONDS
                left = self._progress_at + limit - time.monotonic()
                if left <= 0:
                    self.problem = self.problem or f"no answer for {limit:.0f} s"
                    return False
                self._changed.wait(min(left, LOOK_SECONDS))
                if not at_end:
                    check_interrupts()
        return True

    def stop(self) -> None:
        """Let the thread end after its current attempt; as a daemon it dies with the process."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _start(self) -> None:
        """Start the thread if this process has none: a forked process does not inherit it."""
        if self._stopped or (self._thread and self._process == os.getpid()):
            return
        self._process = os.getpid()
        self._thread = threading.Thread(
            target=self._work, name=f"delivery {self._journal.run_id}", daemon=True
        )
        self._thread.start()

    def _work(self) -> None:
        beat_at = time.monotonic() + HEARTBEAT_SECONDS
        while True:
            with self._changed:
                due, now = False, time.monotonic()
                while not self._stopped:
                    now = time.monotonic()
                    due = self._arrived < self._written and (self._hurry or now >= self._retry_at)
                    if due or now >= beat_at:
                        break
                    wait = beat_at - now
                    if self._arrived < self._written:
                        wait = min(wait, max(self._retry_at - now, 0.0))
                    self._changed.wait(wait)
                if due and not self._hurry:
                    self._changed.wait(GATHER_SECONDS)
                if self._stopped:
                    return
                goal, verify, self._hurry = self._written, self._verify, False
                self._attempts += 1
                number = self._attempts
            if now >= beat_at:
                self._journal.touch()
            error = self._attempt(due, verify, now >= beat_at)
            if now >= beat_at:
                beat_at = time.monotonic() + HEARTBEAT_SECONDS
            with self._changed:
                if error is None:
                    self._arrived = max(self._arrived, goal if due else 0)
                    self.problem = None
                else:
                    self._failures = number
                    self.problem = first_line(error)
                    self._retry_at = time.monotonic() + RETRY_SECONDS
                self._changed.notify_all()

    def _attempt(self, due: bool, verify: bool, beat: bool) -> Exception | None:
        try:
            self._store.check_file()
            if due:
                self._delivery.deliver()
                if verify:
                    self._delivery.restore_artifacts()
            if beat:
                now = f"{time.time():.0f}"
                self._store.client.set_tag(self._journal.run_id, Tag.HEARTBEAT, now)
        except Exception as error:  # only the run itself can report it
            return error
        return None

    def _note_progress(self) -> None:
        with self._changed:
            self._progress_at = time.monotonic()
