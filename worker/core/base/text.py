"""Untrusted text: how it is made fit to be stored, sent, logged and shown. Keys, bodies and errors may hold anything.

Four places take it, and each obeys other characters: an index and SQS refuse some, a log reader splits lines, a terminal
moves its cursor, and a JSON encoder leaves some as they are that a terminal obeys.
"""

import re
import unicodedata

# Control characters other than tab, newline and carriage return, and lone surrogates: the former hide in logs and
# terminals, the latter cannot be encoded as UTF-8.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# C1 controls, marks of direction, line separators: a terminal obeys them.
_ACTIVE = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def scrub(text: str) -> str:
    """Text for the index: control characters and lone surrogates are each replaced by U+FFFD."""
    return _UNWANTED.sub("\ufffd", text)


def sendable(text: str) -> str:
    """Text for SQS, which takes the characters that XML 1.0 allows (SendMessage, MessageBody): the rest as U+FFFD."""
    return scrub(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def searchable(text: str) -> str:
    """A name as it is searched for: NFC (macOS writes NFD), and scrubbed."""
    return text if text.isascii() and text.isprintable() else scrub(unicodedata.normalize("NFC", text))


def printable(text: str) -> str:
    """Text that moves no cursor: what is not printable, line ends excepted, as U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """Text that moves no cursor and starts no line: white space as one space, the rest as `printable` has it."""
    return printable(re.sub(r"\s+", " ", text))


def escaped(text: str) -> str:
    r"""Text for one line of a log, nothing of it lost: what is not printable as its escape, such as `\n` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def escaped_json(json_text: str) -> str:
    r"""JSON text with what a terminal obeys as `\uXXXX`: the same JSON."""
    return json_text if json_text.isascii() else _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)
