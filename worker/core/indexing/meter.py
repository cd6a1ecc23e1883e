"""Where the pipeline says what it is about to use: of the worker's budgets, or of none."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Meter(Protocol):
    """What counts. Every method may be called from any thread; entering may wait.

    Raises BudgetError where a cap is used up, and OutageError where that cannot be told.
    """

    def reading(self, bucket: str, key: str) -> AbstractContextManager[Callable[[int], None]]:
        """One GET. It yields what is to be called with the size of a body before that is read, which raises the same."""

    def extracting(self, bucket: str, key: str) -> AbstractContextManager[Callable[[float], None]]:
        """The extraction of one object's text. It yields what is to be called with the seconds of it that were only waiting."""


class NoMeter:
    """Counts nothing."""

    def reading(self, bucket: str, key: str) -> AbstractContextManager[Callable[[int], None]]:  # noqa: ARG002
        """Nothing is counted."""
        return nullcontext(lambda _: None)

    def extracting(self, bucket: str, key: str) -> AbstractContextManager[Callable[[float], None]]:  # noqa: ARG002
        """Nothing is counted."""
        return nullcontext(lambda _: None)
