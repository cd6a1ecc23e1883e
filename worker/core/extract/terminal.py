"""Text as a terminal shows it: without the codes that colour it, move the cursor or print a character twice.

Logs that a program wrote for a terminal are full of them, also inside words. ECMA-48 defines the escape sequences.
"""

import re

_CODE = re.compile(
    r"\x1b(?:\[(?P<parameters>[0-?]{0,40})[ -/]{0,4}(?P<final>[@-~])"  # a control sequence
    r"|[\]PX^_][^\x07\x1b\n]{0,1000}(?:\x07|\x1b\\)"  # a string, such as a window's title or a link's target
    r"|[ -/]{1,2}[0-~]|[0-Z\\^-~])"
)
_MOVES = frozenset("ABCDEFGHISTfd`ae")
"""Final bytes of sequences that move the cursor elsewhere, so that the next word does not continue the last one."""
_STRUCK_OVER = re.compile(r"[^\n\x08]\x08")
_MAX_STRIKES = 20


def as_shown(text: str) -> str:
    """The text without terminal codes. A form feed ends a line; where nothing is to be done, it takes hardly any time."""
    if "\x1b" in text:
        text = _CODE.sub(lambda code: " " if code["final"] in _MOVES else "", text)
    if "\x08" in text:
        for _ in range(_MAX_STRIKES):
            text, count = _STRUCK_OVER.subn("", text)
            if not count:
                break
        text = text.replace("\x08", "")
    if "\x07" in text:
        text = text.replace("\x07", "")
    return text.replace("\x0c", "\n") if "\x0c" in text else text
