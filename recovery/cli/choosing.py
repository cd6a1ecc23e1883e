"""What an operator types to choose rows of a numbered list: `1,3-5`, `all`, or a text that narrows the list."""

import re
import unicodedata

EVERY = "all"
_NUMBERS = re.compile(r"\d+(-\d+)?([,\s]+\d+(-\d+)?)*,?")


def plain(typed: str) -> str:
    """What was typed, with the digits and signs of a Japanese keyboard (`１，３－５`, `１、３〜５`) as those of ASCII."""
    return unicodedata.normalize("NFKC", typed).translate({ord("、"): ",", ord("〜"): "-", ord("ー"): "-"}).strip()


def rows_of(typed: str, count: int) -> list[int] | None:
    """The rows, from 0, of a list of `count`, in its order; None if a text was typed, and no numbers.

    Raises ValueError, with what would be correct, for a number that no row has.
    """
    text = re.sub(r"\s*-\s*", "-", plain(typed))
    if text.casefold() == EVERY:
        return list(range(count))
    if not _NUMBERS.fullmatch(text):
        return None
    chosen: set[int] = set()
    for part in re.split(r"[,\s]+", text.rstrip(",")):
        low, _, high = part.partition("-")
        first, last = int(low), int(high or low)
        if not 1 <= first <= last <= count:
            raise ValueError(
                f"{part}: rows are 1 to {count}, and a range is such as 2-{max(2, count)}; to search, type /{part}"
            )
        chosen |= set(range(first - 1, last))
    return sorted(chosen)
