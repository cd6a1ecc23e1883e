"""Writes a record only where nobody else has changed it."""

from worker.core.base.errors import StoreError
from worker.core.s3.state import NO_CONDITIONS, State


def write_instead(state: State, key: str, record: bytes, *, instead_of: str) -> str | None:
    """Write a record in place of the one with this etag: the new etag, or None if that has changed. Raises StoreError.

    Where the store has no conditional writes, the last writer wins (`doctor` warns of it).
    """
    try:
        return state.claim(key, record, instead_of=instead_of)
    except StoreError as error:
        if error.code not in NO_CONDITIONS:
            raise
    state.put(key, record)
    written = state.get_with_etag(key)
    return written[1] if written else None
