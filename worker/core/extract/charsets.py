"""The codec for a declared charset, and whether a text that is decoded with it makes sense.

The names are the labels of the Encoding Standard (encoding.spec.whatwg.org), each of which means the superset that is in
use: gb2312 is GB 18030, euc-kr is CP949, iso-8859-1 is Windows-1252. In addition, code pages of DOS and of mainframes
(EBCDIC) are known, which nobody can recognise by their bytes; they count only where they are declared.
"""

import re

import webencodings  # type: ignore[import-untyped]

EBCDIC = frozenset({"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"})
WESTERN = "cp1252"
"""Often declared wrongly, as a default of programs: iso-8859-1 and us-ascii mean this codec too."""

_DOS = frozenset(
    f"cp{number}"
    for number in (437, 720, 737, 775, 850, 852, *range(855, 859), *range(860, 867), 869, 874, 932, 949, 950, 1125)
) | {f"cp{number}" for number in range(1250, 1259)}
_ALIASES = {
    "cp936": "gb18030", "cp1047": "cp037", "cp65001": "utf-8", "ebcdic-cp-us": "cp037", "ebcdic-int1": "cp500",
    "cp10000": "mac_roman", "cp10001": "cp932", "cp10002": "cp950", "cp10003": "cp949", "cp10006": "mac_greek",
    "cp10007": "mac_cyrillic", "cp10008": "gb18030", "cp10029": "mac_latin2", "cp10081": "mac_turkish",
}  # fmt: skip
"""CP1047 differs from CP037 in brackets and the like only, and Python does not have it."""
_WIDER = {"gbk": "gb18030", "shift_jis": "cp932"}
_NUMBERED = re.compile(r"(?:x-)?(?:ibm|cp|ccsid|ms|windows|dos|oem)[-_]?0*(\d{2,5})")
_STATEFUL = frozenset({"iso-2022-jp", "x-user-defined", "replacement"})


def codec_of(declared: str) -> str | None:
    """Python's codec for a declared charset; None if it is not known, or recognised better by its escape sequences.

    Python knows further codecs, and some of them take minutes for one file (punycode).
    """
    name = declared.strip().strip("\"'").lower()[:40]
    found = webencodings.lookup(name)
    if found is not None:
        codec: str = _WIDER.get(found.name, found.codec_info.name)
        return None if found.name in _STATEFUL else codec
    numbered = _NUMBERED.fullmatch(name)
    if numbered:
        name = f"cp{int(numbered[1]):03}"
    if name in _ALIASES:
        return _ALIASES[name]
    return name if name in _DOS or name in EBCDIC else None


def of_content_type(content_type: str | None) -> str | None:
    """The charset parameter of a Content-Type header; None if there is none."""
    found = re.search(r";\s*charset\s*=\s*[\"']?([\w.:-]{2,40})", content_type or "", re.IGNORECASE)
    return found[1] if found else None
