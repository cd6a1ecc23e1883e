"""Reads the listing and the index into the work file, at the same time."""

import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from recovery.operations.reconciling.request import ReconcileRequest
from recovery.operations.reconciling.work_file import WorkFile
from worker.core.base.classify import is_transient
from worker.core.base.errors import StoreError
from worker.core.base.retry import retry_transient
from worker.core.clients import Clients
from worker.core.index import Entry
from worker.core.s3.objects import ListingPage

ASKED_AT_ONCE = 500
"""Number of objects whose documents are asked for at once, where not all documents are read."""
OnPage = Callable[[int, int], None]
"""Called with the numbers of objects and documents that were read."""


class FirstLook:
    """Reads one place. It goes on where an interrupted run stopped; once `stop` is set, it ends after a page."""

    def __init__(self, clients: Clients, request: ReconcileRequest, work: WorkFile, stop: threading.Event) -> None:
        self._clients = clients
        self._request = request
        self._work = work
        self._stop = stop
        self._documents = 0

    def read(self, on_page: OnPage) -> None:
        """Read listing and index: at the same time, or only the documents of the objects that were chosen.

        Raises StoreError or IndexUnavailableError.
        """
        over = threading.Event()
        if self._request.is_partial:
            self._read_listing(over, on_page)
            if self._request.sample is not None:
                self._work.keep_some(self._request.sample)
                self._work.remember(listed=self._work.objects(), repeated=0)
            self._read_documents()
            return
        with ThreadPoolExecutor(1, "index-side") as pool:
            reading = None if self._work.fact("index_read") else pool.submit(self._read_index, over)
            try:
                self._read_listing(over, on_page)
                if reading is not None:
                    unreachable = reading.result()
                    if not self._stop.is_set():
                        self._work.remember(index_read=1, unreachable=unreachable)
            finally:
                over.set()

    def _read_listing(self, over: threading.Event, on_page: OnPage) -> None:
        """Store the listing page by page, from where an interrupted run stopped, until `over` is set. Raises StoreError."""
        if self._work.fact("listing_read"):
            return
        since_ms = self._since_ms()
        with closing(self._pages()) as pages:
            for page in pages:
                self._work.add_objects([one for one in page.objects if one.modified_ms >= since_ms], page.token)
                on_page(self._work.fact("listed"), self._documents)
                if self._stop.is_set() or over.is_set():
                    return

    def _pages(self) -> Generator[ListingPage, None, None]:
        """The pages from where the work file is; the next one is asked for while the caller stores one. Raises StoreError."""
        token: str | None = self._work.fact("token")
        with ThreadPoolExecutor(1, "listing") as ahead:
            try:
                page = ahead.submit(self._page, token).result()
            except StoreError as error:
                if token is None or is_transient(error):
                    raise
                self._work.forget_objects()  # S3 does not know the token any more
                page = ahead.submit(self._page, None).result()
            while page.token is not None:
                following = ahead.submit(self._page, page.token)
                yield page
                page = following.result()
            yield page

    def _page(self, token: str | None) -> ListingPage:
        place = self._request.place
        return retry_transient(
            lambda: self._clients.objects.list_page(place.bucket, place.prefix, token),
            transient=is_transient, stop=self._stop,
        )  # fmt: skip

    def _since_ms(self) -> int:
        since_s = self._request.since_s
        return 0 if since_s is None else int(self._work.fact("begun_ms")) - since_s * 1000

    def _read_index(self, over: threading.Event) -> int:
        """Store all documents of the place; the number of those that no write reaches. Raises IndexUnavailableError.

        Sets `over` if it fails, for nothing else is of use then.
        """
        try:
            return self._read_entries(over)
        except BaseException:
            over.set()
            raise

    def _read_entries(self, over: threading.Event) -> int:
        index, place = self._clients.index, self._request.place
        unreachable, after = 0, ""
        index.refresh()

        def next_page() -> list[Entry]:
            return index.entries(place.bucket, place.prefix, after=after)

        with self._work.filling() as add:
            while not (self._stop.is_set() or over.is_set()):
                entries = retry_transient(next_page, transient=is_transient, stop=over)
                if not entries:
                    break
                add(entries)
                after = entries[-1].key
                self._documents += len(entries)
                unreachable += sum(not entry.is_reachable for entry in entries)
        return unreachable

    def _read_documents(self) -> None:
        """Store the documents of the chosen objects. Raises IndexUnavailableError."""
        bucket, after = self._request.place.bucket, ""
        with self._work.filling() as add:
            while not self._stop.is_set() and (keys := self._work.keys(after, ASKED_AT_ONCE)):
                stored = self._clients.index.stored([(bucket, key) for key in keys])
                pairs = zip(keys, stored, strict=True)
                add([Entry(key, one.etag, one.version) for key, one in pairs if one is not None])
                after = keys[-1]
