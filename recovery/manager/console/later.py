"""The moment at which somebody lets dead letters be sent again, as a form has it: in the reader's time zone, to the minute."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from recovery.ledger.errors import AskedWronglyError
from recovery.manager.acting.scheduling import MAX_AHEAD_S
from recovery.manager.console.reader import Reader, reader_of
from recovery.manager.web.service import Service

AHEAD_S = (900, 3_600, 14_400, 43_200, 86_400, 259_200, 604_800, MAX_AHEAD_S)
"""In how many seconds something may be scheduled with one choice."""
FIRST_MS, LEAST_MS = 3_600_000, 60_000
"""Which moment a form proposes, and the nearest that it takes, from now on."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the field of a form may have."""

    first: str
    least: str
    most: str
    zone: str


def choices(request: Request, service: Service) -> Choices:
    """Those of whoever asks, now."""
    reader, now_ms = _reader(request), _now_ms(service)
    first, least, most = (reader.local(now_ms + ahead) for ahead in (FIRST_MS, LEAST_MS, MAX_AHEAD_S * 1000))
    return Choices(first, least, most, reader.zone)


def with_seconds(request: Request, service: Service, fields: Mapping[str, str]) -> dict[str, str]:
    """The fields of a form, with `in_s`, seconds from now, in place of the moment `at`. Raises AskedWronglyError."""
    wanted = {name: value for name, value in fields.items() if name != "at"}
    at = fields.get("at", "").strip()
    if not at:
        return wanted
    reader, now_ms = _reader(request), _now_ms(service)
    try:
        left_s = math.ceil((reader.local_ms(at) - now_ms) / 1000)
    except ValueError:
        raise AskedWronglyError(
            "at", at[:80], f"a date and a time, such as {reader.local(now_ms + FIRST_MS)}"
        ) from None
    if not 0 <= left_s <= MAX_AHEAD_S:
        raise AskedWronglyError("at", at[:80], f"to come, and at most {MAX_AHEAD_S // 86_400} days ahead")
    return {**wanted, "in_s": str(left_s)}


def _reader(request: Request) -> Reader:
    return reader_of(request, time.time_ns() // 1_000_000)


def _now_ms(service: Service) -> int:
    """On S3's clock, as the moment of a schedule is."""
    return service.verbs.world.clients.objects.clock.now_ms()
