"""Hides what REDACT_FIELDS names, wherever a dead letter is shown, exported or notified.

A path begins at the root of each JSON document: of the body; of JSON within a text of it, as SNS, SQS and other envelopes carry
it; of the message attributes, as an object of their names; and of the failure record with its metadata. The values that are
hidden there are hidden in every text about the same dead letter too: error message, stack, key.

A body that is no JSON cannot be looked into, so it is not shown at all; nor is whatever a text repeats of it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

import orjson

from recovery.manager.json_paths import Path, parse_path

__all__ = ["HIDDEN", "NOT_JSON", "NOT_SHOWN", "Redactor", "View"]

HIDDEN = "<redacted>"
NOT_SHOWN = "<not shown: REDACT_FIELDS is set>"
NOT_JSON = "<not shown: it is no JSON, and REDACT_FIELDS is set>"
SHORT_CHARS = 4
"""A shorter value is hidden in a text only where it stands by itself: `7` is in every stack."""
REPEATED_CHARS = 8
"""Whatever a text has in common with a body that is no JSON, from this length on, is hidden."""
CUT = "….[]"
"""What may stand where a text was cut."""


class Redactor:
    """Hides the fields of some paths; without paths, it shows everything as it is."""

    def __init__(self, paths: Iterable[str] = ()) -> None:
        """Raises ValueError, which names the path, for one that is none."""
        self.paths = tuple(paths)
        """As they are written."""
        self._paths = tuple(map(parse_path, self.paths))

    @property
    def is_active(self) -> bool:
        """Whether anything is hidden."""
        return bool(self._paths)

    def view(self, body: str, *others: Mapping[str, object]) -> "View":
        """A dead letter as it is shown: its body, and what other documents (attributes, failure record) it has."""
        if not self.is_active:
            return View(body)
        found = _Finding(self._paths)
        shown = found.masked_text(body)
        for one in others:
            with suppress(RecursionError):  # then it is not shown
                found.masked(one)
        return View(NOT_JSON if shown is None else shown, self._paths, found.values, body if shown is None else "")

    def body(self, text: str) -> str:
        """A body as it is shown."""
        return self.view(text).body

    def text(self, text: str, of: str) -> str:
        """A text about the dead letter that has this body, as it is shown."""
        return self.view(of).text(text)


@dataclass(frozen=True)
class View:
    """One dead letter as it is shown. Everything is as it is where nothing is hidden."""

    body: str
    paths: tuple[Path, ...] = ()
    values: Sequence[str] = ()
    """What is hidden in it."""
    unread: str = ""
    """Its body, where that is no JSON."""

    @property
    def is_active(self) -> bool:
        """Whether anything may be hidden."""
        return bool(self.paths)

    def text(self, text: str) -> str:
        """A text about it: what is hidden in the dead letter is hidden here."""
        for one in self._spellings:
            text = _without(text, one)
        return _without_repeated(text, self.unread) if self.unread else text

    def value(self, document: Any) -> Any:
        """A document of it, such as its attributes: its fields are hidden, and so are the values in all its texts."""
        if not self.is_active:
            return document
        try:
            return self._texts(_Finding(self.paths).masked(document))
        except RecursionError:
            return NOT_SHOWN

    @cached_property
    def _spellings(self) -> list[str]:
        """The longest first, so that none is cut by another that is in it."""
        return sorted({one for value in self.values for one in _spelled(value)}, key=len, reverse=True)

    def _texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self._texts(one) for name, one in value.items()}
        return [self._texts(one) for one in value] if isinstance(value, list) else value


@dataclass(slots=True)
class _Finding:
    """A walk through documents that hides fields, and remembers what they had."""

    paths: tuple[Path, ...]
    values: list[str] = field(default_factory=list)

    def masked(self, document: object) -> Any:
        """A document without its hidden fields. Raises RecursionError."""
        return self._walk(document, frozenset(self.paths))

    def masked_text(self, text: str, paths: frozenset[Path] = frozenset()) -> str | None:
        """A text of JSON without its hidden fields, and with the numbers as they are written; None if it is no JSON.

        `paths`: those that go on from where the text stands. An object with one name twice may mean either: it is no JSON.
        """
        if not text.lstrip().startswith(("{", "[")):
            return None
        try:
            document = json.loads(
                text, parse_int=_Number, parse_float=_Number, parse_constant=_no_constant,
                object_pairs_hook=_named_once,
            )  # fmt: skip
            masked = self._walk(document, paths | frozenset(self.paths))
            return orjson.dumps(masked, default=_unchanged, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()
        except (ValueError, TypeError, RecursionError):
            return None

    def _walk(self, value: object, paths: frozenset[Path]) -> Any:
        if isinstance(value, Mapping):
            return {name: self._child(name, one, paths) for name, one in value.items()}
        if isinstance(value, list):
            return [self._child(place, one, paths) for place, one in enumerate(value)]
        return self._within(value, paths) if isinstance(value, str) else value

    def _child(self, key: str | int, value: object, paths: frozenset[Path]) -> Any:
        further: set[Path] = set()
        for path in paths:
            if path[0].is_deep:
                further.add(path)
            if path[0].matches(key):
                if len(path) == 1:
                    self.values.extend(_leaves(value))
                    return HIDDEN
                further.add(path[1:])
        return self._walk(value, frozenset(further))

    def _within(self, text: str, paths: frozenset[Path]) -> str:
        """A text within a document: if it is JSON itself, all paths begin anew in it."""
        before = len(self.values)
        masked = self.masked_text(text, paths)
        return text if masked is None or len(self.values) == before else masked


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of JSON as it is written: as a float, it might be another one."""

    text: str


