"""Cursors: a text for the place of a row in an order, which a page ends with and the next one begins after."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

import orjson

from recovery.ledger.errors import AskedWronglyError

Place = tuple[str, int | str, int]
"""Where a row stands in an order: its error type (empty in other orders than that), its value, its number."""
_CHECK_BYTES = 6
_RIGHT_CURSOR = "a cursor that came with the page before, for the same order"


def cursor_of(place: Place, order: tuple[str, bool]) -> str:
    """The cursor for a place. `order`: its name, and whether it is reversed."""
    made = orjson.dumps([*order, *place])
    return urlsafe_b64encode(_check_sum(made) + made).decode().rstrip("=")


def place_of(cursor: str, order: tuple[str, bool]) -> Place:
    """The place in a cursor. Raises AskedWronglyError for one of another order, and for what is none."""
    try:
        read = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        sort, descending, error_type, value, number = orjson.loads(read[_CHECK_BYTES:])
    except ValueError:
        raise AskedWronglyError("cursor", cursor[:80], _RIGHT_CURSOR) from None
    if read[:_CHECK_BYTES] != _check_sum(read[_CHECK_BYTES:]) or (sort, descending) != order:
        raise AskedWronglyError("cursor", cursor[:80], _RIGHT_CURSOR)
    return error_type, value, number


def _check_sum(made: bytes) -> bytes:
    """Finds what was cut or changed by accident. Whoever forges a cursor gets another page of what they may read anyway."""
    return hashlib.sha256(b"ledger cursor" + made).digest()[:_CHECK_BYTES]
