"""Decode text whose encoding is not stated, by trying encodings in order (docs/evidence.md, Reading documents).

1. A byte order mark; 2. UTF-16 without one, which NUL bytes reveal; 3. strict UTF-8; 4. ISO-2022-JP, by its escape
sequences; 5. EUC-JP or CP932, whichever reads as Japanese; 6. the encoding with the fewest invalid bytes. If none of
them fits, the data is binary.
"""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import webencodings  # type: ignore[import-untyped]

CHUNK_BYTES = 256 * 1024
"""A longer text is decoded in pieces of this size, so that other threads can run in between."""
MAX_HIGH = 0.4
"""In Western text, the share of bytes above ASCII is smaller than this; in random data it is one half."""
MAX_CONTROLS = 0.02
"""Text contains hardly any control characters; in random data, every tenth byte is one."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r")) + b"\x7f"
_HARMLESS = b"\x07\x08\x0c\x1b"  # bells, overstrikes, form feeds and terminal colours do occur in text
_OFTEN_WRONG = frozenset({"windows-1252", "iso-2022-jp"})
"""Encodings that a declaration often names wrongly; the former is what iso-8859-1 and us-ascii mean."""
_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\$\([@BDOPQ]|\(I)")
_JIS_RUN = re.compile(rb"\x1b(?:(\$\(?[@B])|\([BJ])?([^\x1b]*)")
_NOT_CP932 = re.compile("[\x80\xa0\uf8f0-\uf8f3]")  # Python's codec decodes bytes that CP932 leaves undefined to these
_KANA = re.compile("[ぁ-んァ-ヶー]")
_HALF_WIDTH = re.compile("[｡-ﾟ]")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_KANJI = re.compile("[一-龠々]")
_ADJACENT_HIGH = re.compile(rb"[\x80-\xff]{2}")
_USUAL = re.compile("[\t\n\r -~、-ヿ一-鿿！-ﾟÀ-ÿ]")
_EVIDENT = re.compile("[\t\n\r -~、。ぁ-んァ-ヶー]")
_PROBE = 4096
"""Number of characters (or bytes) that is enough to tell one encoding from another."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, and the encoding that it was in."""

    text: str
    encoding: str
    """Python's name for the codec."""
    clean: bool
    """Whether the text has no control characters and no surrogates, so that it need not be scrubbed."""


def decode(data: bytes, declared: str | None = None) -> Decoded | None:
    """Decode `data`: by the declared encoding if it fits, otherwise by trying encodings. Returns None for binary data."""
    codec = _codec_of(declared) if declared else None
    if codec is not None and (text := _try(data, codec, whole=True)) is not None:
        return Decoded(text, codec, clean=False)
    return _ladder(data, whole=True)


def decode_stream(chunks: Iterable[bytes], keep_chars: int) -> tuple[str, int] | None:
    """The first `keep_chars` characters of a long text and the number of its characters; None for binary data."""
    source = iter(chunks)
    kept, count = "", 0
    for chunk in source:
        if count and chunk.isascii() and b"\x1b" not in chunk:  # nothing so far reveals the encoding
            text = chunk.decode("ascii")
        else:
            found = _ladder(chunk, whole=False)
            if found is None and not count:
                return None
            encoding = found.encoding if found else "utf-8"
            if not (chunk.isascii() and encoding == "utf-8"):
                return _rest(chunk, source, encoding, kept, count, keep_chars)
            text = chunk.decode("ascii")
        count += len(text)
        kept += text[: keep_chars - len(kept)]
    return kept, count


