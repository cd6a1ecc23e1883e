"""What the control words of RTF mean for the text (Rich Text Format Specification 1.9.1)."""

import re

RUBY = re.compile(
    r"\s*EQ\b.*?\\o *(?:\\a[clrdj] *)?\( *\\s *\\up *[\d.]+ *\((?P<reading>[^()]*)\) *[,;](?P<base>[^()]*)\)",
    re.IGNORECASE,
)
"""What Word writes for a phonetic guide: EQ \\o\\ad(\\s\\up 9(reading),base)."""
_BRACE = re.compile(rb"[{}]|\\bin(\d{1,10})\x20?|\\.", re.DOTALL)
"""What decides where a group ends that is not read."""

CODE_PAGES = {
    77: "mac_roman", 78: "cp932", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
    254: "cp437", 255: "cp437",
}  # fmt: skip
"""The code page for the `fcharset` of a font; for others, that of the document counts."""
MAX_RUN = 4096
"""The number of bytes from which it is found out whether a character is whole."""
OF_TWO_BYTES = frozenset({"cp932", "cp949", "gb18030", "cp950", "johab"})
DOCUMENT_SETS = {"ansi": "cp1252", "mac": "mac_roman", "pc": "cp437", "pca": "cp850"}

CHARACTERS = {
    "par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "nestrow": "\n", "column": "\n", "softline": "\n",
    "cell": "\t", "nestcell": "\t", "tab": "\t", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ", "qmspace": " ",
}  # fmt: skip
"""Control words that stand for a character."""
SYMBOLS = {"~": " ", "_": "-", "\\": "\\", "{": "{", "}": "}", "\n": "\n", "\r": "\n", "\t": "\t"}
"""Control symbols that stand for a character; an optional hyphen (`-`) stands for nothing."""

HIDDEN = ""
"""The stream of text that is not read."""
MAIN, BOXES, HEADERS, NOTES, COMMENTS, BOOKMARKS, PROPERTIES = (
    "main",
    "boxes",
    "headers",
    "notes",
    "comments",
    "marks",
    "more",
)
STREAMS = (MAIN, BOXES, HEADERS, NOTES, COMMENTS, BOOKMARKS, PROPERTIES)
"""The order in which the streams are read."""

DESTINATIONS = {
    **dict.fromkeys(("header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"), HEADERS),
    "footnote": NOTES,
    **dict.fromkeys(("annotation", "atnauthor"), COMMENTS),
    **dict.fromkeys(("shptxt", "dptxbxtext"), BOXES),
    "bkmkstart": BOOKMARKS,
    **dict.fromkeys(
        ("subject", "keywords", "doccomm", "category", "manager", "company", "propname", "staticval"), PROPERTIES
    ),
    **{name: name for name in ("title", "author", "creatim", "fonttbl", "fldinst", "sn", "sv")},
    **dict.fromkeys(
        (
            "colortbl", "stylesheet", "pict", "objdata", "filetbl", "xe", "tc", "rxe", "txe", "shprslt", "nonshppict",
            "mmathPict", "comment", "operator", "upr", "objclass", "objname", "revtim", "printim", "buptim", "datafield",
            "linkval", "generator", "bkmkend", "fname", "panose", "falt",
        ),
        HIDDEN,
    ),
}  # fmt: skip
"""The stream to which the text of a destination goes; some are collected under their own name."""
TRANSPARENT = frozenset(
    (
        "shpinst", "shpgrp", "shppict", "do", "background", "userprops", "moMath", "moMathPara", "ud", "picprop", "sp",
        "shp", "defchp", "cs", "oldcprops", "oldpprops",
    )
)  # fmt: skip
"""Destinations that old readers skip, but whose text, or parts of it, belongs to the text around them."""
ALTERNATIVE_TEXTS = frozenset({"wzDescription", "gtextUNICODE", "wzName"})
"""Properties of shapes that hold text: what describes a picture, and WordArt."""


def end_of_group(body: bytes, at: int, end: int) -> int:
    """Where the group ends that is open at `at`: at its closing brace."""
    depth = 0
    while at < end and (token := _BRACE.search(body, at, end)):
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}":
            if not depth:
                return token.start()
            depth -= 1
        at = token.end() + int(token[1] or 0)
    return end


def ends_in_half(raw: bytes | bytearray, page: str) -> bool:
    """Whether the last byte is the first half of a character. The second one may be a brace or a backslash, with a backslash."""
    if page not in OF_TWO_BYTES:
        return False
    halves = 0
    for byte in reversed(raw[-MAX_RUN:]):
        if not (0x80 < byte < 0xFD and (page != "cp932" or not 0x9F < byte < 0xE0)):
            break
        halves += 1
    return halves % 2 == 1
