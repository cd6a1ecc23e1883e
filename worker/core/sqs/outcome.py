"""What became of one message."""

from dataclasses import dataclass

from worker.core.base.classify import FailureKind, kind_of


@dataclass(frozen=True, slots=True)
class Done:
    """Its effect is durable: in the index, or in `retry-index/`."""

    note: str = ""
    """What was done, for log and metrics: indexed, removed, stored_for_retry, `skipped: <reason>`."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The message itself is at fault: to the DLQ."""

    error: BaseException

    @property
    def kind(self) -> FailureKind:
        """Whose fault it is."""
        return kind_of(self.error)


@dataclass(frozen=True, slots=True)
class Release:
    """Nothing was decided: the message becomes visible on the queue again after a delay."""

    delay_s: int
    reason: str


Outcome = Done | Failed | Release

_BADNESS = {Done: 0, Failed: 1, Release: 2}


def worst(a: Outcome, b: Outcome) -> Outcome:
    """The outcome of a message with several records: Release > Failed > Done, the first of equals."""
    if isinstance(a, Done) and not a.note:
        return b
    return b if _BADNESS[type(b)] > _BADNESS[type(a)] else a


def label(outcome: Outcome) -> str:
    """The outcome's name in logs and metrics."""
    return type(outcome).__name__.lower()
