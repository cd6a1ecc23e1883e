"""How substrings are found: by the text's bigrams first, then by an exact test, so that nothing false is found.

A text's grams are every pair of neighbouring characters and every single character, so a word of one or two characters
is found as well as a long one (a trigram index finds none of them: docs/evidence.md). Texts are folded first: NFC, and without
case. SQLite's FTS5 takes grams as words separated by spaces, so characters at which its tokenizer `ascii` would split are
replaced; all others, and all punctuation, belong to a word.
"""

import re
import string
import unicodedata
from operator import add

from worker.core.base.text import sendable

MOST_WANTED = 8
"""Grams that are looked up of one text, beside its last: each further one costs a walk through its list, and excludes less."""
_SPLITTING = re.compile(r"[\x00-\x20\x7f]")
_STAND_IN = "\xa0"
# An apostrophe is doubled in SQL's own quotes, and a quotation mark in those of the whole option.
TOKENIZER = "ascii tokenchars '{}'".format(string.punctuation.replace("'", "''").replace('"', '""'))
"""FTS5's option, as it stands between quotation marks in CREATE VIRTUAL TABLE."""


def folded(text: str) -> str:
    """The form in which texts are stored for searching, and searched for."""
    if text.isascii():
        return sendable(text).lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", sendable(text)).casefold())


def grams(text: str) -> set[str]:
    """Every character of a folded text, and every pair of neighbours."""
    safe = _SPLITTING.sub(_STAND_IN, text)
    found = set(safe)
    found.update(map(add, safe, safe[1:]))
    return found


def wanted(text: str) -> list[str]:
    """Grams that every text has which contains this folded one: some of its pairs, evenly spread, or its only character.

    The last is among them: the end of what people type tells most, such as a number.
    """
    safe = _SPLITTING.sub(_STAND_IN, text)
    pairs = list(dict.fromkeys(map(add, safe, safe[1:]))) or [safe]
    step = max(1, -(-len(pairs) // MOST_WANTED))
    return list(dict.fromkeys((*pairs[::step], pairs[-1])))


def fts_query(words: list[str], *, column: str | None = None) -> str:
    """FTS5's query for texts with all of these grams, in one column or in any."""
    every = " AND ".join('"{}"'.format(word.replace('"', '""')) for word in words)
    return f"{column} : ({every})" if column else every
