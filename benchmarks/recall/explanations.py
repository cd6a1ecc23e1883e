"""Why phrases are not found: the reasons that a person has found for misses in the public files and the tests' corpus.

explained.tsv has a line for each: a pattern for the file, a pattern for the phrase or its part, and the reason.
"""

import re
from pathlib import Path
from typing import NamedTuple

from benchmarks.recall.compare import Asked

EXPLAINED = Path(__file__).with_name("explained.tsv")


class Explanation(NamedTuple):
    """A reason, and the misses for which it holds."""

    file: re.Pattern[str]
    phrase: re.Pattern[str]
    """Found in the phrase, or in the path to the embedded document that has it."""
    because: str


def explanations() -> list[Explanation]:
    """The reasons of explained.tsv, in its order."""
    lines = (line.split("\t") for line in EXPLAINED.read_text().splitlines() if line and not line.startswith("#"))
    return [Explanation(re.compile(file), re.compile(words), because) for file, words, because in lines]


def reason(known: list[Explanation], file: str, asked: Asked) -> str | None:
    """The first reason that holds for a phrase of a file."""
    words = " ".join(asked.words.split())
    for one in known:
        if one.file.search(file) and (one.phrase.search(words) or one.phrase.search(asked.part)):
            return one.because
    return None
