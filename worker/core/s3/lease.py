"""A lease: at most one process of a fleet does a thing at a time, by conditional writes to the state bucket."""

from typing import Self

import orjson

from worker.core.base.clock import S3Clock
from worker.core.base.errors import StoreError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import NO_CONDITIONS, State

LEASE_S = 60
"""A process that dies with a lease keeps the others waiting so long at most."""
_RENEW_BELOW = 2 / 3
"""It is renewed once less than this part of its time is left."""


class Lease:
    """A record in the state bucket that one process holds at a time, until a moment on S3's clock.

    Entering tries once to take it; leaving releases it. Where the store has no conditional writes, everyone holds it: what it
    guards must do no harm if two do it. Every method raises StoreError. For one thread.
    """

    def __init__(self, state: State, key: str, *, holder: str, clock: S3Clock) -> None:
        """`holder` names this process; a lease of the same name that it failed to release may be taken again."""
        self._state = state
        self._key = key
        self._holder = holder
        self._clock = clock
        self._etag: str | None = None
        self._until_ms = 0
        self._is_unguarded = False

    @property
    def is_held(self) -> bool:
        """Whether this process holds it, as far as it knows; `renew` asks S3."""
        return self._etag is not None or self._is_unguarded

    def __enter__(self) -> Self:
        found = self._state.get_with_etag(self._key)
        if found is None:
            self._claim(instead_of=None)
        elif self._is_free(found[0]):
            self._claim(instead_of=found[1])
        return self

    def __exit__(self, *_: object) -> None:
        if self._etag is not None and self._clock.now_ms() < self._until_ms:  # an expired one may be another's by now
            self._state.delete(self._key)
        self._etag = None

    def renew(self) -> bool:
        """Keep it, if a third of its time is used up; False if another holds it now, or it was never held."""
        if self._etag is not None and self._until_ms - self._clock.now_ms() < LEASE_S * 1000 * _RENEW_BELOW:
            self._claim(instead_of=self._etag)
        return self.is_held

    def _claim(self, *, instead_of: str | None) -> None:
        """Take it, unless someone else has written the record meanwhile."""
        until_ms = self._clock.now_ms() + LEASE_S * 1000
        record = orjson.dumps({"holder": self._holder, "until_ms": until_ms})
        try:
            self._etag = self._state.claim(self._key, record, instead_of=instead_of)
        except StoreError as error:
            if error.code not in NO_CONDITIONS:
                raise
            self._is_unguarded = True
            emit(LogEvent.STATE_FALLBACK, "warning", what="conditional writes", instead="no lease", error=str(error))
        self._until_ms = until_ms

    def _is_free(self, record: bytes) -> bool:
        """Whether a lease has ended: expired, unreadable, or this holder's own, which it failed to release.

        One that would last twice as long as any lease was written by a process whose clock was wrong: it is void.
        """
        try:
            found = orjson.loads(record)
            left_ms = found["until_ms"] - self._clock.now_ms()
            return bool(left_ms <= 0 or left_ms > 2 * LEASE_S * 1000 or found["holder"] == self._holder)
        except (ValueError, TypeError, KeyError):
            return True
