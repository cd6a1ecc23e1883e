"""What the demo searches for in files that it does not know: words that are rare in their texts, and in none of their names."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from worker.core.index import HIGHLIGHT_START, SearchResult
from worker.core.index.text import WITHOUT_SPACES, fold

MAX_QUESTIONS = 3
MAX_TRIED = 40
"""Number of words that are searched for at most, until MAX_QUESTIONS of them show a passage."""
MOST_FOUND = 3
"""A rare word is in no more documents than this."""
_WORD = re.compile(rf"(?<![^\W{WITHOUT_SPACES}])[^\W\d_{WITHOUT_SPACES}]{{5,14}}(?![^\W{WITHOUT_SPACES}])")
_JAPANESE = re.compile(
    r"(?<![\u4e00-\u9fff々])[\u4e00-\u9fff々]{2,6}(?![\u4e00-\u9fff々])|(?<![ァ-ヺー])[ァ-ヺー]{4,10}(?![ァ-ヺー])"
)
_PROSE = re.compile(r"(?:[^\W\d_]+[,;:]?[ \t]+){4}")
"""Five words in a line: there, a rare word is one that people write, not a part of a code or a number."""


def questions(texts: Sequence[str], names: Sequence[str], search: Callable[[str], SearchResult]) -> list[str]:
    """Words of these texts, Japanese and other ones by turns, each of which `search` finds with a passage."""
    ways = [_rare(texts, names, words) for words in (_words_in_prose, _JAPANESE.findall, _WORD.findall)]
    found: list[str] = []
    for tried, word in enumerate(_by_turns(ways)):
        if len(found) == MAX_QUESTIONS or tried == MAX_TRIED:
            break
        if word not in found and _is_shown(word, search(word)):
            found.append(word)
    return found


def _is_shown(word: str, result: SearchResult) -> bool:
    """Whether a search shows the word in a passage, and in few documents."""
    marked = HIGHLIGHT_START + word
    return 0 < result.total <= MOST_FOUND and any(marked in fold(one) for one in result.hits[0].highlights)


def _rare(texts: Sequence[str], names: Sequence[str], words: Callable[[str], Sequence[str]]) -> Iterator[str]:
    """The longest rare word of each text, then the second longest; never one that is in a name."""
    of_texts = [set(map(fold, words(text))) for text in texts]
    known = Counter(word for found in of_texts for word in found)
    in_names = fold("\n".join(names))
    rows = [
        sorted((one for one in found if known[one] == 1 and one not in in_names), key=lambda one: (-len(one), one))
        for found in of_texts
    ]
    for place in range(max(map(len, rows), default=0)):
        yield from (row[place] for row in rows if place < len(row))


def _words_in_prose(text: str) -> list[str]:
    return [word for line in text.splitlines() if _PROSE.search(line) for word in _WORD.findall(line)]


def _by_turns(ways: Sequence[Iterator[str]]) -> Iterator[str]:
    waiting = list(ways)
    while waiting:
        for way in tuple(waiting):
            word = next(way, None)
            if word is None:
                waiting.remove(way)
            else:
                yield word
