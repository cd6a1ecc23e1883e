"""What the codes of Word's fields contain of text ([ISO/IEC 29500-1] 17.16; EQ: [MS-OE376] 2.1.517)."""

import re

MAX_CODE_CHARS = 2000
"""The rest of a longer code is ignored."""
_EQUATION = re.compile(r"\s*eq\s", re.IGNORECASE)
_RUBY = re.compile(
    r"\\o\s*(?:\\a[a-z]\s*)?\(\s*\\s\s*\\up\s*\d*\s*\(([^()]*)\)\s*[,;、](.*)\)\s*$", re.IGNORECASE | re.DOTALL
)
_SWITCH = re.compile(r'\\\*\s*(?:"[^"]*"|\S+)|\\[a-z]+\s*-?\d*', re.IGNORECASE)
_BRACKETS = re.compile(r"[(),;\s]+")
_BUTTON = re.compile(r"\s*MACROBUTTON\s+\S+\s+(.*)", re.IGNORECASE | re.DOTALL)
_LINK = re.compile(r'\s*HYPERLINK\s+(?:\\[a-km-z]\s+)*"([^"]+)"', re.IGNORECASE)


def shown(code: str) -> tuple[str, str]:
    r"""The text and the reading that a field's code itself shows; both are empty for most fields, which show a result.

    By EQ, Word 97 sets ruby text: `EQ \* jc2 \* hps10 \o\ad(\s\up 9(とう),東)` is 東 with the reading とう. By MACROBUTTON,
    templates prompt for what is to be filled in.
    """
    code = code[:MAX_CODE_CHARS]
    if button := _BUTTON.match(code):
        return button[1].strip(), ""
    if not _EQUATION.match(code):
        return "", ""
    ruby = _RUBY.search(code)
    if ruby is not None:
        return ruby[2].strip(), ruby[1].strip()
    return _BRACKETS.sub(" ", _SWITCH.sub(" ", _EQUATION.sub("", code, count=1))).strip(), ""


def link(code: str) -> str | None:
    """The address in the code of a HYPERLINK field."""
    found = _LINK.match(code[:MAX_CODE_CHARS])
    return found[1] if found else None
