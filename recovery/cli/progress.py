"""How far a long command is: a bar on a terminal, a log line every ten seconds elsewhere."""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from worker.terminal import err

LINE_EVERY_S = 10.0


class Progress:
    """Shows progress while its `with` lasts. `show` may be called from any thread, one at a time."""

    def __init__(self, total: int | None, tell: Callable[[int, float, Mapping[str, int]], None]) -> None:
        """`tell` logs how many are done, how many a second, and what they came to; `total` is a guess, as SQS's are."""
        self._tell = tell
        self._began = self._next_line = time.monotonic()
        self._next_line += LINE_EVERY_S
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._bar.add_task("", total=total or None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def show(self, done: int, counts: Mapping[str, int]) -> None:
        """So many are done; `counts` says what they came to."""
        self._bar.update(
            self._task, completed=done, description=" ".join(f"{name} {n:,}" for name, n in counts.items())
        )
        now = time.monotonic()
        if not err.is_terminal and now >= self._next_line:
            self._next_line = now + LINE_EVERY_S
            self._tell(done, round(done / (now - self._began), 1), counts)
