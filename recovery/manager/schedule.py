"""When a dead letter is sent again by itself. Pure functions: what is known comes in, a record comes out.

Exponential with full jitter: before the n-th retry it waits a random part of FIRST × 2^(n-1), at most MAX, so that what failed
together does not return together.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from recovery.operations.dead_letters.message_types import MessageTypes
from recovery.operations.dead_letters.stored import is_retry
from worker.core.base.classify import FailureKind
from worker.core.sqs.stored_dead_letter import Retry, StoredDeadLetter, StoredState

NOT_RETRIED = "not retried: "
"""How the finding begins of what must not be sent by itself."""
USED_UP = "retries are used up: nothing resends it automatically"
"""How the finding ends of what has come back from its last retry."""


@dataclass(frozen=True, slots=True)
class RetryRules:
    """When dead letters are sent again by themselves, and how often."""

    first_s: float = 300.0
    max_s: float = 21_600.0
    times: int = 8
    groups: Mapping[str, int] = field(default_factory=dict)
    """By what a fingerprint begins with: how often the dead letters of that group are. The longest that fits counts."""

    def times_of(self, fingerprint: str) -> int:
        """How often a dead letter of this group is sent again by itself."""
        fitting = [prefix for prefix in self.groups if fingerprint.startswith(prefix)]
        return self.groups[max(fitting, key=len)] if fitting else self.times

    def wait_s(self, count: int, share: float) -> float:
        """How long it waits that was sent again `count` times; `share` of the longest time, which is 0 to 1."""
        longest_s = min(self.max_s, self.first_s * 2.0 ** min(count, 64))
        return share * longest_s


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Schedules what came, before its record is written. May be used from any thread."""

    rules: RetryRules
    types: MessageTypes
    now_ms: Callable[[], int]
    """On S3's clock."""
    share: Callable[[], float] = random.random

    def scheduled(self, stored: StoredDeadLetter) -> StoredDeadLetter:
        """The record of what has just arrived, with its next retry if it is to be retried."""
        if stored.state is not StoredState.OPEN or not self._is_retryable(stored):
            return stored
        count = stored.retry.count
        if count >= self._times(stored):
            return stored
        at_ms = self.now_ms() + int(self.rules.wait_s(count, self.share()) * 1000)
        return replace(stored, retry=Retry(count, at_ms))

    def is_used_up(self, stored: StoredDeadLetter) -> bool:
        """Whether it has come back from its last retry: nothing sends it by itself any more."""
        if stored.state is not StoredState.OPEN or stored.retry.at_ms is not None or stored.sent is None:
            return False
        return is_retry(stored.sent.run) and stored.retry.count >= self._times(stored) and self._is_retryable(stored)

    def _times(self, stored: StoredDeadLetter) -> int:
        failure = stored.dead_letter.failure
        return self.rules.times_of(failure.fingerprint if failure else "")

    def _is_retryable(self, stored: StoredDeadLetter) -> bool:
        dead_letter = stored.dead_letter
        return dead_letter.kind is FailureKind.RECOVERABLE and self.types.is_retried(dead_letter.body)


def scheduled_for(stored: StoredDeadLetter, at_ms: int, *, by: str) -> StoredDeadLetter:
    """The record of what is to be sent by itself at a time (ms) that somebody has chosen, however often it was already."""
    return replace(stored, retry=Retry(stored.retry.count, at_ms, by))


def unscheduled(stored: StoredDeadLetter) -> StoredDeadLetter:
    """The record of what nothing sends by itself any more."""
    return replace(stored, retry=Retry(stored.retry.count))


def without_retries(finding: str | None) -> str | None:
    """A finding; None in place of one that nothing sends the dead letter by itself, once somebody lets it be sent after all."""
    is_about_them = finding is not None and (finding.startswith(NOT_RETRIED) or finding.endswith(USED_UP))
    return None if is_about_them else finding
