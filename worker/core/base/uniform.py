"""What does not matter when text is searched: one rule for what is indexed and for what is searched for.

NFKC (Unicode Standard Annex #15), the ideographs that radicals stand for, and no invisible characters: ㈱ is (株), ⾼⽥ is 高田,
a soft hyphen is nothing. PDF files and copied text are full of such characters. A key stays as it is.
"""

import re
import unicodedata
from functools import lru_cache

CHUNK_CHARS = 256 * 1024
"""A text is treated in pieces of this size, so that other threads can run in between, and the limit bounds what is made."""
LOOK_AHEAD_CHARS = CHUNK_CHARS // 4
"""How far beyond it a place is looked for at which a text may be cut."""
MAX_PIECE_CHARS = 256
"""What is normalised in one call: the time for many combining characters in a row grows with the square of their number."""
MAX_EXTRA_CHARS = 30
"""So many characters more may belong to a piece: Stream-Safe Text has no longer run of combining characters (UAX #15, 13)."""
_CACHED_CHARS = 8
"""Longer runs are seldom the same."""

# UCD, EquivalentUnifiedIdeograph.txt: of U+2E81 to U+2EF3. U+2E80 and U+2E9A have none.
_OF_RADICALS = (
    "厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵旡日月歺母民氵氺灬爫爫丬牛犭王𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋"
    "耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅長镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
)
_RADICALS = [*range(0x2E81, 0x2E9A), *range(0x2E9B, 0x2EF4)]
# NFKC makes 戶, 黃, 黑 and 靑 of these, but what Japanese fonts show, and PDF files therefore say, is 戸, 黄, 黒 and 青.
_JAPANESE = {0x2F3E: "戸", 0x2FC8: "黄", 0x2FCA: "黒", 0x2FAD: "青"}
# UCD, DerivedCoreProperties.txt: Default_Ignorable_Code_Point. Soft hyphen, joiners, direction marks, fillers, variation
# selectors, byte order mark, tags.
_INVISIBLE = (
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
)
_CHANGED: dict[int, str | None] = {
    **dict(zip(_RADICALS, _OF_RADICALS, strict=True)),
    **_JAPANESE,
    **dict.fromkeys(_INVISIBLE),
    0x309B: "\u3099",
    0x309C: "\u309a",  # か゛ is が; NFKC would put a space between them
}
# Characters that the rule leaves as they are, whatever precedes them: nearly all of most texts.
PLAIN = (
    "\x00-\x7f\u00a1-\u00a7À-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0391-\u03ce\u0400-\u0482\u048a-\u052f\u2012-\u2016"
    "\u2018-\u2023\u2190-\u21ff\u2500-\u26ff\u3001-\u3029\u3041-\u3096\u30a0-\u30fe\u3400-\u9fff\uac00-\ud7a3"
)
_PLAIN = re.compile(f"[{PLAIN}]")
_OTHER = re.compile(f"[^{PLAIN}][^{PLAIN}]*")  # with `+`, `re` does not look for the first of them in its fast way
_BASE_AND_OTHER = re.compile(f"[{PLAIN}]?[^{PLAIN}]+")
_SEEN = re.compile("[" + "".join(map(chr, _INVISIBLE)) + "]")


class _NeedsBaseError(Exception):
    """Raised when a run begins with a character that belongs to the one before it."""


def uniform(text: str, max_chars: int | None = None) -> str:
    """The text without what does not matter; at most its first `max_chars` characters, for NFKC makes 18 of one (U+FDFA)."""
    if text.isascii():
        return text if max_chars is None else text[:max_chars]
    pieces: list[str] = []
    count, start = 0, 0
    while start < len(text) and (max_chars is None or count < max_chars):
        end = _end_of_chunk(text, start)
        pieces.append(_uniform(text[start:end]))
        count += len(pieces[-1])
        start = end
    whole = pieces[0] if len(pieces) == 1 else "".join(pieces)
    return whole if max_chars is None else whole[:max_chars]


def visible(text: str) -> str:
    """The text without its invisible characters."""
    return text if text.isascii() else _SEEN.sub("", text)


def _end_of_chunk(text: str, start: int) -> int:
    """Where a chunk ends: before a plain character, which changes nothing before it, if there is one soon."""
    end = start + CHUNK_CHARS
    found = _PLAIN.search(text, end, end + LOOK_AHEAD_CHARS)
    return found.start() if found else end + LOOK_AHEAD_CHARS


def _uniform(text: str) -> str:
    try:
        return _OTHER.sub(_without_base, text)
    except _NeedsBaseError:
        return _BASE_AND_OTHER.sub(lambda found: _made_of(found[0]), text)


def _without_base(found: re.Match[str]) -> str:
    made = _made_of(found[0])
    if made and found.start() and _continues(made[0]):
        raise _NeedsBaseError
    return made


def _made_of(run: str) -> str:
    return _short(run) if len(run) <= _CACHED_CHARS else _long(run)


@lru_cache(4096)
def _short(run: str) -> str:
    return unicodedata.normalize("NFKC", run.translate(_CHANGED))


def _long(run: str) -> str:
    run = run.translate(_CHANGED)
    pieces, start = [], 0
    while start < len(run):
        end = start + MAX_PIECE_CHARS
        while end < min(len(run), start + MAX_PIECE_CHARS + MAX_EXTRA_CHARS) and _joins(run[end - 1], run[end]):
            end += 1
        pieces.append(unicodedata.normalize("NFKC", run[start:end]))
        start = end
    return "".join(pieces)


def _continues(char: str) -> bool:
    """Whether a character may become one with a plain one before it: a combining character, or a Korean vowel or final."""
    return unicodedata.combining(char) != 0 or "\u1161" <= char <= "\u11ff"


def _joins(one: str, other: str) -> bool:
    """Whether normalising two characters gives something else than normalising each: they must not be separated."""
    apart = unicodedata.normalize("NFKC", one) + unicodedata.normalize("NFKC", other)
    return unicodedata.combining(apart[-1]) != 0 or unicodedata.normalize("NFKC", one + other) != apart
