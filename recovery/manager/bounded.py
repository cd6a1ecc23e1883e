"""Asks services without waiting for them longer than a person who looks at a page does.

A call that takes longer goes on by itself, on a daemon thread, so that it keeps neither a request nor the manager's end waiting.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from worker.core.base.errors import WorkerError

T = TypeVar("T")
TOO_MUCH = "too much is being asked at this moment; ask again"
NO_ANSWER = "NoAnswer"
"""The code of a StoreError where S3 has not answered in time."""


class NoAnswerError(WorkerError):
    """Raised when something that was asked has not answered in time, or could not be asked yet."""

    def __init__(self, message: str, *, was_asked: bool = True) -> None:
        """`was_asked`: whether it is what was asked that has not answered; else, too much is asked already."""
        super().__init__(message)
        self._was_asked = was_asked

    def naming(self, asked: str) -> str:
        """The message as a sentence that names what was asked."""
        return f"{asked} {self}" if self._was_asked else str(self)


class Bounded:
    """Makes calls, at most so many at once. May be used from any thread."""

    def __init__(self, at_once: int, name: str) -> None:
        """`name` is that of the threads."""
        self._room = threading.BoundedSemaphore(at_once)
        self._name = name

    def start(self, call: Callable[[], T]) -> Future[T]:
        """Begin a call. Where too many are under way, its result is NoAnswerError."""
        future: Future[T] = Future()
        if not self._room.acquire(blocking=False):
            future.set_exception(NoAnswerError(TOO_MUCH, was_asked=False))
            return future

        def run() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 (it is raised where the result is waited for)
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                self._room.release()

        threading.Thread(target=run, name=self._name, daemon=True).start()
        return future


def answer(future: Future[T], *, until: float) -> T:
    """The result of a call, at this time (monotonic seconds) at the latest. Raises NoAnswerError, and what the call raises."""
    try:
        return future.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        if future.done():
            raise
        raise NoAnswerError("has not answered in time; ask again") from None
