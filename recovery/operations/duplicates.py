"""What became of the letters of one run, for the copies of them that come later."""

from recovery.operations.dead_letters import DeadLetter
from recovery.operations.engine import Disposition

MAX_NAMES = 200_000
"""Beyond, the oldest are forgotten: memory stays bounded, and a copy that comes so late is harmless."""


class DuplicateTracker:
    """Letters by their id in the DLQ and by the one they had in their source queue. Not thread-safe."""

    def __init__(self) -> None:
        self._names: dict[str, Disposition | None] = {}

    def is_copy(self, dead_letter: DeadLetter) -> bool:
        """Whether this letter, or another copy of it, has been seen; from now on it has."""
        if dead_letter.id in self._names or dead_letter.identity in self._names:
            return True
        self.note(dead_letter, None)
        return False

    def note(self, dead_letter: DeadLetter, disposition: Disposition | None) -> None:
        """What it came to."""
        self._names[dead_letter.id] = self._names[dead_letter.identity] = disposition
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def is_settled(self, dead_letter: DeadLetter) -> bool:
        """Whether it, or the letter it is a copy of, is safe elsewhere."""
        return self._names.get(dead_letter.identity) not in {None, Disposition.KEPT}

    def has_all(self, ids: frozenset[str]) -> bool:
        """Whether all of these have been seen."""
        return ids <= self._names.keys()
