"""Tell the encodings of Japanese apart: UTF-16 without a mark, ISO-2022-JP, EUC-JP and CP932."""

import codecs
import re

from worker.core.extract import languages

_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\$\([@BDOPQ]|\(I)")
_JIS_RUN = re.compile(rb"\x1b(?:(\$\(?[@B])|\([BJ])?([^\x1b]*)")
_COLOUR = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")
_NOT_CP932 = re.compile("[\x80\xa0\uf8f0-\uf8f3]")  # Python's codec decodes bytes that CP932 leaves undefined to these
_KANA = re.compile("[ぁ-んァ-ヶー]")
_HALF_WIDTH = re.compile("[｡-ﾟ]")
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_KANJI = re.compile("[\u4e00-\u9fff々]")
_ADJACENT_HIGH = re.compile(rb"[\x80-\xff]{2}")
_USUAL = re.compile("[\t\n\r -~、-ヿ\u4e00-\u9fff！-ﾟÀ-ÿ]")
_EVIDENT = re.compile("[\t\n\r -~、。ぁ-んァ-ヶー]")
_FREQUENT = "".join(
    bytes((row, cell)).decode("euc_jp", "ignore") for row in range(0xB0, 0xD0) for cell in range(0xA1, 0xFF)
)
"""The kanji of JIS X 0208 level 1 (rows 16 to 47): the 2965 that are in general use."""
_FREQUENT_KANJI = re.compile(f"[{_FREQUENT}]")
_WORDS = re.compile(f"[{_FREQUENT}]{{2,}}")
"""A single kanji may be the apostrophe and the `s` of `it’s`, several in a row are not."""
_MIN_FREQUENT = 0.8
"""UTF-16 text has at least this share of frequent kanji among its kanji; two random bytes form one in seven times."""
_ALL_USUAL = 0.99
"""Where fewer characters are common ones, a byte may be missing near the beginning."""
_USUAL_WHEN_REALIGNED = 0.9
_PROBE = 4096
"""Number of characters that is enough to tell one encoding from another."""
_SHORTEST_BYTES = 16
"""A shorter text in UTF-16 without ASCII is not recognised."""
_BLOCK_BYTES = 64
"""UTF-16 in which a byte is missing is examined in blocks of this size."""


def has_kanji(text: str) -> bool:
    """Whether there is a Chinese character near the beginning."""
    return _KANJI.search(text, 0, _PROBE) is not None


def kana_count(text: str) -> int:
    """Number of kana."""
    return len(_KANA.findall(text))


def has_kana(text: str) -> bool:
    """Whether there are as many kana among the characters above ASCII as in any Japanese sentence."""
    probe = text[:_PROBE]
    return len(_KANA.findall(probe)) * 12 > len(probe) - len(probe.encode("ascii", "ignore"))


def evidence(text: str) -> int:
    """Number of kana, and of frequent kanji that stand next to each other."""
    return kana_count(text) + sum(map(len, _WORDS.findall(text)))


def is_mostly_words(text: str) -> bool:
    """Whether kana and words of frequent kanji make up more than half of the characters above ASCII."""
    return evidence(text) * 2 > len(text) - len(text.encode("ascii", "ignore"))


def without_cut(data: bytes, codec: str, errors: str = "strict") -> str:
    """Decode data that may end within a character, which is left out; raises UnicodeDecodeError if strict."""
    return codecs.getincrementaldecoder(codec)(errors).decode(data)


def least_faulty(data: bytes, high: int) -> tuple[str, str] | None:
    """The text and the codec of CP932 or EUC-JP with a few broken bytes; `high` is the number of bytes above ASCII."""
    best, most = None, 0
    for codec in ("cp932", "euc_jp"):
        text = data.decode(codec, "replace")
        faults = text.count("\ufffd")
        if high > 16 * faults and kana_count(text) > 8 * faults:
            return text, codec
        text = without_cut(data, codec, "replace")
        faults = text.count("\ufffd") + len(_NOT_CP932.findall(text))
        count = evidence(text)
        if high > 16 * faults and count > max(8 * faults, most) and is_mostly_words(text):
            best, most = (text, codec), count
    return best


def is_evident(text: str, *, with_kanji: bool) -> bool:
    """Whether a large part of the text above ASCII consists of kana, which is no coincidence, or also of kanji."""
    probe = text[:_PROBE]
    count = len(_KANA.findall(probe)) + (len(_KANJI.findall(probe)) if with_kanji else 0)
    return count * 5 > len(probe) - len(probe.encode("ascii", "ignore"))


def wide_encoding(data: bytes, *, realigns: bool = True) -> str | None:
    """The codec of UTF-16 without a byte order mark, if nearly all of the resulting characters are common ones.

    Almost any two bytes of ASCII or CP932 also form a kanji in UTF-16, so kanji alone prove nothing: one stray NUL byte
    must not turn a text into kanji. Kana have 30 as one of their bytes. For a reader that does not realign, the codec that
    fits most of the text is better than the one that fits its beginning.
    """
    probe = data[: 2 * _PROBE]
    nuls = probe.count(0)
    if not nuls and not _may_be_wide_kana(probe):
        return _wide_with_fault(probe)
    texts = {name: probe.decode(name, "replace").removesuffix("\ufffd") for name in ("utf-16-le", "utf-16-be")}
    is_ascii = probe.isascii()
    best, share = None, 0.95
    for name, text in texts.items():
        if is_ascii and nuls * 4 < len(probe):
            break
        if _share(_EVIDENT, text) >= 0.2 and (usual := _share(_USUAL, text)) > share:
            best, share = name, usual
    if best and (share > _ALL_USUAL or not realigns):
        return best
    fault = _wide_with_fault(probe)
    if fault or best or not nuls:
        return fault or best
    for name, text in texts.items():
        if languages.is_in_one_script(text) or (not is_ascii and _is_lines_of_kanji(text)):
            return name
    return None


def _is_lines_of_kanji(text: str) -> bool:
    """Whether the text consists of lines of frequent kanji, as a list of places does."""
    kanji = len(_KANJI.findall(text))
    if "\n" not in text or kanji < 3 or _share(_USUAL, text) <= 0.95:
        return False
    return len(_FREQUENT_KANJI.findall(text)) >= _MIN_FREQUENT * kanji


def _wide_with_fault(probe: bytes) -> str | None:
    """The codec of UTF-16 that begins with kana, if it is common characters throughout once it is realigned."""
    head = probe[:_BLOCK_BYTES]
    if len(probe) <= _BLOCK_BYTES or not _may_be_wide_kana(head):
        return None
    codec = "utf-16-le" if head[1::2].count(0x30) > head[::2].count(0x30) else "utf-16-be"
    text = realigned(probe, codec)
    is_text = _share(_EVIDENT, text) >= 0.2 and _share(_USUAL, text) > _USUAL_WHEN_REALIGNED
    return codec if is_text else None


def _may_be_wide_kana(probe: bytes) -> bool:
    if probe.isascii() or len(probe) < _SHORTEST_BYTES:
        return False
    if max(probe[::2].count(0x30), probe[1::2].count(0x30)) * 10 < len(probe):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(probe)
    except UnicodeDecodeError:
        return True
    return False


def _share(kind: re.Pattern[str], text: str) -> float:
    return len(kind.findall(text)) / len(text) if text else 0


def realigned_by_mark(data: bytes) -> str:
    """Text in UTF-16 with a byte order mark, realigned."""
    return realigned(data[2:], "utf-16-le" if data.startswith(codecs.BOM_UTF16_LE) else "utf-16-be")


def realigned(body: bytes, codec: str) -> str:
    """Text in UTF-16 after any mark. If single bytes are missing or too many, what follows them is read too."""
    if len(body) % 2 == 0 and _share(_EVIDENT, body[-16 * _BLOCK_BYTES :].decode(codec, "replace")) > 0.05:
        return body.decode(codec, "replace")
    out: list[str] = []
    at = 0
    while at < len(body):
        text = body[at : at + _BLOCK_BYTES].decode(codec, "replace")
        if _share(_EVIDENT, text) < 0.05:
            shifted = body[at + 1 : at + 1 + _BLOCK_BYTES].decode(codec, "replace")
            if _share(_EVIDENT, shifted) > 0.3:
                at += 1
                before = body[max(at - _BLOCK_BYTES, 1 - at % 2) : at]
                text = "\n" + before.decode(codec, "replace") + shifted
        out.append(text)
        at += _BLOCK_BYTES
    return "".join(out)


def has_jis_escapes(data: bytes) -> bool:
    """Whether the data contains an escape sequence of ISO-2022-JP and nothing above ASCII."""
    return b"\x1b" in data and data.isascii() and _JIS_ESCAPE.search(data) is not None


def jis(data: bytes) -> str:
    """Decode ISO-2022-JP, including Windows characters (①, 髙) that mail programs insert although it does not have them."""
    if b"\x1b[" in data:
        data = _COLOUR.sub(b"", data)
    try:
        return data.decode("iso2022_jp_ext")
    except UnicodeDecodeError:
        return _JIS_RUN.sub(_jis_run_as_cp932, data).decode("cp932", "replace")


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


def which(data: bytes, unix: str | None, windows: str | None) -> str | None:
    """The codec of data that is valid as EUC-JP (`unix`) or CP932 (`windows`), if it reads as Japanese."""
    if windows is not None and (_NOT_CP932.search(windows) or not _reads_as_japanese(data, windows)):
        windows = None
    if unix is not None and (windows is None or _is_likelier(unix, windows)):
        return "euc_jp" if _ADJACENT_HIGH.search(data) else None
    return None if windows is None else "cp932"


def _is_likelier(unix: str, windows: str) -> bool:
    """Whether text that is valid as EUC-JP and as CP932 is EUC-JP.

    EUC-JP text that is misread as CP932 consists of half-width kana with rare kanji in between.
    """
    unix, windows = unix[:_PROBE], windows[:_PROBE]
    kana, half_width = kana_count(unix), len(_HALF_WIDTH.findall(windows))
    if not kana and half_width and not _KANJI.search(windows):
        return False  # only half-width kana, as in bank transfers; as EUC-JP these would be kanji without any kana
    return 2 * kana + len(_KANJI.findall(unix)) > 2 * kana_count(windows) + len(_KANJI.findall(windows))


def _reads_as_japanese(data: bytes, text: str) -> bool:
    """Whether the text is Japanese, not Windows-1252.

    CP932 reads the non-ASCII characters of `it’s` and `Größe` as single kanji or private-use characters among letters.
    """
    return bool(_KANA.search(text) or (_ADJACENT_HIGH.search(data) and not _PRIVATE.search(text)))
