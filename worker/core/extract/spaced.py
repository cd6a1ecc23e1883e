"""Words with spaces between their characters: 御 請 求 書, as titles and forms have them, and as page layouts are read."""

import re

from worker.core.extract.joined import CJK

_RUN = re.compile(f"(?<![{CJK}])[{CJK}]++(?:[ \u3000]{{1,8}}[{CJK}]++)++")
"""It can only begin where characters begin: otherwise a long line without spaces takes quadratic time."""


def unspaced(text: str) -> list[str]:
    """Each run of Chinese or Japanese characters without its spaces, if some of them stand alone in it.

    Spaces between longer words (氏名 住所) separate them.
    """
    if text.isascii():
        return []
    found: dict[str, None] = {}
    for run in _RUN.finditer(text):
        pieces = run[0].split()
        if any(len(piece) == 1 for piece in pieces):
            found["".join(pieces)] = None
    return list(found)
