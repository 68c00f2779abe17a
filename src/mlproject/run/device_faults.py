"""The faults of a device during a training, counted in a tag of the run."""

import sys
from collections.abc import Sequence

from mlproject.names import Tag
from mlproject.store import Tracker

LONGEST = 5000  # characters of a tag in MLflow


class DeviceFaults:
    """Called with each corrupted element; the tag has their number and names.

    Args:
        tracker: records the run.
        earlier: elements that were corrupted before the run began.
    """

    def __init__(self, tracker: Tracker, earlier: Sequence[str] = ()) -> None:
        self._tracker, self._found = tracker, [*earlier]
        if self._found:
            self._count()

    def __call__(self, element: str) -> None:
        self._found.append(element)
        self._count()
        print(f"warning: the device corrupted {element}; repeating the epoch", file=sys.stderr)

    def _count(self) -> None:
        text = f"{len(self._found)}: {', '.join(self._found)}"
        self._tracker.tags({Tag.DEVICE_FAULTS: text[:LONGEST]})
