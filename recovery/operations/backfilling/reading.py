"""Reads a source, and tells what of it is to be done: one page ahead, so that who works on a page need not wait for the next."""

import threading
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from recovery.operations.backfilling.choosing import Chooser
from recovery.operations.backfilling.request import BackfillResult
from recovery.operations.backfilling.sources import Candidate, Source, SourcePage
from worker.core.base.jsontypes import JsonObject
from worker.core.base.settings import Settings
from worker.core.clients import Clients

ASKERS = 16
"""Number of objects for whose etags S3 is asked at once."""


@dataclass(frozen=True, slots=True)
class ChosenPage:
    """A page, and what of it is to be done."""

    chosen: list[Candidate]
    others: Mapping[BackfillResult, int]
    """The number of its other objects, by reason."""
    objects: int
    """Number of all its objects."""
    after: JsonObject
    elsewhere: int
    """The number of objects that are not in the source's place."""
    asked: int
    """For how many objects S3 has been asked in this run so far, because the source does not tell their etags."""


def chosen_pages(
    settings: Settings, clients: Clients, source: Source, position: JsonObject, stop: threading.Event, *,
    has_index: bool = True,
) -> Generator[ChosenPage, None, None]:  # fmt: skip
    """The pages of a source from a position on, until `stop` is set. Close the generator where you leave it early.

    `has_index`: whether there is an index, which a dry run does not create.

    Raises SourceError, StoreError or IndexUnavailableError.
    """
    with ThreadPoolExecutor(ASKERS, "etags") as pool, ThreadPoolExecutor(1, "source") as ahead:
        chooser = Chooser(settings, clients, pool, stop, has_index=has_index)
        pages = source.pages(position, stop)
        following = ahead.submit(_next, pages, chooser)
        while not stop.is_set() and (page := following.result()) is not None:
            following = ahead.submit(_next, pages, chooser)
            yield page


def _next(pages: Iterator[SourcePage], chooser: Chooser) -> ChosenPage | None:
    page = next(pages, None)
    if page is None:
        return None
    chosen, others = chooser.choose(page.candidates)
    return ChosenPage(chosen, others, len(page.candidates), page.after, page.elsewhere, chooser.asked)
