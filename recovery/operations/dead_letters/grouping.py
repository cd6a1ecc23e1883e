"""Groups dead letters by cause, error, type, source or kind, and counts them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from recovery.operations.dead_letters.facts import NO_RECORD, Facts, cause_text

MAX_SAMPLES = 3


class By(StrEnum):
    """The property by which dead letters are grouped."""

    FINGERPRINT = "fingerprint"
    ERROR = "error"
    TYPE = "type"
    SOURCE = "source"
    KIND = "kind"

    def of(self, facts: Facts) -> str:
        """Return the name of the group that a dead letter belongs to."""
        match self:
            case By.FINGERPRINT:
                return facts.fingerprint or "-"
            case By.ERROR:
                return facts.error
            case By.TYPE:
                return facts.type
            case By.SOURCE:
                return facts.source or facts.failure.source_service or NO_RECORD
        return facts.dead_letter.kind.value


@dataclass(slots=True)
class Group:
    """Dead letters that have the grouping property in common."""

    name: str
    error: str
    kind: str
    count: int = 0
    first_ms: int = 0
    last_ms: int = 0
    """When the oldest and the newest of them were sent (ms since the epoch)."""
    reasons: set[str] = field(default_factory=set)
    """The codes of their reasons; an empty one of those that record none."""
    message: str = ""
    """The first error message that was found."""
    ids: list[str] = field(default_factory=list)
    """Up to MAX_SAMPLES of their ids."""

    @property
    def reason(self) -> str:
        """The code of the reason that all have in common; empty if there is none."""
        return next(iter(self.reasons)) if len(self.reasons) == 1 else ""

    @property
    def cause(self) -> str:
        """The error, with the code of the reason that all have in common."""
        return cause_text(self.error, self.reason)

    def as_json(self) -> dict[str, object]:
        """Everything, by name."""
        return {
            "group": self.name, "error_type": self.error, "reason": self.reason or None, "kind": self.kind,
            "count": self.count, "first_ms": self.first_ms, "last_ms": self.last_ms, "message": self.message, "ids": self.ids,
        }  # fmt: skip


def grouped(facts: Iterable[Facts], by: By) -> list[Group]:
    """Return the groups, the largest first."""
    found: dict[str, Group] = {}
    for one in facts:
        dead_letter, name = one.dead_letter, by.of(one)
        group = found.setdefault(name, Group(name, one.error, dead_letter.kind.value, first_ms=dead_letter.sent_ms))
        group.count += 1
        group.first_ms = min(group.first_ms, dead_letter.sent_ms)
        group.last_ms = max(group.last_ms, dead_letter.sent_ms)
        group.message = group.message or one.failure.message
        group.reasons.add(one.failure.reason)
        if len(group.ids) < MAX_SAMPLES:
            group.ids.append(dead_letter.id)
    return sorted(found.values(), key=lambda group: -group.count)


def counts(facts: Sequence[Facts], by: By) -> dict[str, int]:
    """Return the size of each group, the largest first."""
    return {group.name: group.count for group in grouped(facts, by)}
