"""Make untrusted text safe to store, send, log and show. Keys, bodies and error messages may contain anything.

Different characters matter in different places: an index and SQS reject some, log readers split at line ends, terminals
obey control characters, and a JSON encoder leaves some of those unescaped.
"""

import re
from urllib.parse import quote

# Control characters other than tab, newline and carriage return, and lone surrogates: the former are invisible in logs
# and on terminals, the latter cannot be encoded as UTF-8.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# C1 control characters, direction marks and line separators, which terminals obey.
_ACTIVE = re.compile("[\x80-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def scrub(text: str) -> str:
    """Text for the index: each control character and lone surrogate is replaced by U+FFFD."""
    return _UNWANTED.sub("\ufffd", text)


def sendable(text: str) -> str:
    """Text for SQS, which accepts the characters that XML 1.0 allows (SendMessage, MessageBody); others become U+FFFD."""
    return scrub(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")


def searchable(text: str) -> str:
    """A name in the form that is searched for (see uniform.py), and scrubbed."""
    if text.isascii() and text.isprintable():
        return text
    from worker.core.base.uniform import uniform  # its tables take 25 ms, which no command needs to start

    return uniform(scrub(text))


def printable(text: str) -> str:
    """Text that cannot control a terminal: unprintable characters except line ends are replaced by U+FFFD."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def one_line(text: str) -> str:
    """Text on one line that cannot control a terminal: white space becomes one space, the rest is as in `printable`."""
    return printable(re.sub(r"\s+", " ", text))


def shortened(text: str, at_most: int) -> str:
    """Text on one line of at most so many characters: the rest is left out from the end of a word on, and … stands for it."""
    line = one_line(text).strip()
    if len(line) <= at_most:
        return line
    kept = line[: at_most - 1]
    words = kept if line[at_most - 1] == " " else kept.rpartition(" ")[0]
    return f"{(words if len(words) >= at_most // 2 else kept).rstrip()}…"


def escaped(text: str) -> str:
    r"""Text for one line of a log, without loss: unprintable characters become escapes such as `\n` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)


def exact(text: str) -> str:
    r"""A key on one line of a terminal, without loss: `escaped`, except that an ideographic space stays as it is."""
    return "\u3000".join(map(escaped, text.split("\u3000")))


def escaped_json(json_text: str) -> str:
    r"""The same JSON, in which characters that control a terminal are written as `\uXXXX`."""
    return json_text if json_text.isascii() else _ACTIVE.sub(lambda found: f"\\u{ord(found[0]):04x}", json_text)


def header_value(text: str, most: int) -> str:
    """Text as the value of an HTTP header: percent-encoded except for visible ASCII and spaces, and cut to so many characters."""
    encoded = quote(scrub(text), safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")[:most]
    return re.sub("%[0-9A-F]?$", "", encoded)
