"""The report of a run over many messages or records: counts by result, causes with samples, and why the run ended."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from worker.core.audit import Recorded
from worker.core.base.errors import WorkerError

MAX_CAUSES = 50
"""Maximum number of causes: reasons that quote a document could be as many as there are documents."""
MAX_SAMPLES = 3
_OTHERS = "other reasons"


@dataclass(frozen=True, slots=True)
class ReportKind:
    """What one kind of run counts and explains."""

    results: tuple[StrEnum, ...]
    """All possible results of a message or record."""
    explained: frozenset[StrEnum]
    """Results whose causes are reported."""
    unfinished: frozenset[str]
    """Names of results or other counts that mean that work is left."""
    also: tuple[str, ...] = ()
    """Counts that are not results."""
    samples: str = "ids"
    """The JSON key of the samples."""


@dataclass(slots=True)
class Cause:
    """One reason for a result, with the number of messages or records."""

    result: StrEnum
    error_type: str
    count: int = 0
    reason: str = ""
    """The first reason that was given."""
    samples: list[str] = field(default_factory=list)


class Report:
    """The counts of one run. Only one thread at a time may change it."""

    def __init__(self, kind: ReportKind, *, dry_run: bool, about: Mapping[str, str]) -> None:
        """`about` identifies the run in the JSON."""
        self.kind = kind
        self.dry_run = dry_run
        self.about = about
        self.counts: Counter[StrEnum] = Counter()
        self.also: Counter[str] = Counter()
        self.seconds = 0.0
        self.failure: WorkerError | None = None
        """The error that ended the run early."""
        self.recorded: Recorded | None = None
        """Where the run is recorded; None if it changed nothing, or is of a kind that is not recorded."""
        self._causes: dict[tuple[StrEnum, str, str], Cause] = {}

    @property
    def handled(self) -> int:
        """Number of messages or records that have a result."""
        return self.counts.total()

    @property
    def stopped_by(self) -> str:
        """The error that ended the run early; empty if there was none."""
        return "" if self.failure is None else str(self.failure)

    @property
    def per_second(self) -> float:
        """Number handled per second."""
        return self.handled / max(self.seconds, 0.1)

    @property
    def is_unfinished(self) -> bool:
        """Whether work is left."""
        return any(self.counts[result] for result in self.kind.results if result in self.kind.unfinished) or any(
            self.also[name] for name in self.kind.unfinished
        )

    def add(self, result: StrEnum, *, sample: str, reason: str = "", error_type: str = "", cause: str = "") -> None:
        """Count a result; `sample` is the name of the message or record.

        `cause` is a reason that is the same for all that failed alike, if there is one: then they are counted by it.
        """
        self.counts[result] += 1
        if result in self.kind.explained:
            self._add_cause(result, sample, cause or reason, error_type, cause)

    def causes(self) -> list[Cause]:
        """Return the causes, the most frequent first."""
        return sorted(self._causes.values(), key=lambda cause: -cause.count)

    def numbers(self) -> dict[str, int]:
        """The count of each result, and the other counts, by name."""
        return {result.value: self.counts[result] for result in self.kind.results} | {
            name: self.also[name] for name in self.kind.also
        }

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            **self.about,
            "dry_run": self.dry_run,
            "handled": self.handled,
            **self.numbers(),
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

    def _add_cause(self, result: StrEnum, sample: str, reason: str, error_type: str, cause: str) -> None:
        key = result, error_type, cause
        if key not in self._causes and len(self._causes) >= MAX_CAUSES:
            key, reason, error_type = (result, "", ""), _OTHERS, ""
        counted = self._causes.setdefault(key, Cause(result, error_type))
        counted.count += 1
        counted.reason = counted.reason or reason
        if len(counted.samples) < MAX_SAMPLES:
            counted.samples.append(sample)
