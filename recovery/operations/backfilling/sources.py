"""Where the objects of a backfill come from, page by page; one source is the listing of buckets."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from recovery.operations.backfilling.request import SourceError
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.jsontypes import JsonObject
from worker.core.base.retry import retry_transient
from worker.core.s3.objects import ListingPage, ObjectStore, Place
from worker.core.s3.reconciled import read_reconciled_bucket
from worker.core.s3.state import MAX_KEY_BYTES, State

PAGE = 1_000
"""Number of objects of one page, as in a listing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An object that may have to be indexed."""

    bucket: str
    key: str
    etag: str | None = None
    """None where the source tells nothing but keys."""
    size: int | None = None
    """In bytes; None where the source tells nothing but keys."""


@dataclass(frozen=True, slots=True)
class SourcePage:
    """Some objects, and where the source goes on after them."""

    candidates: list[Candidate]
    after: JsonObject
    elsewhere: int = 0
    """The number of other objects that the source names, which are not in its place."""


class Source(Protocol):
    """What a backfill reads. For one thread."""

    @property
    def name(self) -> str:
        """What it reads: two sources of one name have the same objects at the same positions."""

    @property
    def places(self) -> Sequence[Place]:
        """Where its objects are."""

    @property
    def total(self) -> int | None:
        """The number of its objects, as far as that is known before they are read."""

    def pages(self, position: JsonObject, stop: threading.Event) -> Iterator[SourcePage]:
        """The pages from a position on that `SourcePage.after` had in an earlier run; an empty one is the beginning.

        Raises StoreError, and SourceError where what is read is damaged.
        """


def number_in(position: JsonObject, name: str) -> int:
    """A number of a position; 0 where it has none."""
    found = position.get(name)
    return found if isinstance(found, int) and found > 0 else 0


def checked_key(key: object) -> str:
    """A key that something else than S3 itself tells. Raises SourceError if it cannot be one."""
    if not isinstance(key, str):
        raise SourceError(f"{type(key).__name__} instead of a key")
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise SourceError("a key that is not Unicode") from None
    if not 1 <= size <= MAX_KEY_BYTES:
        raise SourceError(f"a key of {size:,} bytes; S3's keys have 1 to {MAX_KEY_BYTES:,}")
    return key


class Listing:
    """The objects of several places, as S3 lists them."""

    def __init__(self, objects: ObjectStore, state: State, places: Sequence[Place]) -> None:
        """`state` may know how many objects a bucket had when it was last reconciled."""
        self._objects = objects
        self.places = tuple(places)
        self.name = " ".join(map(str, places))
        self.total = _counted(state, places)

    def pages(self, position: JsonObject, stop: threading.Event) -> Iterator[SourcePage]:
        """See Source. If S3 does not know the position any more, the place is listed from its beginning."""
        number, token = number_in(position, "place"), position.get("token")
        is_continued = token is not None
        while number < len(self.places):
            place = self.places[number]
            try:
                page = self._page(place, token, stop)
            except StoreError as error:
                if not is_continued or is_transient(error):
                    raise
                token, is_continued = None, False
                continue
            is_continued, token = False, page.token
            number += token is None
            found = [Candidate(place.bucket, one.key, one.etag, one.size) for one in page.objects]
            yield SourcePage(found, {"place": number, "token": token})

    def _page(self, place: Place, token: str | None, stop: threading.Event) -> ListingPage:
        return retry_transient(
            lambda: self._objects.list_page(place.bucket, place.prefix, token), transient=is_transient, stop=stop
        )


def _counted(state: State, places: Sequence[Place]) -> int | None:
    """How many objects reconcile_index has counted in these buckets; None unless it has counted all that is to be listed."""
    counts = [None if place.prefix else read_reconciled_bucket(state, place.bucket) for place in places]
    found = [one.objects for one in counts if one is not None]
    return sum(found) if len(found) == len(places) else None
