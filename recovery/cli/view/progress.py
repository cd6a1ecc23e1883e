"""Progress of a long command: a bar on a terminal, otherwise a log line every ten seconds."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from recovery.operations.progress import Progress
from worker.terminal import err, tell

LINE_EVERY_S = 10.0


class ProgressBar:
    """Shows progress within its context. `show` can be called from any thread, but not by two at once."""

    def __init__(self, total: int | None, log: Callable[[Progress, float], None]) -> None:
        """`log` writes a log line, given the progress and the number done per second."""
        self._log = log
        self._began = time.monotonic()
        self._next_line = self._began + LINE_EVERY_S
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

    def show(self, now: Progress) -> None:
        """Show the progress, and its note if it has one."""
        if now.note:
            tell(now.note)
        counts = " ".join(f"{name} {count:,}" for name, count in now.counts.items())
        if now.total:
            self._bar.update(self._task, total=now.total)
        self._bar.update(self._task, completed=now.done, description=counts)
        at = time.monotonic()
        if not err.is_terminal and at >= self._next_line:
            self._next_line = at + LINE_EVERY_S
            self._log(now, round(now.done / (at - self._began), 1))
