"""Why phrases are not found: the reasons that a person has found for misses in the public files and the tests' corpus.

explained.tsv has a line for each: whether the tool is wrong (`tool`) or the miss is `ours`, a pattern for the file, a pattern
for the phrase or its part, and the reason.
"""

import re
from pathlib import Path
from typing import NamedTuple

from benchmarks.recall.compare import Asked

EXPLAINED = Path(__file__).with_name("explained.tsv")


class Explanation(NamedTuple):
    """A reason, and the misses for which it holds."""

    is_ours: bool
    """Whether something is not read; else the tool says what is not in the file in this form."""
    file: re.Pattern[str]
    phrase: re.Pattern[str]
    """Found in the phrase, or in the path to the embedded document that has it."""
    because: str


def explanations() -> list[Explanation]:
    """The reasons of explained.tsv, in its order."""
    lines = (line.split("\t") for line in EXPLAINED.read_text().splitlines() if line and not line.startswith("#"))
    return [
        Explanation(who == "ours", re.compile(file), re.compile(words), because) for who, file, words, because in lines
    ]


def reason(known: list[Explanation], file: str, asked: Asked) -> Explanation | None:
    """The first reason that holds for a phrase of a file."""
    words = " ".join(asked.words.split())
    for one in known:
        if one.file.search(file) and (one.phrase.search(words) or one.phrase.search(asked.part)):
            return one
    return None
