"""The age rule: an observation is written only while it is fresh, and trusted only if its write is confirmed in time.

A removal keeps its version in the index only for `index.gc_deletes` (60 s or more). After that, a write with an older version is
accepted again and would bring back a document whose object is gone. So an observation that is too old is not written, and
one whose write was confirmed too late (the process was suspended, or the index was slow) counts as not written: in both
cases the object must be observed again. Everything that writes to the index does so through FreshWriter.
"""

import threading
from collections.abc import Callable, Sequence
from itertools import count

from worker.core.base.classify import is_transient
from worker.core.base.clock import S3Clock
from worker.core.base.errors import IndexUnavailableError
from worker.core.base.retry import retry_transient
from worker.core.base.settings import MAX_INDEX_TIMEOUT_S
from worker.core.base.throttle import Throttle
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.document import Write

MAX_OBSERVATION_AGE_MS = 30_000
"""An older observation is not written."""
MAX_WRITE_AGE_MS = MAX_OBSERVATION_AGE_MS + MAX_INDEX_TIMEOUT_S * 1000
"""A write confirmed longer than this after its observation is not trusted; `index.gc_deletes` is 60 s."""
UNAVAILABLE_TOGETHER = 10
"""If the index takes none of at least so many writes of one request, it is unavailable. With fewer, the documents themselves
may have a fault that the index does not report as one."""

_NOT_SENT = WriteResult(WriteStatus.STALE, "its observation is too old to be written safely")
_TOO_LATE = WriteResult(WriteStatus.STALE, "its write was confirmed too late to be trusted")

Send = Callable[[Sequence[Write]], list[WriteResult]]
"""Sends one bulk request; one result for each write, in order. Raises IndexUnavailableError."""


def is_fresh(observed_at_ms: int, *, now_ms: int) -> bool:
    """Whether an observation is recent enough to be written."""
    return now_ms - observed_at_ms <= MAX_OBSERVATION_AGE_MS


class FreshWriter:
    """Sends what is fresh, and reports what became of each write. May be used from any thread."""

    def __init__(self, clock: S3Clock, send: Send, throttle: Throttle) -> None:
        """`clock` is the one by which the observations were dated; `send` is Index.write, or a caller's own way to it.

        `throttle` is the index's: it is waited for before the age of the observations is looked at.
        """
        self._clock = clock
        self._throttle = throttle
        self._send = send

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """One attempt; one result for each write, in order. STALE is what must be observed again.

        Raises whatever `send` raises; then nothing is known of any write.
        """
        self._throttle.wait(len(writes))
        now_ms = self._clock.now_ms()
        places = [place for place, write in enumerate(writes) if is_fresh(write.version, now_ms=now_ms)]
        results = [_NOT_SENT] * len(writes)
        if not places:
            return results
        answers = self._send([writes[place] for place in places])
        trusted_from_ms = self._clock.now_ms() - MAX_WRITE_AGE_MS
        for place, answer in zip(places, answers, strict=True):
            too_late = answer.status is WriteStatus.WRITTEN and writes[place].version < trusted_from_ms
            results[place] = _TOO_LATE if too_late else answer
        return results

    def write_or_fail(self, writes: Sequence[Write], *, stop: threading.Event) -> list[WriteResult]:
        """As `write`, for a bounded run, which ends when the index is unavailable: up to three attempts.

        Every attempt sends only what is still fresh by then. Raises IndexUnavailableError where the request as a whole
        failed, where the index took none of many writes, or where nothing was fresh any more after a failed attempt.
        """
        attempts = count()

        def attempt() -> list[WriteResult]:
            is_first = next(attempts) == 0
            results = self.write(writes)
            _require_available(results, is_first=is_first)
            return results

        return retry_transient(attempt, transient=is_transient, stop=stop)


def _require_available(results: list[WriteResult], *, is_first: bool) -> None:
    """Raises IndexUnavailableError where these results mean that the index as a whole is unavailable."""
    sent = [result for result in results if result.status is not WriteStatus.STALE]
    if not sent and not is_first:
        raise IndexUnavailableError("the index took too long to answer: the observations are too old by now")
    if len(sent) >= UNAVAILABLE_TOGETHER and all(result.status is WriteStatus.UNAVAILABLE for result in sent):
        raise IndexUnavailableError(sent[0].reason)
