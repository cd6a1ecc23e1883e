"""Hides the values of a dead letter's hidden fields in texts about it, however these spell them, and where they cut them.

A body may have thousands of hidden values and of texts, so each text is read once, whatever the number of values. Of one that is
made to need more work than MAX_WORK, nothing more is shown.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from worker.core.base.text import one_line

HIDDEN = "<redacted>"
SHORT_CHARS = 4
"""A shorter value is hidden in a text only where it stands by itself: `7` is in every stack."""
CUT = "….[]"
"""What may stand where a text was cut."""
MAX_CUT_CHARS = 4_096
"""Of a part of a value, at the beginning or end of a text: texts that are cut are shorter."""
MAX_WORK = 5_000_000
"""Comparisons of texts with values, of 64 characters each: about a second."""


class HiddenValues:
    """The values that are hidden in one dead letter."""

    def __init__(self, values: Iterable[str]) -> None:
        self._values = frozenset(values)
        self._work = MAX_WORK

    def __contains__(self, value: str) -> bool:
        return value in self._values

    def without(self, text: str, *, is_cut: bool) -> str:
        """A text without these values. `is_cut`: it may have been cut, so that it begins or ends with a part of one."""
        if not self._values or not text:
            return text
        parts, place, done = [], self._cut_end(text) if is_cut else 0, 0
        if place:
            parts, done = [HIDDEN], place
        while place < len(text):
            if self._work < 0:
                return HIDDEN
            end = self._end(text, place) or self._short_end(text, place) or (is_cut and self._cut_start(text, place))
            if end:
                parts += [text[done:place], HIDDEN]
                done = end
            place = end or place + 1
        return "".join(parts) + text[done:] if parts else text

    @cached_property
    def _spellings(self) -> frozenset[str]:
        return frozenset(one for value in self._values for one in _spelled(value))

    @cached_property
    def _short(self) -> frozenset[str]:
        return frozenset(one for one in self._spellings if len(one) < SHORT_CHARS)

    @cached_property
    def _ordered(self) -> list[str]:
        return sorted(one for one in self._spellings if len(one) >= SHORT_CHARS)

    @cached_property
    def _backwards(self) -> list[str]:
        return sorted(one[::-1] for one in self._ordered)

    @cached_property
    def _lengths(self) -> dict[str, list[int]]:
        """How long those are that begin with these characters, the longest first, so that none is cut by another in it."""
        found: dict[str, set[int]] = {}
        for one in self._ordered:
            found.setdefault(one[:SHORT_CHARS], set()).add(len(one))
        return {start: sorted(lengths, reverse=True) for start, lengths in found.items()}

    @cached_property
    def _ends(self) -> frozenset[str]:
        return frozenset(one[-SHORT_CHARS:] for one in self._ordered)

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self._ordered), default=0)

    def _end(self, text: str, place: int) -> int:
        """The end of the value that begins here, where it has SHORT_CHARS at least; 0 if none does."""
        for length in self._lengths.get(text[place : place + SHORT_CHARS], ()):
            self._work -= 1 + length // 64
            if place + length <= len(text) and text[place : place + length] in self._spellings:
                return place + length
        return 0

    def _short_end(self, text: str, place: int) -> int:
        """The same for a shorter value, which has to stand by itself."""
        if not self._short or (place and _is_of_word(text[place - 1])):
            return 0
        for end in range(min(place + SHORT_CHARS - 1, len(text)), place, -1):
            if text[place:end] in self._short and not (end < len(text) and _is_of_word(text[end])):
                return end
        return 0

    def _cut_start(self, text: str, place: int) -> int:
        """The end of the text, if what begins here is the beginning of a value that was cut; otherwise 0."""
        if text[place : place + SHORT_CHARS] not in self._lengths or len(text) - place > MAX_CUT_CHARS:
            return 0
        return len(text) if _begins_one(self._ordered, text[place:].rstrip(CUT)) else 0

    def _cut_end(self, text: str) -> int:
        """The end of the value that the beginning of this text is the end of; 0 if it is that of none."""
        for end in range(min(self._longest, len(text), MAX_CUT_CHARS), SHORT_CHARS - 1, -1):
            if text[end - SHORT_CHARS : end] in self._ends and _begins_one(self._backwards, text[end - 1 :: -1]):
                return end
        return 0


def _begins_one(ordered: list[str], start: str) -> bool:
    """Whether one of these begins with this."""
    place = bisect_left(ordered, start)
    return place < len(ordered) and ordered[place].startswith(start)


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _spelled(value: str) -> set[str]:
    """A value as texts may spell it: as it is, decoded (as a key of an S3 event), on one line, in a URL, in quotation marks.

    Those are JSON's and Python's, and what is within them may itself be quoted.
    """
    if value.isascii() and value.isalnum():
        return {value}
    plain = {value, unquote(value), unquote_plus(value)}
    plain |= {one_line(one).strip() for one in plain}
    in_urls = {way(one, errors="replace") for one in plain for way in (quote, quote_plus)}
    quoted = {one for text in plain for one in _quoted(text)}
    return (plain | in_urls | quoted | {one for text in quoted for one in _quoted(text)}) - {""}


def _quoted(text: str) -> Iterator[str]:
    yield from (json.dumps(text, ensure_ascii=only_ascii)[1:-1] for only_ascii in (True, False))
    yield repr(text)[1:-1]
