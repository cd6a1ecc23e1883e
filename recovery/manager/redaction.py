"""Hides what REDACT_FIELDS names, wherever a dead letter is shown, exported or notified.

A path begins at the root of each JSON document: of the body; of JSON within a text of it, as SNS, SQS and other envelopes carry
it; of the message attributes, as an object of their names; and of the failure record with its metadata. The values that are
hidden there are hidden wherever else they stand in the same dead letter, too: in other fields of these documents, as the names
of fields, in its error message, stack and key, and in what people or programs say about it.

A body that is no JSON cannot be looked into, so it is not shown at all; nor is whatever a text repeats of it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from recovery.manager.hidden_values import HIDDEN, SHORT_CHARS, HiddenValues
from recovery.manager.json_paths import Path, parse_path

__all__ = ["HIDDEN", "NOT_JSON", "NOT_SHOWN", "Redactor", "View"]

NOT_SHOWN = "<not shown: REDACT_FIELDS is set>"
NOT_JSON = "<not shown: it is not JSON, and REDACT_FIELDS is set>"
REPEATED_CHARS = 8
"""Whatever a text has in common with a body that is no JSON, from this length on, is hidden."""


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
        masked = found.of_text(body)
        for one in others:
            with suppress(RecursionError):  # then it is not shown
                found.masked(one)
        view = View(NOT_JSON, self._paths, HiddenValues(found.values))
        with suppress(TypeError, RecursionError):
            return replace(view, body=_dumped(view.texts(masked))) if masked is not None else replace(view, unread=body)
        return replace(view, unread=body)

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
    hidden: HiddenValues = field(default_factory=lambda: HiddenValues(()))
    """What is hidden in it."""
    unread: str = ""
    """Its body, where that is no JSON."""

    @property
    def is_active(self) -> bool:
        """Whether anything may be hidden."""
        return bool(self.paths)

    def text(self, text: str) -> str:
        """A text about it, which may have been cut: what is hidden in the dead letter is hidden here."""
        text = self.hidden.without(text, is_cut=True)
        return _without_repeated(text, self.unread) if self.unread else text

    def name(self, name: str) -> str:
        """A name in it, such as that of a bucket or an error type, which is whole: it is no part of a hidden value by chance."""
        return self.hidden.without(name, is_cut=False)

    def value(self, document: Any) -> Any:
        """A document of it, such as its attributes: its fields are hidden, and so are the values in all its texts."""
        if not self.is_active:
            return document
        try:
            return self.texts(_Finding(self.paths).masked(document))
        except (RecursionError, TypeError):
            return NOT_SHOWN

    def texts(self, document: Any) -> Any:
        """A document in which the values are hidden in all texts, names and numbers. Raises RecursionError or TypeError."""
        if isinstance(document, str):
            within = _Finding(()).of_text(document)
            shown = None if within is None else self.texts(within)
            return self.text(document) if shown == within else _dumped(shown)
        if isinstance(document, Mapping):
            return {self.name(name): self.texts(one) for name, one in document.items()}
        if isinstance(document, list):
            return [self.texts(one) for one in document]
        written = _written(document)
        return HIDDEN if written is not None and len(written) >= SHORT_CHARS and written in self.hidden else document


@dataclass(slots=True)
class _Finding:
    """A walk through documents that hides fields, and remembers what they had."""

    paths: tuple[Path, ...]
    values: list[str] = field(default_factory=list)

    def masked(self, document: object) -> Any:
        """A document without its hidden fields. Raises RecursionError."""
        return self._walk(document, frozenset(self.paths))

    def of_text(self, text: str, paths: frozenset[Path] = frozenset()) -> Any:
        """The document of a text of JSON, without its hidden fields; None if the text is no object or array of JSON.

        `paths`: those that go on from where the text stands. An object with one name twice may mean either: it is no JSON.
        """
        if not text.lstrip().startswith(("{", "[")):
            return None
        try:
            document = json.loads(
                text, parse_int=_Number, parse_float=_Number, parse_constant=_no_constant,
                object_pairs_hook=_named_once,
            )  # fmt: skip
            return self._walk(document, paths | frozenset(self.paths))
        except (ValueError, RecursionError):
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
        masked = self.of_text(text, paths)
        return text if masked is None or len(self.values) == before else _dumped(masked)


@dataclass(frozen=True, slots=True)
class _Number:
    """A number of JSON as it is written: as a float, it might be another one."""

    text: str


def _dumped(document: Any) -> str:
    """A document as JSON. Raises TypeError for a lone surrogate, and for too great a depth."""
    return orjson.dumps(document, default=_unchanged, option=orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def _unchanged(number: _Number) -> orjson.Fragment:
    return orjson.Fragment(number.text)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a name occurs twice")
    return made


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _leaves(value: object) -> Iterator[str]:
    """The texts and numbers in a value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif (written := value if isinstance(value, str) else _written(value)) and not written.isspace():
        yield written


def _written(value: object) -> str | None:
    """A number as it is written; None if the value is none."""
    if isinstance(value, _Number):
        return value.text
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


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
