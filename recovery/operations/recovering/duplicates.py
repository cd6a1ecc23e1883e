"""What became of the dead letters of one run, for the copies of them that come later."""

from recovery.operations.engine import Disposition
from worker.core.sqs.dead_letter import DeadLetter

MAX_NAMES = 200_000
"""Beyond, the oldest are forgotten: memory stays bounded, and a copy that comes so late does no harm."""


class DuplicateTracker:
    """Dead letters by their id in the DLQ and by the one they had in their source queue. Not thread-safe."""

    def __init__(self) -> None:
        self._names: dict[str, Disposition | None] = {}

    def add_if_new(self, dead_letter: DeadLetter) -> bool:
        """Remember it; False where it, or another copy of it, was remembered before."""
        if dead_letter.id in self._names or dead_letter.identity in self._names:
            return False
        self.note(dead_letter, None)
        return True

    def note(self, dead_letter: DeadLetter, disposition: Disposition | None) -> None:
        """Remember what it came to."""
        self._names[dead_letter.id] = self._names[dead_letter.identity] = disposition
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def is_settled(self, dead_letter: DeadLetter) -> bool:
        """Whether it, or the dead letter it is a copy of, is safe elsewhere."""
        return self._names.get(dead_letter.identity) not in {None, Disposition.KEPT}

    def has_all(self, ids: frozenset[str]) -> bool:
        """Whether all of these are remembered."""
        return ids <= self._names.keys()
