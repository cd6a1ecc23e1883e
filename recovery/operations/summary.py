"""What a run of recover_dlq came to: a table for people, JSON for programs."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from recovery.operations.engine import Disposition, Verdict
from worker.core.base.text import one_line

WHAT = {
    Disposition.RECOVERED: "read, indexed and confirmed",
    Disposition.ALREADY_INDEXED: "the index held them already",
    Disposition.GONE: "the object is no longer there",
    Disposition.SKIPPED: "asked for nothing",
    Disposition.STORED_FOR_RETRY: "the index rejects the document: in retry-index/",
    Disposition.ARCHIVED: "failed for their own fault: in dlq-archive/",
    Disposition.KEPT: "undecided for a passing reason: still in the DLQ",
}
MAX_SAMPLES = 3


@dataclass(slots=True)
class _Group:
    """Archived letters of one cause."""

    count: int = 0
    samples: list[str] = field(default_factory=list)
    reason: str = ""


class Summary:
    """Counts of one run. `add` may be called from any thread."""

    def __init__(self, *, run: str, dry_run: bool) -> None:
        self.run = run
        self.dry_run = dry_run
        self.dispositions: Counter[Disposition] = Counter()
        self.settled_not_deleted = 0
        self.duplicates = 0
        """Copies of a message handled in this run."""
        self.not_selected = 0
        """Seen, and left alone by --kind, --older-than or --message-id."""
        self.in_flight_elsewhere = 0
        self.seconds = 0.0
        self.stopped_by = ""
        """Why the run ended before the DLQ was empty."""
        self._causes: dict[tuple[Disposition, str], _Group] = {}
        self._lock = threading.Lock()

    @property
    def handled(self) -> int:
        """Letters with a verdict."""
        return sum(self.dispositions.values())

    def add(self, verdicts: Iterable[Verdict], *, not_deleted: int = 0) -> None:
        """Count one batch."""
        with self._lock:
            self.settled_not_deleted += not_deleted
            for verdict in verdicts:
                self.dispositions[verdict.disposition] += 1
                if verdict.disposition in {Disposition.ARCHIVED, Disposition.STORED_FOR_RETRY, Disposition.KEPT}:
                    cause = self._causes.setdefault((verdict.disposition, verdict.error_type), _Group())
                    cause.count += 1
                    cause.reason = cause.reason or verdict.reason
                    if len(cause.samples) < MAX_SAMPLES:
                        cause.samples.append(verdict.dead_letter.id)

    def as_json(self) -> dict[str, Any]:
        """Everything, by name."""
        return {
            "run": self.run,
            "dry_run": self.dry_run,
            "handled": self.handled,
            **{disposition.value: self.dispositions[disposition] for disposition in Disposition},
            "settled_not_deleted": self.settled_not_deleted,
            "duplicates": self.duplicates,
            "not_selected": self.not_selected,
            "in_flight_elsewhere": self.in_flight_elsewhere,
            "seconds": round(self.seconds, 1),
            "stopped_by": self.stopped_by,
            "causes": [
                {
                    "finding": disposition,
                    "error_type": name,
                    "count": cause.count,
                    "reason": cause.reason,
                    "ids": cause.samples,
                }
                for (disposition, name), cause in self._by_count()
            ],
        }

    def as_table(self) -> RenderableType:
        """For a terminal or a log."""
        title = "dry run: nothing was written, deleted or left hidden" if self.dry_run else ""
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
        table.add_column("messages", justify="right")
        table.add_column("finding", no_wrap=True)
        table.add_column("what that means")
        for disposition, what in WHAT.items():
            table.add_row(f"{self.dispositions[disposition]:,}", disposition.value, what)
        for count, name, what in (
            (
                self.settled_not_deleted,
                "settled_not_deleted",
                "of these, SQS did not delete: the next run finds them done",
            ),
            (self.duplicates, "duplicates", "copies of messages handled in this run"),
            (self.not_selected, "not selected", "left in the DLQ by the options given"),
            (self.in_flight_elsewhere, "in flight", "in the DLQ, held by another command"),
        ):
            if count:
                table.add_row(f"{count:,}", name, what)
        rate = f", {self.handled / max(self.seconds, 0.1):,.0f}/s" if self.handled >= 10 else ""
        parts: list[RenderableType] = [table, Text(f"{self.handled:,} handled in {self.seconds:.1f} s{rate}")]
        for (disposition, name), cause in self._by_count():
            line = f"{cause.count:,} {disposition.value}: {name}: {cause.reason} (such as {', '.join(cause.samples)})"
            parts.append(Text(one_line(line)))
        return Group(*parts)

    def _by_count(self) -> list[tuple[tuple[Disposition, str], _Group]]:
        return sorted(self._causes.items(), key=lambda item: -item[1].count)
