"""What the audit says has become of dead letters: who ended the life of which, and how."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from recovery.ledger.rows import State as RowState
from recovery.operations.records.reading import read_all
from worker.core.audit import AUDIT_PREFIX
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import State, dated

OVERLAP = timedelta(minutes=15)
"""How far back an audit is read again: the clocks of the hosts that write it differ, and an entry may be late."""
VIEW = "view"
"""The action of those who only looked."""
_ENDINGS = {
    "recovered": RowState.RECOVERED, "already_indexed": RowState.RECOVERED, "gone": RowState.RECOVERED,
    "stored_for_retry": RowState.RECOVERED, "not_returned": RowState.RECOVERED,
    "archived": RowState.ARCHIVED, "skipped": RowState.ARCHIVED,
    "deleted": RowState.ABANDONED, "abandoned": RowState.ABANDONED, "purged": RowState.ABANDONED,
}  # fmt: skip
"""By the outcomes that operations write (recovery/operations/engine.py, abandon.py, purge.py) and the manager's confirmation."""
COPY = "copy of one that was settled"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the audit, as far as it concerns dead letters."""

    key: str
    action: str
    by: str
    run: str
    at_ms: int
    ids: tuple[str, ...]
    outcomes: Mapping[str, str] = field(default_factory=dict)
    """What has become of each, if their records were deleted."""
    reason: str = ""
    """Why, in the words of whoever acted."""

    def ending(self, identity: str) -> RowState | None:
        """The state in which this entry ended a dead letter; None if it did not."""
        outcome = self.outcomes.get(identity, "")
        return RowState.RECOVERED if outcome == COPY else _ENDINGS.get(outcome)

    def details(self, identity: str) -> dict[str, str]:
        """What the history of a dead letter says of it."""
        said = {"run": self.run, "outcome": self.outcomes.get(identity), "reason": self.reason}
        return {name: text for name, text in said.items() if text}


def all_entries(state: State) -> Iterator[Entry]:
    """Every entry, in order. Raises StoreError."""
    return read_all(state.keys(AUDIT_PREFIX), lambda key: _read(state, key))


def entries(state: State, *, after: str, until: datetime) -> Iterator[Entry]:
    """The entries after a key, in order, with those of the time just before it. Raises StoreError."""
    begin = _moment(after) - OVERLAP
    first = f"{AUDIT_PREFIX}{begin:%Y-%m-%d/%H%M%S%f}"
    days = (begin.date() + timedelta(days=day) for day in range((until.date() - begin.date()).days + 1))
    keys = (key for day in days for key in state.keys(f"{AUDIT_PREFIX}{day}/") if key >= first)
    return read_all(keys, lambda key: _read(state, key))


def first_mark(at_ms: int) -> str:
    """The mark from which an audit is read whose earlier entries do not matter."""
    return f"{AUDIT_PREFIX}{dated(at_ms)}/{datetime.fromtimestamp(at_ms / 1000, UTC):%H%M%S%f}"


def _moment(key: str) -> datetime:
    """The time in an entry's key. A mark that is none begins a day ago."""
    day, _, name = key.removeprefix(AUDIT_PREFIX).partition("/")
    try:
        return datetime.strptime(f"{day} {name[:12]}", "%Y-%m-%d %H%M%S%f").replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC) - timedelta(days=1)


def _read(state: State, key: str) -> Entry | None:
    """One entry; None if it is gone, or none."""
    raw = state.get(key)
    if raw is None:
        return None
    try:
        found = orjson.loads(raw)
        ids, result = tuple(map(str, found["ids"])), found["result"]
        outcomes = {name: text for name in ids if isinstance(text := result.get(name), str)}
        at_ms = int(datetime.fromisoformat(found["at"]).timestamp() * 1000)
        reason = str(found.get("reason") or "")
        return Entry(key, str(found["action"]), str(found["by"]), str(found["run"]), at_ms, ids, outcomes, reason)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        emit(LogEvent.AUDIT_UNREADABLE, "warning", name=key, error=repr(error))
        return None
