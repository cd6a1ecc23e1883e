"""Remembers the dead letters of one run and their dispositions, in order to recognize copies of them."""

from recovery.operations.engine import Disposition
from worker.core.sqs.dead_letter import DeadLetter

MAX_NAMES = 200_000
"""Maximum number of ids. The oldest are forgotten, which limits the memory; a copy that is not recognized does no harm."""


class DuplicateTracker:
    """Knows dead letters by their id in the DLQ and by their id in the source queue. Not thread-safe."""

    def __init__(self) -> None:
        self._names: dict[str, Disposition | None] = {}

    def add_if_new(self, dead_letter: DeadLetter) -> bool:
        """Remember a dead letter. Returns False if it, or a copy of it, is already known."""
        if dead_letter.id in self._names or dead_letter.identity in self._names:
            return False
        self.note(dead_letter, None)
        return True

    def note(self, dead_letter: DeadLetter, disposition: Disposition | None) -> None:
        """Remember the disposition of a dead letter."""
        self._names[dead_letter.id] = self._names[dead_letter.identity] = disposition
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def is_settled(self, dead_letter: DeadLetter) -> bool:
        """Whether this dead letter, or the one of which it is a copy, is settled."""
        return self._names.get(dead_letter.identity) not in {None, Disposition.KEPT}
