"""What became of the letters of one run, for the copies of them that come later."""

from recovery.actions import Finding
from recovery.letters import Letter

MAX_NAMES = 200_000
"""Beyond, the oldest are forgotten: memory stays bounded, and a copy that comes so late is harmless."""


class Seen:
    """Letters by their id in the DLQ and by the one they had in their source queue. Not thread-safe."""

    def __init__(self) -> None:
        self._names: dict[str, Finding | None] = {}

    def is_copy(self, letter: Letter) -> bool:
        """Whether this letter, or another copy of it, has been seen; from now on it has."""
        if letter.id in self._names or letter.identity in self._names:
            return True
        self.note(letter, None)
        return False

    def note(self, letter: Letter, finding: Finding | None) -> None:
        """What it came to."""
        self._names[letter.id] = self._names[letter.identity] = finding
        while len(self._names) > MAX_NAMES:
            del self._names[next(iter(self._names))]

    def is_settled(self, letter: Letter) -> bool:
        """Whether it, or the letter it is a copy of, is safe elsewhere."""
        return self._names.get(letter.identity) not in {None, Finding.KEPT}

    def has_all(self, ids: frozenset[str]) -> bool:
        """Whether all of these have been seen."""
        return ids <= self._names.keys()
