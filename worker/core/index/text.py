"""Text as it is searched: folded, and cut in tokens; Japanese, Chinese and Korean in overlapping pairs of characters.

Pairs find every part of a word (京都 in 東京都, テンプ in テンプレート), which a dictionary does not; SQLite's own
trigram tokenizer finds no word of two characters. The OpenSearch template's analyzer `parts` cuts alike.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_CJK = "々〆〇ぁ-ゖゝ-ゟァ-ヺー-ヿㄅ-ㄯㇰ-ㇿ\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U000323af"
_SYMBOL = "\u2190-\u2bff\U0001f000-\U0001faff"
_RUN = re.compile(f"([{_CJK}]+)|[^\\W_{_CJK}]+|[{_SYMBOL}]")

SHORTEST_PREFIX = 2
"""Letters a word must have to find longer words that begin with it: `q` finds no `quarterly`, `qu` does."""


class Phrase(NamedTuple):
    """What one word or quoted phrase of a query looks for: tokens in a row."""

    tokens: list[str]
    prefix: bool
    """Whether the last token may go on: `quart` finds `quarterly`."""


def fold(text: str) -> str:
    """Text without differences a searcher does not see: case, width (ＡＢＣ, ｱｲｳ), composed or not (NFC, NFD)."""
    return unicodedata.normalize("NFKC", text).casefold()


def indexed(text: str) -> str:
    """Text's tokens, with a space between any two. A run of n characters gives n - 1 pairs and its last character.

    That last one is there so that a single character is found at the end of a run too, as the beginning of a token.
    """
    return " ".join(_tokens(text))


def phrase(text: str, *, exact: bool) -> Phrase:
    """The tokens that text which contains `text` has in a row; `exact`: its last word does not go on.

    No tokens where nothing in `text` can be searched for.
    """
    tokens = list(_tokens(text))
    if not tokens:
        return Phrase([], prefix=False)
    last = tokens[-1]
    if is_cjk(last):
        ends_a_run = len(tokens) > 1 and len(tokens[-2]) == 2 and tokens[-2][1] == last
        return Phrase(tokens[:-1], prefix=False) if ends_a_run else Phrase(tokens, prefix=True)
    return Phrase(tokens, prefix=not exact and len(last) >= SHORTEST_PREFIX)


def is_cjk(token: str) -> bool:
    """Whether a token is of Chinese characters, kana or hangul."""
    found = _RUN.match(token)
    return found is not None and found[1] is not None


def _tokens(text: str) -> Iterator[str]:
    for run in _RUN.finditer(fold(text)):
        word = run[0]
        if run[1] is None:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(len(word)))
