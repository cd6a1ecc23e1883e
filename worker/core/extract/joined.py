"""Join words that a line end cuts in two, in text that was wrapped by hand or comes from a page layout.

Between Chinese and Japanese characters the line end is removed, because they are written without spaces: 株式会社⏎緑屋.
A hyphen at a line end may be part of the word (well-⏎known) or not (inter-⏎national), so both forms are given: one in its
place, the other, with the words around it, on a line of its own after the paragraph.

Not for tables, JSON, source code and the like, in which a line end has a meaning.
"""

import re
from itertools import islice

MAX_PARAGRAPH_CHARS = 20_000
"""The other form of a word is given after this many characters at the latest, so that it lies near the first one."""
_AROUND_CHARS = 60
"""Number of characters on each side in which the words around a hyphen are sought."""
_AROUND_WORDS = 5
MAX_OTHERS = 50_000
"""The other forms of further words are not given: a hostile text could be one hyphen after another."""

CJK = "々〆〇ぁ-ゖゝ-ゟァ-ヺー-ヿㇰ-ㇿ\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaffｦ-ﾝ\U00020000-\U000323af"
"""Characters of Chinese and Japanese words, for use in a regular expression."""
_INDENT = r"[ \t\u3000]*(?:>[ \t\u3000>]*)?"
"""What may begin a continued line: spaces, and the marks of quoted mail."""
# It begins with a literal, which `re` finds fastest.
_CJK_END = re.compile(rf"\n(?<=[{CJK}]\n){_INDENT}(?=[{CJK}])")
_IS_COLUMN = re.compile(r"\n[^\s]\n[^\s]\n")
_COLUMN = re.compile(r"(?<![^\n])(?:[^\s]\n){3,}[^\s](?![^\n])")
"""Vertical text that became lines of one character each."""
_HAS_CJK = re.compile(f"[{CJK}]")
_HYPHEN_END = re.compile(rf"-\n(?<=[^\W\d_]-\n){_INDENT}(?=[^\W_])")
_SOFT_HYPHEN_END = re.compile(rf"\u00ad\n{_INDENT}")


def joined(text: str) -> str:
    """The text with words joined across line ends. It takes time in proportion to the length, and hardly any if ASCII."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = _unwrapped(text)
    return _without_hyphens(text) if "-\n" in text else text


def _unwrapped(text: str) -> str:
    for before, after in (("\u2010\n", "-\n"), (" \n", "\n"), ("\u3000\n", "\n")):
        if before in text:
            text = text.replace(before, after)
    if "\u00ad\n" in text:
        text = _SOFT_HYPHEN_END.sub("", text)
    if _IS_COLUMN.search(text):
        text = _COLUMN.sub(_as_one_line, text)
    if "\t" not in text:
        return _CJK_END.sub("", text)
    return _CJK_END.sub(lambda end: end[0] if _is_in_a_table(text, end) else "", text)


def _as_one_line(column: re.Match[str]) -> str:
    return column[0].replace("\n", "") if _HAS_CJK.search(column[0]) else column[0]


def _is_in_a_table(text: str, end: re.Match[str]) -> bool:
    """Whether there is a tab near the end of the line before, or near the beginning of the line after."""
    start, stop = end.span()
    low, high = max(start - _AROUND_CHARS, 0), stop + _AROUND_CHARS
    if text.rfind("\t", low, start) > text.rfind("\n", low, start):
        return True
    tab = text.find("\t", stop, high)
    return tab > 0 and text.find("\n", stop, tab) < 0


def _without_hyphens(text: str) -> str:
    out: list[str] = []
    others: list[str] = []
    done = began = 0
    paragraph_end = -1
    for end in islice(_HYPHEN_END.finditer(text), MAX_OTHERS):
        start, stop = end.span()
        cut = paragraph_end if start > paragraph_end else text.rfind("\n", done, start)
        if start > paragraph_end or (start - began > MAX_PARAGRAPH_CHARS and cut >= 0):
            out += [text[done : max(done, cut)], *others]
            done, began, others = max(done, cut), start, []
        if start > paragraph_end:
            found = text.find("\n\n", stop)
            paragraph_end = len(text) if found < 0 else found
        form, other = _forms(text, start, stop)
        out += [text[done:start], form]
        others += ["\n", other]
        done = stop
    paragraph_end = max(done, paragraph_end)
    rest = _HYPHEN_END.sub("", text[paragraph_end:])
    return "".join([*out, _HYPHEN_END.sub("", text[done:paragraph_end]), *others, rest])


def _forms(text: str, start: int, stop: int) -> tuple[str, str]:
    """What stands for a hyphen and its line end, and the other form with the words around it."""
    before = text[max(start - _AROUND_CHARS, 0) : start].rpartition("\n\n")[2]
    after = text[stop : stop + _AROUND_CHARS].partition("\n\n")[0]
    form, other = ("-", "") if _is_compound(before.rsplit(None, 1)[-1], after) else ("", "-")
    return form, _last_words(before) + other + _first_words(after)


def _last_words(before: str) -> str:
    return " ".join(_HYPHEN_END.sub("", before).rsplit(None, _AROUND_WORDS)[-_AROUND_WORDS:])


def _first_words(after: str) -> str:
    return " ".join(_HYPHEN_END.sub("", after).split(None, _AROUND_WORDS)[:_AROUND_WORDS])


def _is_compound(first: str, last: str) -> bool:
    """COVID-19, Anglo-Saxon and state-of-the-art have hyphens of their own; INTER-NATIONAL need not."""
    return "-" in first or not (last[0].islower() or (first.isupper() and last[:2].isupper()))
