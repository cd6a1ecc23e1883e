"""Tells when a run itself is wrong: a mistyped bucket or a broken mapping must not empty the DLQ."""

from collections import Counter
from collections.abc import Sequence

from recovery.operations.engine import Disposition, Verdict
from worker.core.base.errors import ConfigError
from worker.core.indexing.reindexer import UndecidedLimit

ENOUGH = 100
"""Dead letters handled before a proportion of them says anything."""


class AbortPolicy:
    """Counts what became of dead letters."""

    def __init__(self) -> None:
        self._handled = 0
        self._gone = 0
        self._undecided = UndecidedLimit("messages")
        self._unforeseen: Counter[str] = Counter()
        """Archived or rejected, by what failed, where the dead letter's own failure record does not name that."""

    @property
    def has_heard_enough(self) -> bool:
        """Whether a proportion of what was handled says something."""
        return self._handled >= ENOUGH

    def hear(self, verdicts: Sequence[Verdict]) -> None:
        """Take in one batch. Raises ConfigError or DependencyError where the run must not go on."""
        for verdict in verdicts:
            self._handled += 1
            self._gone += verdict.disposition is Disposition.GONE
            if verdict.disposition in {Disposition.ARCHIVED, Disposition.STORED_FOR_RETRY} and not _foreseen(verdict):
                self._unforeseen[verdict.error_type] += 1
        self._undecided.count(one.reason if one.disposition is Disposition.KEPT else None for one in verdicts)
        if not self.has_heard_enough:
            return
        if self._gone * 2 > self._handled:
            raise ConfigError(
                f"of {self._handled} messages {self._gone} point at objects that are gone: is S3_BUCKET right, and the "
                "region and endpoint? Their bodies are in the audit"
            )
        for error_type, count in self._unforeseen.most_common(1):
            if count * 2 > self._handled:
                raise ConfigError(
                    f"of {self._handled} messages {count} failed with {error_type}, which is not what brought them to the "
                    "DLQ: look at the settings and at the index's mapping"
                )


def _foreseen(verdict: Verdict) -> bool:
    """Whether the dead letter's failure record names what failed now."""
    failure = verdict.dead_letter.failure
    name, _, code = verdict.error_type.partition(" ")
    return failure is not None and failure.error_type == name and code in failure.message
