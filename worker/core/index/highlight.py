"""Mark matches in fragments of a text, for an index that cannot do it by itself."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START
from worker.core.index.query import Word
from worker.core.index.text import is_cjk

FRAGMENTS = 2
FRAGMENT_CHARS = 160
_BETWEEN = r"[\W_]*"


def marked(text: str, words: Sequence[Word]) -> str:
    """The whole text with every match marked; empty if there is no match."""
    pattern = _pattern(words)
    text = unicodedata.normalize("NFKC", text)
    if pattern is None or not pattern.search(text):
        return ""
    return _mark(pattern, text)


def fragments(text: str, words: Sequence[Word]) -> list[str]:
    """Up to two pieces of the text, each around a match and on one line."""
    pattern = _pattern(words)
    if pattern is None:
        return []
    return list(_pieces(unicodedata.normalize("NFKC", text), pattern))


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    end = 0
    for _ in range(FRAGMENTS):
        found = pattern.search(text, end)
        if found is None:
            return
        start = max(end, found.start() - FRAGMENT_CHARS // 2)
        end = max(found.end(), start + FRAGMENT_CHARS)
        yield " ".join(_mark(pattern, text[start:end]).split())


def _mark(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda found: HIGHLIGHT_START + found[0] + HIGHLIGHT_END, text)


def _pattern(words: Sequence[Word]) -> re.Pattern[str] | None:
    wanted = [_expression(word) for word in words if not word.excluded]
    return re.compile("|".join(wanted), re.IGNORECASE) if wanted else None


def _expression(word: Word) -> str:
    """A pattern for the word's tokens: whole words, of which the last may be a prefix; CJK characters match anywhere."""
    runs = _runs(word.phrase.tokens)
    expression = _BETWEEN.join(re.escape(run) for run in runs)
    if not is_cjk(runs[0]):
        expression = r"(?<![^\W_])" + expression
    if not is_cjk(runs[-1]):
        expression += r"[^\W_]*" if word.phrase.prefix else r"(?![^\W_])"
    return expression


def _runs(tokens: Sequence[str]) -> list[str]:
    """Join tokens to the words they were cut from: 東京, 京都, 都, 2026 become 東京都 and 2026."""
    runs: list[str] = []
    for token in tokens:
        if runs and is_cjk(token) and is_cjk(runs[-1]) and runs[-1][-1] == token[0]:
            runs[-1] += token[1:]
        else:
            runs.append(token)
    return runs
