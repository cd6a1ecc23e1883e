"""What a run over many messages or records came to: counts by result, causes with samples, and why it ended."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from worker.core.base.errors import WorkerError

MAX_CAUSES = 50
"""Causes told apart; reasons that quote what is in a document could be as many as the documents."""
MAX_SAMPLES = 3
_OTHERS = "other reasons"


@dataclass(frozen=True, slots=True)
class ReportKind:
    """What one kind of run reports."""

    results: tuple[StrEnum, ...]
    """What a message or record can come to."""
    explained: frozenset[StrEnum]
    """Results of which the causes are told."""
    unfinished: frozenset[str]
    """Results, or other counts, that leave something to do."""
    also: tuple[str, ...] = ()
    """Other counts than results."""
    samples: str = "ids"
    """What samples are called in JSON."""


@dataclass(slots=True)
class Cause:
    """Why some came to a result."""

    result: StrEnum
    error_type: str
    count: int = 0
    reason: str = ""
    """The first of them."""
    samples: list[str] = field(default_factory=list)


class Report:
    """The counts of one run. `add` may be called from any thread."""

    def __init__(self, kind: ReportKind, *, dry_run: bool, about: Mapping[str, str]) -> None:
        """`about` says which run it is."""
        self.kind = kind
        self.dry_run = dry_run
        self.about = about
        self.counts: Counter[StrEnum] = Counter()
        self.also: Counter[str] = Counter()
        self.seconds = 0.0
        self.failure: WorkerError | None = None
        """Why the run ended before it had seen everything."""
        self._causes: dict[tuple[StrEnum, str], Cause] = {}
        self._lock = threading.Lock()

    @property
    def handled(self) -> int:
        """How many came to a result."""
        return self.counts.total()

    @property
    def stopped_by(self) -> str:
        """Why the run ended before it had seen everything; empty where it did not."""
        return "" if self.failure is None else str(self.failure)

    @property
    def per_second(self) -> float:
        """How many came to a result in a second."""
        return self.handled / max(self.seconds, 0.1)

    @property
    def is_unfinished(self) -> bool:
        """Whether something is left to do."""
        return any(self.counts[result] for result in self.kind.results if result in self.kind.unfinished) or any(
            self.also[name] for name in self.kind.unfinished
        )

    def add(self, result: StrEnum, *, sample: str, reason: str = "", error_type: str = "") -> None:
        """Count one; `sample` names it."""
        with self._lock:
            self.counts[result] += 1
            if result in self.kind.explained:
                self._add_cause(result, sample, reason, error_type)

    def causes(self) -> list[Cause]:
        """The most frequent first."""
        return sorted(self._causes.values(), key=lambda cause: -cause.count)

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            **self.about,
            "dry_run": self.dry_run,
            "handled": self.handled,
            **{result.value: self.counts[result] for result in self.kind.results},
            **{name: self.also[name] for name in self.kind.also},
            "seconds": round(self.seconds, 1),
            "per_second": round(self.per_second, 1),
            "stopped_by": self.stopped_by,
            "causes": [
                {
                    "result": cause.result.value, "error_type": cause.error_type, "count": cause.count, "reason": cause.reason,
                    self.kind.samples: cause.samples,
                }
                for cause in self.causes()
            ],
        }  # fmt: skip

    def _add_cause(self, result: StrEnum, sample: str, reason: str, error_type: str) -> None:
        key = result, error_type
        if key not in self._causes and len(self._causes) >= MAX_CAUSES:
            key, reason, error_type = (result, ""), _OTHERS, ""
        cause = self._causes.setdefault(key, Cause(result, error_type))
        cause.count += 1
        cause.reason = cause.reason or reason
        if len(cause.samples) < MAX_SAMPLES:
            cause.samples.append(sample)
