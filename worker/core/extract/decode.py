"""Decode text whose encoding is unknown, or stated by somebody who may be wrong (docs/evidence.md, Reading documents).

1. A byte order mark; 2. UTF-16 without one; 3. UTF-8, which other text is hardly ever valid as; 4. ISO-2022-JP, by its
escape sequences; 5. the declared encoding; 6. UTF-8 with lines in another encoding; 7. EUC-JP or CP932, whichever reads as
Japanese; 8. Windows-1252. Whether it is text at all is decided by the share of control characters, not by a single byte.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worker.core.extract import japanese, languages
from worker.core.extract.charsets import EBCDIC, WESTERN, codec_of

CHUNK_BYTES = 256 * 1024
"""A longer text is decoded in pieces of this size, so that other threads can run in between."""
MAX_LINE_BYTES = 4 * CHUNK_BYTES
"""A piece ends with a line, unless the line is longer than this."""
MAX_HIGH = 0.4
"""In Western text, the share of bytes above ASCII is smaller than this; in random data it is one half."""
MAX_CONTROLS = 0.04
"""Text contains few control characters; in random data, every tenth byte is one."""
MAX_CONTROLS_IN_VALID = 0.15
"""Data that is valid throughout is text even with more of them: records that are separated by control characters."""

MAX_CONTROLS_IN_HEAD = 0.08
_HEAD_BYTES = 1024

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r")) + b"\x7f"
_HARMLESS = b"\x07\x08\x0c\x1b"  # bells, overstrikes, form feeds and terminal colours do occur in text
_HIGH = bytes(range(128, 256))
_WIDE = frozenset({"utf-16-le", "utf-16-be"})
_ISO_2022_KR = b"\x1b$)C"
_NUL_RUN = re.compile(rb"\0{2,}")
_ASCII_IN_UTF_16 = re.compile(rb"(?:[\t\n\r -~]\0){6,}")
_THREE_BYTES = re.compile(rb"[\xe1-\xef][\x80-\xbf]{2}|\xf0[\x90-\xbf][\x80-\xbf]{2}")
"""Characters in UTF-8; two such bytes in a row also occur in other encodings, three seldom."""
_KANA_IN_UTF8 = re.compile(rb"(?:\xe3[\x81-\x83][\x80-\xbf]){2}|[\xe4-\xe9][\x80-\xbf]{2}\xe3[\x81-\x83][\x80-\xbf]")
_CLEARLY_UTF8 = 0.6
"""The share of bytes above ASCII that form such characters."""
_PROBE = 4096
"""Number of characters that is enough to tell one encoding from another."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and the encoding that it was in."""

    text: str
    encoding: str
    """Python's name for the codec."""
    clean: bool
    """Whether the text has no control characters and no surrogates, so that it need not be scrubbed."""


def decode(data: bytes, declared: str | None = None) -> Decoded | None:
    """Decode `data`; the declared encoding counts where it fits. Returns None for binary data."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _marked(data, name)
    wide = japanese.wide_encoding(data)
    if wide:
        return Decoded(japanese.realigned(data, wide), wide, clean=False)
    return _decode(data, codec_of(declared) if declared else None)


def decode_stream(chunks: Iterable[bytes], keep_chars: int, declared: str | None = None) -> tuple[str, int] | None:
    """The first `keep_chars` characters of a long text and the number of its characters; None for binary data."""
    source = iter(chunks)
    first = next(source, b"")
    mark = next((name for mark, name in _MARKS[1:] if first.startswith(mark)), None)
    wide = mark or japanese.wide_encoding(first, realigns=False)
    texts = _all_in_one(first, source, wide) if wide else _by_piece(first, source, declared)
    kept: list[str] = []
    room, count = keep_chars, 0
    for text in texts:
        if text is None:
            return None
        count += len(text)
        if room > 0:
            kept.append(text[:room])
            room -= len(kept[-1])
    return "".join(kept), count


def _all_in_one(first: bytes, source: Iterator[bytes], encoding: str) -> Iterator[str]:
    """Decode an encoding whose line ends cannot be found among the bytes; what does not fit is replaced."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(first)
    for chunk in source:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _by_piece(first: bytes, source: Iterator[bytes], declared: str | None) -> Iterator[str | None]:
    """Decode piece by piece: what is certain of one piece, such as EUC-JP, is likely for the next. None if it is binary."""
    codec, is_first = codec_of(declared) if declared else None, True
    for piece in _pieces(first.removeprefix(codecs.BOM_UTF8), source):
        if piece.isascii() and b"\x1b" not in piece and b"\0" not in piece and codec not in EBCDIC:
            yield piece.decode("ascii")
            is_first = False
            continue
        found = _decode(piece, codec)
        if found is None:
            if is_first:
                yield None
                return
            yield piece.decode(codec or "utf-8", "replace")
            continue
        if found.encoding not in {"utf-8", WESTERN, "iso2022_jp_ext"}:
            codec = found.encoding
        is_first = False
        yield found.text


