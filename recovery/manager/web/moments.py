"""Times as the API shows them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from worker.core.sqs.dead_letter import NEVER_MS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A time in UTC with milliseconds: `2026-11-01T09:30:00.000Z`."""


def moment(at_ms: int | None) -> str | None:
    """A time in ms since the epoch; None if it is not known, which a row says by 0."""
    if at_ms is None or not 0 < at_ms < NEVER_MS:
        return None
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def known(at_ms: int) -> str:
    """A time that is always known."""
    return moment(at_ms) or ""


def epoch_s(at_ms: int) -> float | None:
    """The same in seconds since the epoch; None if it is not known."""
    return at_ms / 1000 if at_ms > 0 else None
