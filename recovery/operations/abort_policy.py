"""Decides when a run must be aborted: a mistyped bucket or a broken mapping must not empty the DLQ."""

from collections import Counter
from collections.abc import Sequence

from recovery.operations.engine import Disposition, Verdict
from worker.core.base.errors import ConfigError

MIN_HANDLED = 100
"""Minimum number of dead letters before proportions are evaluated."""


class AbortPolicy:
    """Counts the verdicts of one run, and aborts the run if they indicate a wrong configuration."""

    def __init__(self, *, accept_gone: bool = False, accept_skipped: bool = False) -> None:
        """An operator has confirmed that most objects are gone, or that most messages have nothing to index."""
        self._accept_gone = accept_gone
        self._accept_skipped = accept_skipped
        self._handled = 0
        self._gone = 0
        self._skipped = 0
        self._unforeseen: Counter[str] = Counter()
        """Number of archived or rejected dead letters by error, if the error differs from the one in their failure record."""

    @property
    def has_handled_enough(self) -> bool:
        """Whether enough dead letters were handled to evaluate proportions."""
        return self._handled >= MIN_HANDLED

    def add(self, verdicts: Sequence[Verdict]) -> None:
        """Count the verdicts of one batch. Raises ConfigError if the run must be aborted."""
        for verdict in verdicts:
            self._handled += 1
            self._gone += verdict.disposition is Disposition.GONE
            self._skipped += verdict.disposition is Disposition.SKIPPED
            if verdict.disposition in {Disposition.ARCHIVED, Disposition.STORED_FOR_RETRY} and not _foreseen(verdict):
                self._unforeseen[verdict.error_type] += 1
        if not self.has_handled_enough:
            return
        if self._skipped * 2 > self._handled and not self._accept_skipped:
            raise ConfigError(
                f"{self._skipped} of {self._handled} messages have nothing to index: check INCLUDE_KEYS and EXCLUDE_KEYS, "
                "then confirm with --accept-skipped. Those already settled are in dlq-archive/"
            )
        if self._gone * 2 > self._handled and not self._accept_gone:
            raise ConfigError(
                f"{self._gone} of {self._handled} messages refer to objects that are gone: check S3_BUCKET, the region and "
                "the endpoint, then confirm with --accept-gone. The bodies of those already deleted are in the audit"
            )
        for error_type, count in self._unforeseen.most_common(1):
            if count * 2 > self._handled:
                raise ConfigError(
                    f"{count} of {self._handled} messages failed with {error_type}, which is not the error that brought them "
                    "to the DLQ: check the settings and the mapping of the index"
                )


def _foreseen(verdict: Verdict) -> bool:
    """Whether the present error is the one in the dead letter's failure record."""
    failure = verdict.dead_letter.failure
    name, _, code = verdict.error_type.partition(" ")
    return failure is not None and failure.error_type == name and code in failure.message
