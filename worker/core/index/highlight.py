"""Mark matches in fragments of a text, for an index that cannot do it by itself."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from worker.core.base.uniform import uniform
from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START
from worker.core.index.query import Word
from worker.core.index.snippets import passages
from worker.core.index.text import CJK, VARIANTS, is_cjk

_BETWEEN = r"[\W_]*"
_GAP = r"\s*"
"""What may be between two CJK characters of one word."""
_LETTER = rf"[^\W_{CJK}]"
_LATIN = (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
_PART = re.compile("ss|.", re.DOTALL)
_MARKS = re.compile(f"({HIGHLIGHT_START}|{HIGHLIGHT_END})")


def marked(text: str, words: Sequence[Word]) -> str:
    """The whole text with every match marked; empty if there is none."""
    pattern = _pattern(words)
    text = uniform(text)
    if pattern is None or not pattern.search(text):
        return ""
    return _mark(pattern, text)


def fragments(text: str, words: Sequence[Word]) -> list[str]:
    """Up to two passages of the text, each around a match and on one line."""
    pattern = _pattern(words)
    if pattern is None:
        return []
    text = uniform(text)
    return passages(text, (found.span() for found in pattern.finditer(text)))


def pieces(passage: str) -> list[tuple[str, bool]]:
    """The pieces of a marked text, in order, each with whether it is a match; none is empty.

    Whatever marks are missing or there too often, every other character is in a piece.
    """
    found: list[tuple[str, bool]] = []
    is_match = False
    for piece in _MARKS.split(passage):
        if piece in {HIGHLIGHT_START, HIGHLIGHT_END}:
            is_match = piece == HIGHLIGHT_START
        elif piece:
            found.append((piece, is_match))
    return found


def _mark(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda found: HIGHLIGHT_START + found[0] + HIGHLIGHT_END, text)


def _pattern(words: Sequence[Word]) -> re.Pattern[str] | None:
    wanted = [_expression(word) for word in words if not word.excluded]
    return re.compile("|".join(wanted), re.IGNORECASE) if wanted else None


def _expression(word: Word) -> str:
    """A pattern for the word's tokens: whole words, of which the last may be a prefix; CJK characters match anywhere."""
    runs = _runs(word.phrase.tokens)
    expression = _BETWEEN.join(map(_of_run, runs))
    if not is_cjk(runs[0]):
        expression = f"(?<!{_LETTER}){expression}"
    if not is_cjk(runs[-1]):
        expression += f"{_LETTER}*" if word.phrase.prefix else f"(?!{_LETTER})"
    return expression


def _of_run(run: str) -> str:
    """A pattern for a word in the form that it has in the index (`fold`), in which accents do not count."""
    if is_cjk(run):
        return _GAP.join(f"[{char}{VARIANTS[char]}]" if char in VARIANTS else re.escape(char) for char in run)
    return "".join("(?:ss|ß)" if found[0] == "ss" else _letter(found[0]) for found in _PART.finditer(run))


def _letter(char: str) -> str:
    base = unicodedata.normalize("NFD", char)[0]
    accented = _accented().get(base)
    return f"[{base}{accented}]" if accented else re.escape(char)


@cache
def _accented() -> dict[str, str]:
    """For each Latin letter, those that are the same with an accent, in lower case."""
    found: dict[str, str] = {}
    for char in map(chr, _LATIN):
        base = unicodedata.normalize("NFD", char)[0]
        if base != char and char.islower():
            found[base] = found.get(base, "") + char
    return found


def _runs(tokens: Sequence[str]) -> list[str]:
    """Join tokens to the words they were cut from: 東京, 京都, 都, 2026 become 東京都 and 2026."""
    runs: list[str] = []
    for token in tokens:
        if runs and is_cjk(token) and is_cjk(runs[-1]) and runs[-1][-1] == token[0]:
            runs[-1] += token[1:]
        else:
            runs.append(token)
    return runs