def _unchanged(number: _Number) -> orjson.Fragment:
    return orjson.Fragment(number.text)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name occurs twice")
    return made


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _leaves(value: object) -> Iterator[str]:
    """The texts and numbers in a value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, _Number):
        yield value.text
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        yield str(value)


def _spelled(value: str) -> set[str]:
    """A value as texts may spell it: as it is, within JSON, in Python's quotation marks, in a URL."""
    in_json = (json.dumps(value, ensure_ascii=only_ascii)[1:-1] for only_ascii in (True, False))
    in_urls = (way(value, errors="replace") for way in (quote, quote_plus))
    return {value, repr(value)[1:-1], *in_json, *in_urls}


def _without(text: str, value: str) -> str:
    """A text without a value; without a part of it, too, where the text was cut within it."""
    if len(value) < SHORT_CHARS:
        return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text) if value in text else text
    text = text.replace(value, HIDDEN)
    start, end = value[:SHORT_CHARS], value[-SHORT_CHARS:]
    place = text.find(start, max(0, len(text) - len(value)))
    while place >= 0:
        if value.startswith(text[place:].rstrip(CUT)):
            return text[:place] + HIDDEN
        place = text.find(start, place + 1)
    place = text.find(end, 0, len(value))
    return HIDDEN + text[place + SHORT_CHARS :] if place >= 0 and value.endswith(text[: place + SHORT_CHARS]) else text


def _without_repeated(text: str, body: str) -> str:
    """A text without what it has in common with a body, from REPEATED_CHARS characters on."""
    grams = set(_grams(text))
    grams.intersection_update(_grams(body))
    shared = bytearray(len(text))
    for place, gram in enumerate(_grams(text)):
        if gram in grams:
            shared[place : place + REPEATED_CHARS] = b"\1" * REPEATED_CHARS
    parts, place = [], 0
    for found in re.finditer(rb"\x01+", bytes(shared)):
        parts += [text[place : found.start()], HIDDEN]
        place = found.end()
    return "".join(parts) + text[place:]


def _grams(text: str) -> Iterator[str]:
    return (text[place : place + REPEATED_CHARS] for place in range(len(text) - REPEATED_CHARS + 1))
