"""What can be said of another service's failure from its texts: its type, what failures of one cause share, its metadata."""

import hashlib
import re
from collections.abc import Mapping

import orjson

from worker.core.base.text import sendable

MAX_NAME_CHARS = 200
"""Error types, services, routing keys and ids are cut to this."""
MAX_METADATA_BYTES = 4_096
"""Metadata that a failure record keeps, as JSON."""
NO_TYPE = "Error"
"""The error type where none can be found."""
LEFT_OUT = "(left out)"
"""The name under which metadata says how many of its members did not fit."""
_READ_CHARS = 20_000
"""How much of a stack is searched, at either end."""
_TYPE = re.compile(
    r"^(?:Caused by: |Uncaught |Unhandled )?((?:[A-Za-z_$][\w$]{0,80}\.){0,10}[A-Z][\w$]{1,80})(?::|$)", re.MULTILINE
)
_LOOKS_LIKE_A_TYPE = re.compile(r"(?:Error|Exception|Timeout|Warning|Interrupt|Exit|Failure|Fault)$")
_PLACE = re.compile(r"[\w$)]\.[A-Za-z]{1,5}:\d")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|«[^»]*»|「[^」]*」")
_ID = re.compile(r"\b(?=\w*\d)[0-9A-Za-z]{8,}(?:-[0-9A-Za-z]+)*\b|\b0x[0-9a-f]+\b|\d+", re.IGNORECASE)


def type_in(*texts: str) -> str:
    """The error type that a message or a stack begins or ends with (`TimeoutError: …`); NO_TYPE if there is none."""
    for text in texts:
        found = [name for name in _TYPE.findall(_ends(text)) if _LOOKS_LIKE_A_TYPE.search(name)]
        if found:
            return str(found[-1])[:MAX_NAME_CHARS]
    return NO_TYPE


def foreign_fingerprint(error_type: str, source_service: str, message: str, stack: str) -> str:
    """What another service's failures of one cause share: type, service, and the place without numbers or the message's pattern."""
    place = re.sub(r"\d+", "", innermost_line(stack)) or pattern_of(message)
    return hashlib.sha256(f"{error_type} {source_service} {place}".encode("utf-8", "replace")).hexdigest()[:12]


def innermost_line(stack: str) -> str:
    """The line of a stack that names where the error was raised; empty if no line looks like that.

    Python writes the innermost frame last, as `File "…", line N, in f`; Java, JavaScript and .NET write it first, as `at …`,
    and the cause of a cause after `Caused by:`; Ruby, Go and others write it first, with `name.rb:12`.
    """
    lines = [line.strip() for line in _ends(stack).splitlines()]
    frames = [line for line in lines if line.startswith('File "')]
    if frames:
        return frames[-1]
    causes = [number for number, line in enumerate(lines) if line.startswith("Caused by:")]
    inner = lines[causes[-1] :] if causes else lines
    return next((line for line in inner if line.startswith("at ") or _PLACE.search(line)), "")


def pattern_of(message: str) -> str:
    """A message without what differs from one failure to the next: quoted parts, ids, numbers."""
    text = _ID.sub("", _QUOTED.sub("", message[:2_000]))
    return " ".join(text.split())[:MAX_NAME_CHARS]


def bounded_metadata(found: Mapping[object, object]) -> dict[str, object]:
    """Metadata as JSON can hold it, in order, until its limit; what JSON cannot hold is kept as text. Never raises."""
    kept: dict[str, object] = {}
    left = MAX_METADATA_BYTES
    for name, value in found.items():
        key, text = sendable(text_of(name))[:MAX_NAME_CHARS], _json_of(value)
        left -= len(key.encode()) + len(text) + 6
        if left < 0:
            kept[LEFT_OUT] = len(found) - len(kept)
            return kept
        kept[key] = orjson.loads(text)
    return kept


def _json_of(value: object) -> bytes:
    try:
        text = sendable(orjson.dumps(value, default=text_of, option=orjson.OPT_NON_STR_KEYS).decode()).encode()
        orjson.loads(text)
    except Exception:  # noqa: BLE001 (a cycle, a lone surrogate, a number that is too large, a bug in someone's __str__)
        return orjson.dumps(sendable(text_of(value))[:MAX_NAME_CHARS])
    return text


def text_of(value: object) -> str:
    """A value as text; its type in brackets where it has none. Never raises."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 (anyone's __str__)
        return f"({type(value).__name__})"


def _ends(text: str) -> str:
    return text if len(text) <= 2 * _READ_CHARS else f"{text[:_READ_CHARS]}\n{text[-_READ_CHARS:]}"
