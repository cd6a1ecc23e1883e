"""Prepare text for searching: fold it and cut it into tokens; Japanese, Chinese and Korean into overlapping bigrams.

With bigrams, every part of a word is found (京都 in 東京都, テンプ in テンプレート), which a dictionary does not achieve,
and SQLite's own trigram tokenizer does not find words of two characters (docs/evidence.md, OpenSearch, SQLite). The
analyzer `parts` in the OpenSearch template cuts text in the same way.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_CJK = "々〆〇ぁ-ゖゝ-ゟァ-ヺー-ヿㄅ-ㄯㇰ-ㇿ\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U000323af"
_SYMBOL = "\u2190-\u2bff\U0001f000-\U0001faff"
_RUN = re.compile(f"([{_CJK}]+)|[^\\W_{_CJK}]+|[{_SYMBOL}]")

SHORTEST_PREFIX = 2
"""A word needs this many letters to find longer words that begin with it: `qu` finds `quarterly`, `q` does not."""


class Phrase(NamedTuple):
    """The consecutive tokens that one word or quoted phrase of a query searches for."""

    tokens: list[str]
    prefix: bool
    """Whether the last token may be the beginning of a longer one: `quart` finds `quarterly`."""


def fold(text: str) -> str:
    """Remove differences that do not matter for searching: case, width (ＡＢＣ, ｱｲｳ) and composition (NFC, NFD)."""
    return unicodedata.normalize("NFKC", text).casefold()


def indexed(text: str) -> str:
    """The tokens of a text, separated by spaces. A run of n CJK characters gives n - 1 bigrams and its last character.

    The last character is included so that a single character is also found at the end of a run, as the beginning of a
    token.
    """
    return " ".join(_tokens(text))


def phrase(text: str, *, exact: bool) -> Phrase:
    """The consecutive tokens of every text that contains `text`. With `exact`, the last word must be a whole word.

    There are no tokens if `text` contains nothing that can be searched for.
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
    """Whether a token consists of Chinese characters, kana or hangul."""
    found = _RUN.match(token)
    return found is not None and found[1] is not None


def _tokens(text: str) -> Iterator[str]:
    for run in _RUN.finditer(fold(text)):
        word = run[0]
        if run[1] is None:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(len(word)))
