"""Prepare text for searching: fold it and cut it into tokens; Japanese, Chinese and Korean into overlapping bigrams.

With bigrams, every part of a word is found (京都 in 東京都, テンプ in テンプレート), which a dictionary does not achieve,
and SQLite's own trigram tokenizer does not find words of two characters (docs/evidence.md, OpenSearch, SQLite). The
analyzer `parts` in the OpenSearch template cuts text in the same way.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from worker.core.base.uniform import CHUNK_CHARS, uniform

WITHOUT_SPACES = "々〆〇ぁ-ゖゝ-ゟァ-ヺー-ヿㄅ-ㄯㇰ-ㇿ\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""Of a regular expression's class: characters of Chinese and Japanese, which have no spaces between words."""
CJK = f"{WITHOUT_SPACES}\uac00-\ud7a3"
"""The same, and those of Korean, which has."""
_SYMBOL = "\u2190-\u2bff\U0001f000-\U0001faff"
_RUN = re.compile(f"([{CJK}]+)|[^\\W_{CJK}]+|[{_SYMBOL}]")
_GAP = re.compile(rf"\s(?<=[{WITHOUT_SPACES}]\s)\s*+(?=[{WITHOUT_SPACES}])")

VARIANTS = {"戸": "戶户", "黒": "黑", "黄": "黃", "青": "靑"}
"""Characters, and those that stand for the same: a radical in a PDF file does not say which of them it shows (uniform.py)."""
TOKENS_AT_ONCE = 64 * 1024
"""Strings in memory at once: each takes many times as much as its characters in a text."""
SHORTEST_PREFIX = 2
"""A word needs this many letters to find longer words that begin with it: `qu` finds `quarterly`, `q` does not."""


class Phrase(NamedTuple):
    """The consecutive tokens that one word or quoted phrase of a query searches for."""

    tokens: list[str]
    prefix: bool
    """Whether the last token may be the beginning of a longer one: `quart` finds `quarterly`."""


def fold(text: str) -> str:
    """Remove differences that do not matter for searching: those of uniform.py, case, and variants of a character."""
    if text.isascii():
        return text.lower()
    text = uniform(text)
    # In pieces, because Python takes 12 bytes of memory for each character of them.
    text = "".join(text[at : at + CHUNK_CHARS].casefold() for at in range(0, len(text), CHUNK_CHARS))
    for usual, others in VARIANTS.items():
        for other in others:
            text = text.replace(other, usual)
    return text


def indexed(text: str) -> str:
    """The tokens of a text, separated by spaces. A run of n CJK characters gives n - 1 bigrams and its last character.

    White space between two of them, but not of Korean, does not count: it is where a line ends, or makes a title wider. The
    last character is included so that a single character is also found at the end of a run, as the beginning of a token.
    """
    tokens = _tokens(text)
    return " ".join(iter(lambda: " ".join(islice(tokens, TOKENS_AT_ONCE)), ""))


def phrase(text: str, *, exact: bool, earlier: bool = False) -> Phrase:
    """The consecutive tokens of every text that contains `text`. With `exact`, the last word must be a whole word.

    There are no tokens if `text` contains nothing that can be searched for. `earlier`: as texts were cut in the first version,
    in which white space and variants of a character counted.
    """
    tokens = list(_cut(unicodedata.normalize("NFKC", text).casefold()) if earlier else _tokens(text))
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
    folded = fold(text)
    return _cut(folded if folded.isascii() else _GAP.sub("", folded))


def _cut(folded: str) -> Iterator[str]:
    for run in _RUN.finditer(folded):
        word = run[0]
        if run[1] is None:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(len(word)))
