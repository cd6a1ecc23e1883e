"""The box in which a filter is typed: what it offers, what goes with it, and what is wrong with what was typed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import Query

from recovery.ledger.selection import FILTERS, Filter, Mistake, Selection, WrongQueryError, names_in
from recovery.manager.web.parameters import selected

Typed = Annotated[str, Query()]
"""A query of whatever length, so that one that is too long is said at the box."""


@dataclass(frozen=True, slots=True)
class FilterBox:
    """The box of one page."""

    path: str
    """Of the page."""
    query: str
    """What the reader has typed."""
    kept: tuple[tuple[str, str], ...] = ()
    """Other parameters of the page, which a new filter does not change."""
    names: tuple[str, ...] = tuple(FILTERS)
    """Of the filters that can be typed."""
    wrong: WrongQueryError | None = None

    @property
    def filters(self) -> Mapping[str, Filter]:
        """Those that can be typed, by name."""
        return {name: FILTERS[name] for name in self.names}

    @property
    def offers(self) -> tuple[str, ...]:
        """What completes a word: `kind:`, and each value that is known, such as `kind:RECOVERABLE`."""
        return tuple(one for name, known in self.filters.items() for one in _offers(name, known))

    @property
    def lists(self) -> tuple[str, ...]:
        """The filters that take several values."""
        return tuple(name for name, known in self.filters.items() if known.takes_several)


def _offers(name: str, known: Filter) -> Iterable[str]:
    yield f"{name}:"
    yield from (f"{name}:{value}" for value in known.values or known.examples)


def chosen(box: FilterBox, asked: str) -> Selection | FilterBox:
    """What is selected by `asked`, which is what was typed and what the page adds to it; or the box with what is wrong.

    Raises AskedWronglyError for a character that no filter can have.
    """
    try:
        for name in sorted((names_in(box.query) & FILTERS.keys()) - set(box.names)):
            return replace(box, wrong=WrongQueryError(Mistake.NAME, name, "", f"a filter: {', '.join(box.names)}"))
        return selected(asked)
    except WrongQueryError as error:
        return replace(box, wrong=error)
