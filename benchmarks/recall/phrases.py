"""Take phrases from a text, and look whether a text has them, both as the search does (worker/core/index/text.py)."""

import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import NamedTuple

from worker.core.index.text import CJK, WITHOUT_SPACES, indexed, is_cjk, phrase

PHRASES_PER_FILE = 5
WORDS = (3, 8)
"""A phrase has this many words in sequence."""
CJK_CHARS = (6, 12)
"""A phrase in Chinese characters, kana or hangul has this many characters of one run."""
MIN_LETTERS = 6
"""A shorter phrase, such as `1 2 3`, is in every text and shows nothing."""
ATTEMPTS = 60
REACH = 240
"""Characters of a block around a random place, from which a phrase is taken."""

_BETWEEN = re.compile(rf"(?<=[{WITHOUT_SPACES}])\s+(?=[{WITHOUT_SPACES}])")
_RUN = re.compile(f"[{CJK}]{{{CJK_CHARS[0]},}}")
_WORD = re.compile(r"[^\W_]+")
_UNSAID = re.compile(
    "[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x7f-\x9f]"  # not decoded, or without a meaning
    "|[-\u00ad\u2010]\\s*\n"  # a word that a line end may have divided
    "|[a-z0-9)][A-Z][a-z]"  # two words that a tool may have glued
    r"|\\[*a-z(]"  # an instruction of a field, not its text
)
"""What is not asked for."""


class Block(NamedTuple):
    """A piece of text that is read in sequence: a paragraph, a row, a page."""

    text: str
    part: str = ""
    """The part of the file in which it is, if not the main one: an embedded document, the notes."""


class Sample(NamedTuple):
    """A phrase of a file, and the part of the file in which a tool read it."""

    words: str
    part: str = ""


class Searchable:
    """Texts as the search sees them."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Cut the texts into tokens, which takes 0.3 s per million characters."""
        self._texts = [f" {indexed(text)} " for text in texts if text]

    def has(self, words: str, *, exact: bool = True) -> bool:
        """Whether one of the texts has the tokens of these words, consecutively; the last one in full if `exact`."""
        tokens, prefix = phrase(words, exact=exact)
        wanted = f" {' '.join(tokens)}" + ("" if prefix else " ")
        return bool(tokens) and any(wanted in text for text in self._texts)


def sampled(blocks: list[Block], seed: str, confirmed: Callable[[str], bool] = lambda _: True) -> list[Sample]:
    """Up to five different phrases from these blocks, always the same for the same seed; each `confirmed`.

    They are taken from blocks with three or more words, longer blocks more often; if there are none, whole short blocks.
    """
    chance = random.Random(seed)
    found = _drawn([block for block in blocks if _is_long(block.text)], chance, confirmed)
    if len(found) < PHRASES_PER_FILE:
        short = {block.text.strip(): block.part for block in blocks if not _is_long(block.text)}
        rest = [Sample(words, part) for words, part in short.items() if _may_be_asked(words)]
        chance.shuffle(rest)
        confirmed_rest = (sample for sample in rest[:ATTEMPTS] if confirmed(sample.words))
        found += [sample for sample, _ in zip(confirmed_rest, range(PHRASES_PER_FILE - len(found)), strict=False)]
    return found


def _is_long(text: str) -> bool:
    """Whether a phrase of the usual length can be taken from this text."""
    return len(_WORD.findall(text[:10_000])) >= WORDS[0] or bool(_RUN.search(text[:10_000]))


def _drawn(blocks: list[Block], chance: random.Random, confirmed: Callable[[str], bool]) -> list[Sample]:
    ends = list(accumulate(len(block.text) for block in blocks))
    found: dict[str, Sample] = {}
    for _ in range(ATTEMPTS if ends else 0):
        place = chance.randrange(ends[-1])
        number = bisect_right(ends, place)
        block = blocks[number]
        words = _around(block.text, place - ends[number] + len(block.text), chance)
        key = " ".join(phrase(words, exact=True).tokens)
        if key and key not in found and _may_be_asked(words) and confirmed(words):
            found[key] = Sample(words, block.part)
            if len(found) == PHRASES_PER_FILE:
                break
    return list(found.values())


def _around(text: str, place: int, chance: random.Random) -> str:
    """A phrase near a place of a text: part of a run of CJK characters where there is one, else a few words."""
    begin, end = max(place - REACH, 0), min(place + REACH, len(text))
    piece = text[begin:end]
    if begin:
        piece = re.sub(r"^\S*\s?", "", piece) if not is_cjk(piece[:1]) else piece
    if end < len(text):
        piece = re.sub(r"\s?\S*$", "", piece) if not is_cjk(piece[-1:]) else piece
    runs = [run[0] for run in _RUN.finditer(_BETWEEN.sub("", piece))]
    if runs:
        run, length = chance.choice(runs), chance.randint(*CJK_CHARS)
        first = chance.randint(0, max(len(run) - length, 0))
        return run[first : first + length]
    words = list(_WORD.finditer(piece))
    count = min(chance.randint(*WORDS), len(words))
    if count < WORDS[0]:
        return ""
    first = chance.randint(0, len(words) - count)
    return piece[words[first].start() : words[first + count - 1].end()]


def _may_be_asked(words: str) -> bool:
    letters = sum(len(word) for word in _WORD.findall(words))
    return letters >= (4 if any(is_cjk(c) for c in words) else MIN_LETTERS) and not _UNSAID.search(words)
