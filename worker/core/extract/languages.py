"""Recognise text in other languages than Japanese in an encoding that nobody declares, by its most frequent characters.

Only where they are frequent enough not to be a coincidence, which takes a few dozen characters.
"""

import re
from dataclasses import dataclass

MIN_CHARACTERS = 16
"""Fewer characters above ASCII prove nothing."""
MAX_FAULTS = 0.03
"""The share of characters that may be invalid."""
_RUN = re.compile(rb"[\x80-\xff]{3,}")
_IN_RUNS = 0.6
"""In languages without Latin letters, at least this share of the bytes above ASCII stands in runs of three or more."""
_ONE_BYTE = 0.5
_SCRIPTS = tuple(re.compile(f"[{letters}]") for letters in ("Ѐ-џ", "Ά-ώ", "א-ת", "ء-ي", "ก-๛", "가-힣"))
"""Cyrillic, Greek, Hebrew, Arabic, Thai and Korean."""
_WITH_ANY_SCRIPT = re.compile("[\t\n\r -~\u00a0«»–-”…№]")
_MIN_LETTERS = 6
_IN_ONE_SCRIPT = 0.97
"""The share of characters in one script or used with any; numbers of two bytes are spread over more."""
_PROBE_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class _Language:
    codecs: tuple[str, ...]
    frequent: str
    share: float
    """How many of all characters above ASCII are frequent ones, at the least."""


_RUSSIAN = "оеаинтсрвлк"
_LANGUAGES = (
    _Language(("cp949", "johab"), "이다는에의을를가고하한로은지도서사기어아", 0.15),
    _Language(("gb18030",), "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年", 0.06),
    _Language(("cp950",), "的一是不了在人有我他這中大來上國個到說們為子和你地出道也時年", 0.06),
    _Language(("cp1251", "koi8-r", "cp866", "mac_cyrillic"), _RUSSIAN, 0.5),
    _Language(("cp1255",), "יוהלאמרתב", 0.5),
    _Language(("cp1253",), "αοιετσνηυρ", 0.5),
    _Language(("cp1256",), "اليمونترب", 0.5),
)


def guess(data: bytes) -> str | None:
    """The codec in which the data reads as one of these languages, or None."""
    probe = data[:_PROBE_BYTES]
    best, best_ratio = None, 1.0
    high = len(probe) - len(probe.translate(None, bytes(range(128, 256))))
    is_foreign = sum(map(len, _RUN.findall(probe))) >= _IN_RUNS * high
    for language in _LANGUAGES:
        if language.share >= _ONE_BYTE and not is_foreign:
            continue
        for codec in language.codecs:
            ratio = _share(probe, codec, language.frequent) / language.share
            if ratio > best_ratio:
                best, best_ratio = codec, ratio
    return best


def is_in_one_script(text: str) -> bool:
    """Whether UTF-16 that nobody declares is text: letters of one script with spaces or line ends in between."""
    common = len(_WITH_ANY_SCRIPT.findall(text))
    if not (" " in text or "\n" in text):
        return False
    letters = max(len(script.findall(text)) for script in _SCRIPTS)
    return letters >= _MIN_LETTERS and letters + common >= _IN_ONE_SCRIPT * len(text)


def _share(probe: bytes, codec: str, frequent: str) -> float:
    """The share of the characters above ASCII that are frequent in the language; 0 if it cannot be this codec."""
    text = probe.decode(codec, "replace")
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    if foreign < MIN_CHARACTERS or text.count("\ufffd") > MAX_FAULTS * foreign + 1:
        return 0
    return sum(map(text.count, frequent)) / foreign
