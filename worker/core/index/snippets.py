"""Passages of some 150 characters around matches: whole sentences if they fit, else whole words; the match in the middle.

Japanese has no spaces: there a passage begins and ends at a 。 or 、 if one is near, else between any two characters, but never
within one that consists of several (a base and its accents, a flag, a syllable of Korean in parts).
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import dropwhile

from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START
from worker.core.index.text import WITHOUT_SPACES

PASSAGES = 2
"""The most of one text."""
PASSAGE_CHARS = 150
SLACK_CHARS = 30
"""How much earlier or later than these a passage may begin or end, so that it does at the end of a sentence or word."""
NEAR_CHARS = 1_000
"""How far around a match a text is looked at: white space in it counts as one character."""

Span = tuple[int, int]
"""Where a match begins and ends in its text."""

_SENTENCE = re.compile(r"(?:[。．！？!?]+[」』）)\]”’\"]*|\n|(?<=[^\W\d])[.](?=\s))\s*")
_WORD = re.compile(r"\s+|[、，・；：]")
_CHARACTER = re.compile(
    f"(?:(?=[{WITHOUT_SPACES}])|(?<=[{WITHOUT_SPACES}]))(?![、。，．・！？ー々っッゃゅょャュョ」』）])"
)
_WHITE = re.compile(r"\s+|\S+")


def passages(text: str, matches: Iterable[Span]) -> list[str]:
    """Up to two passages, each around a match and on one line, with all matches in them marked.

    `matches` are in the order of the text, do not overlap, and are not read further than needed.
    """
    found: list[str] = []
    rest, end = iter(matches), 0
    for _ in range(PASSAGES):
        rest = dropwhile(lambda span, end=end: span[0] < end, rest)  # type: ignore[misc]
        first = next(rest, None)
        if first is None:
            break
        passage, end, rest = _passage(text, first, rest, earliest=end)
        found.append(passage)
    return found


def _passage(text: str, first: Span, rest: Iterator[Span], *, earliest: int) -> tuple[str, int, Iterator[Span]]:
    """The passage around the first match, where it ends in the text, and the matches after it."""
    start, stop = first[0], min(first[1], first[0] + NEAR_CHARS)
    near, places = _near(text, max(earliest, start - NEAR_CHARS), min(len(text), stop + NEAR_CHARS))
    begin, end = _window(near, bisect_left(places, start), bisect_left(places, stop))
    ends_at = places[end - 1] + 1
    spans = [first]
    for span in rest:
        if span[0] >= ends_at:
            rest = _before(span, rest)
            break
        spans.append(span)
    return _marked(near[begin:end], places[begin:end], spans), ends_at, rest


def _before(span: Span, rest: Iterator[Span]) -> Iterator[Span]:
    yield span
    yield from rest


def _near(text: str, start: int, end: int) -> tuple[str, list[int]]:
    """A part of the text in which each white space is one character, a line end if there are several, and their places."""
    chars: list[str] = []
    places: list[int] = []
    for found in _WHITE.finditer(text, start, end):
        run = found[0]
        if run.isspace():
            chars.append("\n" if run.count("\n") > 1 else " ")
            places.append(found.start())
        else:
            chars.append(run)
            places.extend(range(found.start(), found.end()))
    return "".join(chars), places


def _window(near: str, start: int, stop: int) -> Span:
    """Where the passage around a match begins and ends."""
    around = max(0, PASSAGE_CHARS - (stop - start))
    begin = max(0, start - around // 2)
    end = min(len(near), stop + around - (start - begin))
    begin = max(0, min(begin, end - PASSAGE_CHARS))
    if begin:
        begin = _boundary(near, begin, max(1, begin - SLACK_CHARS), min(begin + SLACK_CHARS, start))
    if end < len(near):
        end = _boundary(near, end, max(stop, end - SLACK_CHARS), min(end + SLACK_CHARS, len(near)))
    return begin, end


def _boundary(near: str, wanted: int, lowest: int, highest: int) -> int:
    """The place nearest to the wanted one at which a sentence ends, or else a word, or else a character."""
    for pattern in (_SENTENCE, _WORD, _CHARACTER):
        ends = (found.end() for found in pattern.finditer(near, max(0, lowest - 1), highest))
        places = [place for place in ends if lowest <= place <= highest and not _joins(near, place)]
        if places:
            return min(places, key=lambda place: abs(place - wanted))
    while lowest < wanted and _joins(near, wanted):
        wanted -= 1
    return wanted


def _joins(text: str, place: int) -> bool:
    """Whether what is seen as one character stands across this place (UAX #29, for what NFKC leaves in pieces)."""
    if not 0 < place < len(text):
        return False
    one, other = text[place - 1], text[place]
    return (
        unicodedata.category(other).startswith("M")
        or "\u200d" in (one, other)
        or "\U0001f3fb" <= other <= "\U0001f3ff"
        or "\u1160" <= other <= "\u11ff"
        or (_is_half_a_flag(other) and _halves_before(text, place) % 2 == 1)
    )


def _is_half_a_flag(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _halves_before(text: str, place: int) -> int:
    first = place
    while first and _is_half_a_flag(text[first - 1]):
        first -= 1
    return place - first


def _marked(near: str, places: Sequence[int], spans: Sequence[Span]) -> str:
    """The passage on one line, each match between marks."""
    pieces: list[str] = []
    at = 0
    for start, stop in spans:
        begin, end = bisect_left(places, start), bisect_left(places, stop)
        if begin < end:
            pieces += [near[at:begin], HIGHLIGHT_START, near[begin:end], HIGHLIGHT_END]
            at = end
    return "".join([*pieces, near[at:]]).replace("\n", " ").strip()
