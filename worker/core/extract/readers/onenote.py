"""Sections of OneNote ([MS-ONE], in the store of [MS-ONESTORE]).

The store is a log of revisions of objects. Its properties that are texts have their length before them: these are looked for
in the whole file, so that a text that was changed later is found in its former wording, too.
"""

import re
from collections.abc import Iterator

from worker.core.extract.reading import Reading

MIN_BYTES = 4
_WIDE = re.compile(
    rb"(?=(..)\0\0((?:[\t\n\v\r\x20-\x7e\xa0-\xff]\0|[^\0][\x01-\x06\x20-\x22\x30\x4e-\x9f\xac-\xd7\xfd\xff]|\0[\x30\x4e-\x9f]){1,32767}))",
    re.DOTALL,
)
"""A length and UTF-16: Latin, letters up to Arabic, punctuation, kana, kanji, Hangul, and full-width forms."""
_NARROW = re.compile(rb"(?=(..)\0\0([\t\n\v\r\x20-\x7e\x80-\xff]{4,65535}))", re.DOTALL)
_ASCII = re.compile(rb"[\t\n\v\r\x20-\x7e]+")
_HIGH = re.compile("[\x80-\U0010ffff]")
MAX_HIGH = 0.3
"""The share of characters above ASCII in a text of single bytes: these are Western."""
_LINK = re.compile('\ufddf?HYPERLINK "[^"]*"')
_WORD = re.compile(r"\w{2}|[ぁ-鿿가-힣]")
_NOISE = re.compile(r"[\ufffd\ud800-\udfff]|[가-힣][ぁ-鿿]|[ぁ-鿿][가-힣]|[Ā-ۿ][一-鿿가-힣]|[一-鿿가-힣][Ā-ۿ]")
"""What is not next to each other in a text: identifiers look like letters of several scripts."""


def read(body: bytes, reading: Reading) -> None:
    """Read the section."""
    for text in dict.fromkeys(_texts(body)):
        reading.add(text)


def _texts(body: bytes) -> Iterator[str]:
    for pattern, codec in ((_WIDE, "utf-16-le"), (_NARROW, "cp1252")):
        for match in pattern.finditer(body):
            size = int.from_bytes(match[1], "little")
            if not MIN_BYTES <= size <= len(match[2]) + 2:  # a zero may end the text
                continue
            raw = body[match.start(2) : match.start(2) + size]
            if pattern is _WIDE and _ASCII.fullmatch(raw):
                continue
            text = _LINK.sub("", raw.decode(codec, "replace").rstrip("\0"))
            is_noise = _NOISE.search(text) or (pattern is _NARROW and len(_HIGH.findall(text)) > MAX_HIGH * len(text))
            if _WORD.search(text) and not is_noise:
                yield text.replace("\r", "\n").replace("\v", "\n")
