"""Reads the audit for people, newest first: pages with a bounded number of calls, and everything of a time for an export.

An entry's key begins with its day and its time, so that a day with more entries than one listing shows is listed by hours,
these by minutes, and those by seconds, from the end. What is entered there is never changed, and nothing is entered in a day that
is over, so both are kept once they were read.
"""

import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import orjson

from recovery.manager.bounded import NO_ANSWER, Bounded, NoAnswerError, answer
from recovery.operations.records.reading import READERS, read_all
from worker.core.audit import AUDIT_PREFIX
from worker.core.base.errors import StoreError
from worker.core.s3.state import State

LISTED = 1_000
"""The keys of one listing; where there are more, shorter spans are listed."""
MAX_LISTS = 200
"""Listings of one page. The longest way to the next entry takes 145: 24 hours, 60 minutes and 60 seconds of one day."""
MAX_READ = 500
"""Entries that one page reads; with a filter, fewer are shown."""
PAGE_S = 15.0
"""How long a page is waited for; what was read until then is kept, so that the next attempt goes further."""
PAGES_AT_ONCE = 6
"""A state bucket that does not answer keeps no more than half of the threads that make pages."""
MAX_KEPT = 1_000
MAX_KEPT_BYTES = 32 * 1024
"""So many entries of at most this size are kept."""
MAX_KEPT_LISTINGS = 100
"""Of days that are over, each of up to LISTED keys."""
LATE = timedelta(hours=1)
"""An entry is written soon after the time in its key, also where S3 answers slowly or a host's clock is wrong."""
_KEY = re.compile(r"\d{4}-\d{2}-\d{2}/(?P<time>\d{12})-(?P<action>.+)-[0-9a-f]+\.json")
_OWN = frozenset({"schema", "action", "run", "by", "at", "ids", "result", "dead_letters"})
_PARTS = {0: 24, 2: 60, 4: 60}
"""Into how many spans one is divided whose prefix has so many digits of the time."""
_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, without the complete messages that it may hold."""

    key: str
    """In the state bucket."""
    at_ms: int
    action: str
    by: str = ""
    run: str = ""
    ids: tuple[str, ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)
    """The number of messages for each result, or something else that the action says."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for: queues, filter, reason and so on."""
    messages: int = 0
    """How many complete messages the entry holds, which were deleted and exist nowhere else."""
    problem: str = ""
    """Why it cannot be read; then only what its key says is known."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries; None: no condition."""

    since: datetime
    until: datetime
    """Without this moment itself."""
    action: str | None = None
    by: str | None = None
    """A part of who acted, without regard to case."""
    id: str | None = None
    """A dead letter that it applied to."""

    def fits(self, entry: Entry) -> bool:
        """Whether an entry whose key fits does so itself."""
        if self.by is not None and self.by.casefold() not in entry.by.casefold():
            return False
        return self.id is None or self.id in entry.ids


@dataclass(frozen=True, slots=True)
class Page:
    """Some entries, newest first."""

    entries: list[Entry]
    next: str | None
    """Where the next page begins; None: there is none. A page may be short, or empty, and yet have a next one."""


def is_place(text: str) -> bool:
    """Whether a text can be the beginning of a page."""
    if re.fullmatch(r"2\d{3}-\d{2}-\d{2}/[\w.-]{0,200}", text, re.ASCII) is None:
        return False
    try:
        return bool(date.fromisoformat(text[:10]))
    except ValueError:
        return False