def _rest(
    chunk: bytes, source: Iterator[bytes], encoding: str, kept: str, count: int, keep_chars: int
) -> tuple[str, int]:
    """Decode from the chunk that revealed the encoding onwards; bytes that do not fit are replaced."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    parts, room = [kept], keep_chars - len(kept)
    while True:
        text = decoder.decode(chunk, not chunk)
        count += len(text)
        if room > 0:
            parts.append(text[:room])
            room -= len(parts[-1])
        if not chunk:
            return "".join(parts), count
        chunk = next(source, b"")


def _ladder(data: bytes, *, whole: bool) -> Decoded | None:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _marked(data, name)
    controls = len(data) - len(data.translate(None, _CONTROLS))
    if controls and b"\0" in data and (wide := _wide(data)):
        return wide
    clean = not controls
    if controls > MAX_CONTROLS * len(data):
        controls -= sum(map(data.count, _HARMLESS))
        if controls > MAX_CONTROLS * len(data):
            return None
    text = _try(data, "utf-8", whole=whole)
    if text is not None:
        if not clean and _JIS_ESCAPE.search(data) and data.isascii():
            return Decoded(_jis(data), "iso2022_jp_ext", clean=False)
        return Decoded(text, "utf-8", clean)
    return _legacy(data, clean, whole=whole) or _least_faulty(data)


def _try(data: bytes, encoding: str, *, whole: bool) -> str | None:
    """The text if all of it is in this encoding. A piece (not `whole`) may end in the middle of a character."""
    try:
        if whole:
            return data.decode(encoding)
        return codecs.getincrementaldecoder(encoding)("strict").decode(data)
    except (UnicodeError, LookupError, ValueError):
        return None


def _codec_of(declared: str) -> str | None:
    """The codec for a declared name; None if it is no label of the Encoding Standard, or one that is often wrong.

    Python knows further codecs, and some of them take minutes for one file (punycode).
    """
    found = webencodings.lookup(declared)
    if found is None or found.name in _OFTEN_WRONG:
        return None
    # Text declared as Shift_JIS is nearly always in CP932, Windows' superset of it.
    return "cp932" if found.name == "shift_jis" else found.codec_info.name


def _marked(data: bytes, name: str) -> Decoded | None:
    text = data.decode(name, "replace")
    return None if text.count("\ufffd") > MAX_CONTROLS * len(text) + 1 else Decoded(text, name, clean=False)


def _wide(data: bytes) -> Decoded | None:
    """The data as UTF-16 without a byte order mark, if nearly all of the resulting characters are common ones.

    Almost any two bytes of ASCII or CP932 also form a kanji in UTF-16, so kanji alone prove nothing: one stray NUL byte
    must not turn a text into kanji.
    """
    probe = data[: 2 * _PROBE]
    if probe.isascii() and probe.count(0) * 4 < len(probe):
        return None
    best, share = "", 0.95
    for name in ("utf-16-le", "utf-16-be"):
        text = _try(probe, name, whole=False)
        if not text or len(_EVIDENT.findall(text)) * 5 < len(text):
            continue
        if (usual := len(_USUAL.findall(text)) / len(text)) > share:
            best, share = name, usual
    return Decoded(data.decode(best, "replace"), best, clean=False) if best else None


def _jis(data: bytes) -> str:
    """Decode ISO-2022-JP, including Windows characters (①, 髙) that mail programs insert although it does not have them."""
    text = _try(data, "iso2022_jp_ext", whole=True)
    return _JIS_RUN.sub(_jis_run_as_cp932, data).decode("cp932", "replace") if text is None else text


def _jis_run_as_cp932(match: re.Match[bytes]) -> bytes:
    """Convert the two bytes of each JIS X 0208 character to the way Shift_JIS packs them."""
    run = match[2]
    if not match[1]:
        return run
    out = bytearray()
    for row, cell in zip(run[0::2], run[1::2], strict=False):
        out.append((row + 1) // 2 + (0x70 if row < 0x5F else 0xB0))
        out.append(cell + (0x1F if cell < 0x60 else 0x20) if row % 2 else cell + 0x7E)
    return bytes(out)


def _legacy(data: bytes, clean: bool, *, whole: bool) -> Decoded | None:
    """The data as EUC-JP or CP932, if all of it is valid in one of the two and reads as Japanese."""
    windows = _try(data, "cp932", whole=whole)
    if windows is not None and (_NOT_CP932.search(windows) or not _reads_as_japanese(data, windows)):
        windows = None
    unix = _try(data, "euc_jp", whole=whole)
    if unix is not None and (windows is None or _is_likelier(unix, windows)):
        return Decoded(unix, "euc_jp", clean=False) if _ADJACENT_HIGH.search(data) else None
    return None if windows is None else Decoded(windows, "cp932", clean)


def _is_likelier(unix: str, windows: str) -> bool:
    """Whether text that is valid as EUC-JP and as CP932 is EUC-JP.

    EUC-JP text that is misread as CP932 consists of half-width kana with rare kanji in between.
    """
    unix, windows = unix[:_PROBE], windows[:_PROBE]
    kana, half_width = len(_KANA.findall(unix)), len(_HALF_WIDTH.findall(windows))
    if not kana and half_width and not _KANJI.search(windows):
        return False  # only half-width kana, as in bank transfers; as EUC-JP these would be kanji without any kana
    return 2 * kana + len(_KANJI.findall(unix)) > 2 * len(_KANA.findall(windows)) + len(_KANJI.findall(windows))


def _reads_as_japanese(data: bytes, text: str) -> bool:
    """Whether the text is Japanese, not Windows-1252.

    CP932 reads the non-ASCII characters of `it’s` and `Größe` as single kanji or private-use characters among letters.
    """
    return bool(_KANA.search(text) or (_ADJACENT_HIGH.search(data) and not _PRIVATE.search(text)))


def _least_faulty(data: bytes) -> Decoded | None:
    """Decode text with a few invalid bytes, and Western text; None for random data."""
    high = len(data) - len(data.translate(None, bytes(range(128, 256))))
    for name, bytes_each in (("utf-8", 3), ("cp932", 2), ("euc_jp", 2)):
        text = data.decode(name, "replace")
        faults = text.count("\ufffd")
        if high > 8 * bytes_each * faults and (name == "utf-8" or len(_KANA.findall(text)) > 8 * faults):
            return Decoded(text, name, clean=False)
    return Decoded(data.decode("cp1252", "replace"), "cp1252", clean=False) if high < MAX_HIGH * len(data) else None
