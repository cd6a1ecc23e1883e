"""Writes a record only where nobody else has changed it."""

from worker.core.base.errors import StoreError
from worker.core.s3.state import NO_CONDITIONS, State


def write_instead(state: State, key: str, record: bytes, *, instead_of: str | None) -> str | None:
    """Write a record in place of the one with this etag, None for none: the new etag, or None if another was first.

    Where the store has no conditional writes, the last writer wins (`doctor` warns of it). Raises StoreError.
    """
    try:
        return state.claim(key, record, instead_of=instead_of)
    except StoreError as error:
        if error.code not in NO_CONDITIONS:
            raise
    if instead_of is None and state.get(key) is not None:
        return None
    state.put(key, record)
    written = state.get_with_etag(key)
    return written[1] if written else None