def _pieces(first: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, but divided at line ends, so that no character is divided."""
    rest = first
    for chunk in source:
        end = chunk.rfind(b"\n") + 1
        if end or len(rest) > MAX_LINE_BYTES:
            yield rest + chunk[:end]
            rest = chunk[end:]
        else:
            rest += chunk
    if rest:
        yield rest


def _marked(data: bytes, name: str) -> Decoded | None:
    text = japanese.realigned_by_mark(data) if name == "utf-16" else data.decode(name, "replace")
    if text.count("\ufffd") <= MAX_CONTROLS * len(text) + 1:
        return Decoded(text, name, clean=False)
    return _decode(data[3:], None) if name == "utf-8-sig" else None


def _decode(data: bytes, codec: str | None) -> Decoded | None:
    """Decode data without a mark; `codec` is the declared one, or the one that the text before it was in."""
    found = _unlike_ascii(data, codec)
    if found is not None:
        return found
    # A log that was cut while it was written begins with a hole; PowerShell appends UTF-16 to any file.
    if b"\0" in data:
        data = _NUL_RUN.sub(b"\0", _ASCII_IN_UTF_16.sub(lambda run: run[0][::2], data))
    text = _try(data, "utf-8")
    controls = _count_controls(data)
    if controls and _is_binary(data, controls, MAX_CONTROLS_IN_VALID):
        return None
    if controls and text is None and (_is_binary(data, controls, MAX_CONTROLS) or _begins_as_binary(data)):
        return _legacy(data, clean=False)
    if text is not None and not (codec and _is_chance(data, text, codec)):
        if controls and japanese.has_jis_escapes(data):
            return Decoded(japanese.jis(data), "iso2022_jp_ext", clean=False)
        return Decoded(text, "utf-8", clean=not controls)
    return _decode_legacy(data, codec, clean=not controls)


def _unlike_ascii(data: bytes, codec: str | None) -> Decoded | None:
    """Decode encodings in which the bytes of ASCII characters mean something else."""
    if codec in EBCDIC and (text := _as_ebcdic(data, codec)):
        return Decoded(text, codec, clean=False)
    if codec in _WIDE and (b"\0" in data or _try(data, "utf-8") is None):
        return Decoded(data.decode(codec, "replace"), codec, clean=False)
    if _ISO_2022_KR in data[:_HEAD_BYTES] and data.isascii():
        return Decoded(data.decode("iso2022_kr", "replace"), "iso2022_kr", clean=False)
    return None


def _decode_legacy(data: bytes, codec: str | None, *, clean: bool) -> Decoded | None:
    """Decode text that is not in UTF-8 throughout."""
    found = _as_declared(data, codec, clean) if codec else None
    if found is not None:
        return found
    legacy = _legacy(data, clean)
    if legacy is not None and japanese.has_kana(legacy.text) and not _KANA_IN_UTF8.search(data):
        return legacy
    found = _mixed(data, _THREE_BYTES)
    if found is not None:
        return found
    if legacy is None or not japanese.has_kana(legacy.text):
        foreign = languages.guess(data)
        if foreign is not None:
            return Decoded(data.decode(foreign, "replace"), foreign, clean=False)
    return legacy or _mixed(data, None) or _least_faulty(data)


def _count_controls(data: bytes) -> int:
    return len(data) - len(data.translate(None, _CONTROLS))


def _begins_as_binary(data: bytes) -> bool:
    """Whether the beginning is a header of numbers, whatever text may follow it."""
    head = data[:_HEAD_BYTES]
    return _is_binary(head, _count_controls(head), MAX_CONTROLS_IN_HEAD)


def _is_binary(data: bytes, controls: int, share: float) -> bool:
    allowed = max(share * len(data), 2)
    return controls > allowed and controls - sum(map(data.count, _HARMLESS)) > allowed


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError, ValueError):
        return None


def _high(data: bytes) -> int:
    return len(data) - len(data.translate(None, _HIGH))


def _is_chance(data: bytes, text: str, codec: str) -> bool:
    """Whether a few characters of two bytes are valid as UTF-8 by chance: 联通 in GBK."""
    if len(text) == len(data) or len(data) > _PROBE or _THREE_BYTES.search(data) or _high(data) > 8:
        return False
    declared = _try(data, codec)
    return declared is not None and japanese.has_kanji(declared)


def _as_ebcdic(data: bytes, codec: str) -> str | None:
    """The text, unless the declaration is wrong: small letters in EBCDIC are not valid as UTF-8."""
    if _try(data, "utf-8") is not None:
        return None
    text = data.decode(codec, "replace").replace("\x85", "\n")
    odd = sum(map(text.count, map(chr, _CONTROLS))) + sum(map(text.count, map(chr, range(0x80, 0xA0))))
    return text if odd <= MAX_CONTROLS * len(text) else None


def _as_declared(data: bytes, codec: str, clean: bool) -> Decoded | None:
    """The text in the declared encoding if it fits: a broken character here and there does not speak against it."""
    if codec == "utf-8":
        return None
    is_of_one_byte = len(codecs.encode("é", codec, "ignore")) == 1 or len(codecs.encode("ж", codec, "ignore")) == 1
    if is_of_one_byte or codec in {"cp932", "euc_jp", "euc-jp"}:  # these read nearly any bytes: look at what they say
        found = _legacy(data, clean)
        if found is not None and japanese.is_evident(found.text, with_kanji=codec == WESTERN):
            return None
    text = data.decode(codec, "replace")
    if text.count("\ufffd") * 20 > _high(data):
        return None
    return Decoded(text, codec, clean=clean and codec == "cp932")


def _mixed(data: bytes, evidence: re.Pattern[bytes] | None) -> Decoded | None:
    """UTF-8 in which some lines are broken or in another encoding, as in a log to which several programs write.

    There must be a line in UTF-8 that has the `evidence`, or nearly all bytes must be UTF-8; otherwise None.
    """
    lines = data.splitlines(keepends=True)
    texts = [_try(line, "utf-8") for line in lines]
    good = [line for line, text in zip(lines, texts, strict=True) if text is not None and not line.isascii()]
    is_evident = any(evidence is None or evidence.search(line) for line in good)
    if not (is_evident or _is_mostly_utf8(data)):
        return None
    bad = b"".join(line for line, text in zip(lines, texts, strict=True) if text is None)
    legacy = None if _is_mostly_utf8(bad) else _legacy(bad, clean=False)
    if legacy is not None and sum(map(len, good)) * 50 < len(bad):
        return None  # one short line that is valid as UTF-8 by chance
    codec = legacy.encoding if legacy else None
    whole = "".join(text if text is not None else _line(line, codec) for line, text in zip(lines, texts, strict=True))
    return Decoded(whole, "utf-8", clean=False)


def _line(line: bytes, codec: str | None) -> str:
    if codec is None and not _is_mostly_utf8(line):
        found = _legacy(line, clean=False)
        codec = found.encoding if found else WESTERN
    return line.decode(codec or "utf-8", "replace")


def _is_mostly_utf8(data: bytes) -> bool:
    return sum(map(len, _THREE_BYTES.findall(data))) > _CLEARLY_UTF8 * _high(data)


def _legacy(data: bytes, clean: bool) -> Decoded | None:
    windows, unix = _try(data, "cp932"), _try(data, "euc_jp")
    name = japanese.which(data, unix, windows)
    text = unix if name == "euc_jp" else windows
    return Decoded(text, name, clean=clean and name == "cp932") if name and text else None


def _least_faulty(data: bytes) -> Decoded | None:
    """Decode text with a few invalid bytes, and Western text; None for random data."""
    high = _high(data)
    text = data.decode("utf-8", "replace")
    if high > 24 * text.count("\ufffd"):
        return Decoded(text, "utf-8", clean=False)
    if found := japanese.least_faulty(data, high):
        return Decoded(*found, clean=False)
    return Decoded(data.decode(WESTERN, "replace"), WESTERN, clean=False) if high < MAX_HIGH * len(data) else None
