"""Facts that are read at most every few seconds, however many look at them, and for which nobody waits long."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from worker.core.base.errors import WorkerError
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit

FRESH_S = 10.0
"""For how many seconds a fact is not read again."""
STALE_S = 60.0
"""Up to which age in seconds a fact is shown while it is read again; an older one is waited for."""
PATIENCE_S = 2.0
"""How many seconds anybody waits for a fact: a call to a service that does not answer takes up to 60 s to fail."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """What is known of one thing. Times are ms since the epoch."""

    value: T | None = None
    """What was read last; it may be None by itself."""
    at_ms: int = 0
    """When that was read; 0: never."""
    why: str = ""
    """Why it is not known now; empty if it is."""
    unknown_since_ms: int = 0
    """Since when it is not known; 0 if it is."""

    @property
    def is_known(self) -> bool:
        """Whether the value is that of now, as far as anybody can tell."""
        return self.at_ms > 0 and not self.why

    @property
    def now(self) -> T | None:
        """The value if it is known."""
        return self.value if self.is_known else None


class Watched(Generic[T]):
    """One fact, and how it is read. May be used from any thread."""

    def __init__(
        self,
        name: str,
        read: Callable[[], T],
        *,
        fresh_s: float = FRESH_S,
        stale_s: float | None = None,
        patience_s: float | None = None,
    ) -> None:
        """`read` is called on a thread of its own, never twice at once; a WorkerError that it raises is why it is not known.

        `stale_s` and `patience_s`: None is STALE_S and PATIENCE_S.
        """
        self._stale_s = stale_s
        self._patience_s = patience_s
        self._name = name
        self._read = read
        self._fresh_s = fresh_s
        self._changed = threading.Condition()
        self._fact: Fact[T] = Fact()
        self._tried_at = float("-inf")
        """When the last reading ended, in monotonic seconds."""
        self._began_at = 0.0
        self._is_reading = False
        self._is_outdated = False
        """Whether the reading under way began before `forget`."""

    def begin(self) -> None:
        """Begin to read it, unless it is fresh or being read."""
        with self._changed:
            if self._is_reading or time.monotonic() - self._tried_at <= self._fresh_s:
                return
            self._is_reading, self._began_at = True, time.monotonic()
            threading.Thread(target=self._run, name=f"fact-{self._name}", daemon=True).start()

    def get(self) -> Fact[T]:
        """What is known: a fact that is a little old at once, another after the patience at the latest."""
        self.begin()
        stale_s = STALE_S if self._stale_s is None else self._stale_s
        patience_s = PATIENCE_S if self._patience_s is None else self._patience_s
        with self._changed:
            if self._fact.is_known and time.monotonic() - self._tried_at <= stale_s:
                return self._fact
            until = self._began_at + patience_s
            while self._is_reading and (left_s := until - time.monotonic()) > 0:
                self._changed.wait(left_s)
            if self._is_reading and not self._fact.why:
                self._fail(f"no answer within {patience_s:g} s")
            return self._fact

    def forget(self) -> None:
        """Somebody has changed it: whoever asks next waits for what it is now."""
        with self._changed:
            self._tried_at = float("-inf")
            self._is_outdated = self._is_reading
            if self._is_reading:
                self._began_at = time.monotonic()

    def _run(self) -> None:
        while True:
            found = self._ask()
            with self._changed:
                if self._is_outdated:
                    self._is_outdated = False
                    continue
                if isinstance(found, _Failure):
                    self._fail(found.why)
                else:
                    self._fact = Fact(found, _now_ms())
                self._is_reading, self._tried_at = False, time.monotonic()
                self._changed.notify_all()
                return

    def _ask(self) -> "T | _Failure":
        try:
            return self._read()
        except WorkerError as error:
            return _Failure(str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 (a bug in one fact hides no other; it is reported)
            emit(LogEvent.FIGURES_NOT_READ, "error", what=self._name, error=repr(error))
            return _Failure(f"{type(error).__name__}: {error}")

    def _fail(self, why: str) -> None:
        self._fact = replace(self._fact, why=why, unknown_since_ms=self._fact.unknown_since_ms or _now_ms())


@dataclass(frozen=True, slots=True)
class _Failure:
    why: str


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
