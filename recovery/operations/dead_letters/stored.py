"""Reads the dead letters of `dead-letters/`: those that can be acted upon, and why not the others."""

from collections.abc import Iterable, Iterator

from recovery.operations.records.reading import read_all
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.s3.state import DEAD_LETTERS_PREFIX, State, safe_name
from worker.core.sqs import dead_letter_store
from worker.core.sqs.stored_dead_letter import StoredDeadLetter

RETRY = "dlq-manager retry"
"""The command of the audit under which dead letters are sent again by themselves."""
_RETRY_RUN = RETRY.replace(" ", "-") + "-"


def is_retry(run: str) -> bool:
    """Whether this is the name of a run of the manager's that sends dead letters by themselves."""
    return run.startswith(_RETRY_RUN)


class Passing(str):
    """Why nothing can be done with a dead letter at this moment, which passes by itself."""

    __slots__ = ()


def why_not(stored: StoredDeadLetter, *, now_ms: int, run: str = "") -> str:
    """Why a run must not act on a stored dead letter at this time (ms on S3's clock); empty if it may."""
    if stored.hold is not None:
        return f"{stored.hold.by} holds it: {stored.hold.reason}"
    if stored.sent is not None and stored.is_waiting(now_ms):
        return f"{stored.sent.by} has sent it to {stored.sent.to}; what came of that is not known yet"
    claim = stored.claim
    if claim is not None and claim.run != run and claim.until_ms > now_ms:
        return Passing(f"{claim.holder} is acting on it ({claim.run})")
    return ""


def stored_all(state: State) -> Iterator[StoredDeadLetter]:
    """Every stored dead letter, in the order of their keys. Raises StoreError."""
    return _read_all(state, state.keys(DEAD_LETTERS_PREFIX))


def stored_open(state: State, *, now_ms: int) -> Iterator[StoredDeadLetter]:
    """Those that were not sent, or whose sending had no result in time. Raises StoreError."""
    return (stored for stored in stored_all(state) if not stored.is_waiting(now_ms))


def stored_named(state: State, ids: frozenset[str]) -> Iterator[StoredDeadLetter]:
    """Those whose records are named by these ids: of the others, only the keys are read. Raises StoreError."""
    endings = tuple(f"/{safe_name(name)}.json" for name in ids)
    return _read_all(state, (key for key in state.keys(DEAD_LETTERS_PREFIX) if key.endswith(endings)))


def _read_all(state: State, keys: Iterable[str]) -> Iterator[StoredDeadLetter]:
    return read_all(keys, lambda key: _read(state, key))


def _read(state: State, key: str) -> StoredDeadLetter | None:
    try:
        return dead_letter_store.read(state, key)
    except ValueError as error:
        emit(LogEvent.RECOVER_NOT_A_DEAD_LETTER, "warning", name=key, error=str(error))
        return None
