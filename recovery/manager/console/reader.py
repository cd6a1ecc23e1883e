"""For whom a page is made: their language, their time zone, and how they write numbers, times and sizes."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_datetime, format_time, format_timedelta
from babel.numbers import format_compact_decimal, format_decimal, format_percent
from babel.units import format_unit
from markupsafe import Markup, escape
from starlette.requests import Request

from recovery.manager.console.languages import Language, chosen, translations
from recovery.manager.verdict_words import largest_unit
from recovery.manager.web.moments import moment

LANGUAGE_COOKIE, ZONE_COOKIE = "console-language", "console-zone"
MAX_ZONE_CHARS = 64
_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who looks at a page."""

    language: Language
    zone: str
    """Name of their time zone; `UTC` where their browser has not said it yet."""
    now_ms: int
    """When the page is made."""

    @property
    def tzinfo(self) -> tzinfo:
        """Their time zone."""
        return zone_of(self.zone)

    def text(self, message: str) -> str:
        """A text of ours in their language."""
        return str(translations(self.language).gettext(message))

    def number(self, value: float) -> str:
        """With the separators of their language."""
        return format_decimal(value, locale=self.language)

    def short_number(self, value: float) -> str:
        """Rounded to a few digits: 12K."""
        return format_compact_decimal(value, locale=self.language, fraction_digits=1)

    def share(self, value: float) -> str:
        """A part of 1 as a percentage."""
        return format_percent(value, locale=self.language)

    def size(self, size_bytes: int) -> str:
        """Bytes in a unit that fits."""
        for unit, name in _UNITS:
            if size_bytes >= unit:
                return f"{format_decimal(round(size_bytes / unit, 1), locale=self.language)} {name}"
        return f"{self.number(size_bytes)} B"

    def span(self, seconds: float) -> str:
        """A length of time in its largest unit: `9 days`; rounded down, as in the API."""
        number, unit = largest_unit(seconds)
        return format_unit(number, f"duration-{unit}", "long", locale=self.language)

    def time(self, at_ms: int | None) -> Markup:
        """A time in their zone, with UTC on hover; a dash where none is known."""
        return self._time(at_ms, lambda at: format_datetime(at.astimezone(self.tzinfo), "medium", locale=self.language))

    def clock(self, at_ms: int) -> Markup:
        """A time of today in their zone by hour and minute, as one says it; of another day, with its date."""
        zone = self.tzinfo
        today = datetime.fromtimestamp(self.now_ms / 1000, zone).date()

        def shown(at: datetime) -> str:
            zoned = at.astimezone(zone)
            write = format_time if zoned.date() == today else format_datetime
            return write(zoned, "short", tzinfo=zone, locale=self.language)

        return self._time(at_ms, shown)

    def ago(self, at_ms: int | None) -> Markup:
        """How long ago that is, or how far ahead, with the time on hover."""
        return self._time(
            at_ms,
            lambda at: format_timedelta(
                at - datetime.fromtimestamp(self.now_ms / 1000, UTC),
                threshold=1.5,
                add_direction=True,
                locale=self.language,
            ),
        )

    def local(self, at_ms: int) -> str:
        """A time in their zone to the minute, as a form's field has it (HTML, `datetime-local`)."""
        return f"{datetime.fromtimestamp(at_ms / 1000, self.tzinfo):%Y-%m-%dT%H:%M}"

    def local_ms(self, typed: str) -> int:
        """Such a time as ms since the epoch; of one that a clock shows twice, the first. Raises ValueError if it is none."""
        found = datetime.fromisoformat(typed)
        try:
            return int((found if found.tzinfo else found.replace(tzinfo=self.tzinfo)).timestamp() * 1000)
        except OverflowError as error:
            raise ValueError(str(error)) from None

    def _time(self, at_ms: int | None, shown: Callable[[datetime], str]) -> Markup:
        stamp = moment(at_ms)
        if at_ms is None or stamp is None:
            return Markup('<span class="none">–</span>')
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        zoned = at.astimezone(self.tzinfo)
        title = f"{zoned:%Y-%m-%d %H:%M:%S} {self.zone} · {at:%Y-%m-%d %H:%M:%S} UTC"
        return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, title, escape(shown(at)))


def reader_of(request: Request, now_ms: int) -> Reader:
    """Who asks for a page, by the cookies and headers of the request."""
    language = chosen(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))
    zone = request.cookies.get(ZONE_COOKIE, "UTC")
    return Reader(language, zone if is_zone(zone) else "UTC", now_ms)


def exercise(language: Language) -> None:
    """Write one of everything, so that the formats of a language are loaded."""
    reader = Reader(language, "UTC", 0)
    for write in (reader.time, reader.clock, reader.ago, reader.span, reader.number, reader.short_number, reader.share):
        write(1)


def is_zone(name: str) -> bool:
    """Whether this is the name of a time zone that is known here."""
    try:
        zone_of(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@functools.lru_cache(maxsize=600)
def zone_of(name: str) -> tzinfo:
    """The time zone of this name. Raises ZoneInfoNotFoundError, ValueError or OSError where there is none."""
    if len(name) > MAX_ZONE_CHARS or name.startswith(("/", ".")):
        raise ZoneInfoNotFoundError(name)
    return UTC if name == "UTC" else ZoneInfo(name)