class AuditReader:
    """Reads the audit of one state bucket. May be used from any thread. Every method raises StoreError."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._asked = Bounded(PAGES_AT_ONCE, "audit")
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Entry] = OrderedDict()
        self._listings: OrderedDict[str, list[str]] = OrderedDict()

    def page(self, wanted: Wanted, *, before: str | None = None, limit: int = 50) -> Page:
        """At most `limit` entries, from `before` on, which a page has said; at most MAX_LISTS and MAX_READ calls.

        Raises StoreError also where that takes too long.
        """
        try:
            return answer(self._asked.start(lambda: self._page(wanted, before, limit)), until=time.monotonic() + PAGE_S)
        except NoAnswerError as error:
            raise StoreError(error.naming("the state bucket"), code=NO_ANSWER) from error

    def _page(self, wanted: Wanted, before: str | None, limit: int) -> Page:
        walk = _Walk(self._state, self._listed, wanted, before, lists=MAX_LISTS, reads=MAX_READ)
        found: list[Entry] = []
        for entry in read_all(walk.keys(), self._read):
            if not wanted.fits(entry):
                continue
            if len(found) == limit:
                return Page(found, found[-1].key.removeprefix(AUDIT_PREFIX))
            found.append(entry)
        return Page(found, None if walk.is_complete else walk.reached)

    def all(self, wanted: Wanted) -> Iterator[Entry]:
        """Every entry, newest first, read as it is needed."""
        walk = _Walk(self._state, self._listed, wanted, None, lists=None, reads=None)
        yield from (entry for entry in read_all(walk.keys(), self._read) if wanted.fits(entry))

    def _listed(self, prefix: str) -> list[str]:
        """The first keys that begin so: LISTED, and one more if there are more."""
        is_over = prefix < AUDIT_PREFIX + f"{datetime.now(UTC) - LATE:%Y-%m-%d}"
        with self._lock:
            if (kept := self._listings.get(prefix)) is not None:
                self._listings.move_to_end(prefix)
                return kept
        found = list(islice(self._state.keys(prefix), LISTED + 1))
        if is_over:
            with self._lock:
                self._listings[prefix] = found
                while len(self._listings) > MAX_KEPT_LISTINGS:
                    self._listings.popitem(last=False)
        return found

    def _read(self, key: str) -> Entry | None:
        """One entry; None if it is gone."""
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        raw = self._state.get(key)
        if raw is None:
            return None
        entry = parsed(key, raw)
        if len(raw) <= MAX_KEPT_BYTES:
            with self._lock:
                self._kept[key] = entry
                while len(self._kept) > MAX_KEPT:
                    self._kept.popitem(last=False)
        return entry


class _Walk:
    """The keys of entries, newest first, with a bounded number of listings."""

    def __init__(
        self, state: State, listed: Callable[[str], list[str]], wanted: Wanted, before: str | None, *, lists: int | None,
        reads: int | None,
    ) -> None:  # fmt: skip
        """`listed`: the first keys that begin with a prefix, LISTED and one more."""
        self._state = state
        self._listed = listed
        self._wanted = wanted
        self._first, end = (AUDIT_PREFIX + f"{at:%Y-%m-%d/%H%M%S%f}" for at in (wanted.since, wanted.until))
        self._end = min(end, AUDIT_PREFIX + before) if before else end
        self._lists = lists
        self._reads = reads
        self.reached = self._end.removeprefix(AUDIT_PREFIX)
        """Everything from here on has been yielded, or is not wanted."""
        self.is_complete = False

    def keys(self) -> Iterator[str]:
        """Stops where a bound is reached; `is_complete` says whether it has not been."""
        for day, listed in self._days():
            for key in self._descending(f"{AUDIT_PREFIX}{day}/", listed):
                if self._reads == 0:
                    return
                self.reached = key.removeprefix(AUDIT_PREFIX)
                if self._is_wanted(key):
                    self._reads = None if self._reads is None else self._reads - 1
                    yield key
            if self._lists is not None and self._lists < 0:
                return
            self.reached = f"{day}/"
        self.is_complete = self._lists is None or self._lists >= 0

    def _is_wanted(self, key: str) -> bool:
        found = _KEY.fullmatch(key, len(AUDIT_PREFIX))
        return found is not None and self._wanted.action in {None, found["action"]}

    def _days(self) -> Iterator[tuple[date, list[str]]]:
        """Each day that has entries, the latest first, with its first keys; several are listed at once after the first."""
        last = date.fromisoformat(self._end.removeprefix(AUDIT_PREFIX)[:10])
        earlier = (last - self._wanted.since.date()).days
        with ThreadPoolExecutor(READERS, thread_name_prefix="audit") as pool:
            if not self._may_list(2 if earlier else 1):
                return
            known = pool.submit(self._known_days, last) if earlier else None
            yield last, self._listed(f"{AUDIT_PREFIX}{last}/")
            if known is None:
                return
            there = known.result()
            days = (day for back in range(1, earlier + 1) if str(day := last - timedelta(days=back)) in there)
            while batch := list(islice(days, READERS)):
                if not self._may_list(len(batch)):
                    return
                yield from zip(batch, pool.map(self._listed, (f"{AUDIT_PREFIX}{day}/" for day in batch)), strict=True)

    def _known_days(self, last: date) -> set[str]:
        """The days up to this one that have entries, and others; a call for a few years of them."""
        common = f"{last:%Y}-" if self._wanted.since.year == last.year else ""
        return {one.removeprefix(AUDIT_PREFIX).rstrip("/") for one in self._state.folders(AUDIT_PREFIX + common)}

    def _descending(self, prefix: str, listed: list[str]) -> Iterator[str]:
        digits = len(prefix) - len(AUDIT_PREFIX) - len("2026-11-01/")
        if len(listed) > LISTED and digits < _SECONDS:
            for part in reversed(range(_PARTS[digits])):
                within = f"{prefix}{part:02}"
                if within >= self._end or within < self._first[: len(within)]:
                    continue
                if not self._may_list(1):
                    return
                yield from self._descending(within, self._listed(within))
            return
        every = listed if len(listed) <= LISTED else self._state.keys(prefix)
        yield from reversed([key for key in every if self._first <= key < self._end])

    def _may_list(self, number: int) -> bool:
        """Count listings; False, and ever after, once there were too many."""
        if self._lists is None:
            return True
        self._lists = -1 if self._lists < number else self._lists - number
        return self._lists >= 0


def parsed(key: str, raw: bytes) -> Entry:
    """An entry as it is stored. Never raises: one that is none says so."""
    named = _KEY.fullmatch(key, len(AUDIT_PREFIX))
    at_ms, action = _at_ms(key), named["action"] if named else ""
    try:
        found = orjson.loads(raw)
        ids, result = tuple(map(str, found["ids"])), dict(found["result"])
        details = {name: value for name, value in found.items() if name not in _OWN}
        at_ms = int(datetime.fromisoformat(found["at"]).timestamp() * 1000)
        return Entry(
            key, at_ms, str(found["action"]), str(found["by"]), str(found["run"]), ids, _summed(result, ids), details,
            len(found.get("dead_letters") or ()),
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return Entry(key, at_ms, action, problem=f"it cannot be read: {error!r}")


def _summed(result: Mapping[str, Any], ids: tuple[str, ...]) -> dict[str, Any]:
    """The number for each result, where the entry has the result of each message."""
    if result and result.keys() <= set(ids) and all(isinstance(one, str) for one in result.values()):
        return dict(Counter(result.values()).most_common())
    return dict(result)


def _at_ms(key: str) -> int:
    text = key.removeprefix(AUDIT_PREFIX)[: len("2026-11-01/093000123456")]
    try:
        return int(datetime.strptime(text, "%Y-%m-%d/%H%M%S%f").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return 0
