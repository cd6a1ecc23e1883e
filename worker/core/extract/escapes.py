r"""Replace the escapes of JSON (RFC 8259, 7) by what they stand for: nobody searches for `\u6771\u4eac` or `\nRetry`.

Logs and settings contain JSON too, line by line; outside of it a backslash is a backslash, as in `C:\new\table`.
"""

import json
import re

MAX_VALIDATED_CHARS = 4 * 1024**2
"""Longer text under another name is not examined for being JSON as a whole."""

_JSON = re.compile(r"application/(?:(?:[\w.-]+\+)?json|x-ndjson|json-seq)|text/json")
_ESCAPE = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|(.))""", re.DOTALL)
_PLAIN = {"n": "\n", "r": "\n", "t": "\t", "b": " ", "f": "\n", '"': '"', "/": "/", "\\": "\\"}
# JSON as a string inside JSON, as the logs of containers have it; its escapes are escaped once more.
_NESTED = re.compile(r'"(?:[\[{]\s*)+\\"(?:[^"\\]|\\.)*+"', re.DOTALL)
_DATA = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{1000,}+={0,2}")
_OPENING = re.compile(r'[\[{]{1,9}\s{0,9}"')
_DECODER = json.JSONDecoder(strict=False)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CHARACTERS = re.compile(r"(?<!\\)(?:\\u[0-9a-fA-F]{4}){2,}")
"""Two in a row: a single one may be a folder's name."""
_CHARACTER = re.compile(r"(?<!\\)\\u[0-9a-fA-F]{4}")
_WITH_ESCAPES = frozenset({"text/x-java-properties", "text/javascript", "text/x-java", "text/x-python", "text/x-c"})
"""Kinds of files in which a single one is a character for certain."""


def is_json(mime_type: str) -> bool:
    """Whether the type is JSON, or JSON lines."""
    return _JSON.fullmatch(mime_type) is not None


def unescaped(text: str, mime_type: str) -> str:
    r"""The text without escapes: all of it if it is JSON, otherwise the lines that are, and characters written as `\uXXXX`."""
    if is_json(mime_type):
        return _without_data(_paired(_unescaped_json(text)) if "\\" in text else text)
    if "\\" not in text:
        return text
    if text.lstrip("\ufeff \t\r\n")[:1] in {"{", "["} and len(text) <= MAX_VALIDATED_CHARS and _is_valid(text):
        return _paired(_unescaped_json(text))
    if '{"' in text or '["' in text or '{ "' in text:
        text = "\n".join(_unescaped_line(line) if "\\" in line else line for line in text.split("\n"))
    if "\\u" in text:
        characters = _CHARACTER if mime_type in _WITH_ESCAPES else _CHARACTERS
        text = characters.sub(lambda run: _ESCAPE.sub(_meaning, run[0]), text)
    return _paired(text)


def _unescaped_json(text: str) -> str:
    if '\\"' in text:
        text = _NESTED.sub(lambda nested: _ESCAPE.sub(_meaning, nested[0]), text)
    return _ESCAPE.sub(_meaning, text)


def _meaning(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _PLAIN.get(escape[2], escape[0])


def _paired(text: str) -> str:
    """The text with surrogates joined to the characters that they stand for, as in emoji."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescaped_line(line: str) -> str:
    """The line with its object or array unescaped, before which there may be a time and the like."""
    opening = _OPENING.search(line)
    end = max(line.rfind("}"), line.rfind("]")) + 1
    if opening is None or len(line) > MAX_VALIDATED_CHARS:
        return line
    part = line[opening.start() : end]
    return line[: opening.start()] + _unescaped_json(part) + line[end:] if _is_valid(part) else line


def _is_valid(text: str) -> bool:
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _without_data(text: str) -> str:
    """The text without long pieces of Base64: the pictures of a notebook, the bodies of recorded traffic."""
    return _DATA.sub("", text)
