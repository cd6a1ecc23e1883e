"""Which buckets obstore is used for: it must send its requests where boto3 sends them, and succeed where boto3 does.

A request that obstore cannot make costs a failed attempt before boto3 makes it. A bucket that has moved, and a server whose
certificate boto3 accepts and obstore does not, would otherwise cost that for every object.
"""

import ssl
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

from worker.core.base.aws import BucketLocation
from worker.core.base.events import LogEvent
from worker.core.base.logs import emit
from worker.core.base.text import one_line

StoreT = TypeVar("StoreT")

FAILURES = 3
"""Requests in a row that obstore failed to make and boto3 made, after which only boto3 is used for a while."""
REST_S = 60.0
"""How long that is the first time; then twice as long each time, because the cause is probably lasting."""
LONGEST_REST_S = 3_600.0
MAX_BUCKETS = 256
"""Number of buckets whose store is kept open."""


class BucketStore(Generic[StoreT]):
    """obstore's store for one bucket, and how it has fared. May be used from any thread."""

    def __init__(
        self,
        bucket: str,
        locate: Callable[[str], BucketLocation | None],
        open_store: Callable[[str, BucketLocation], StoreT | None],
    ) -> None:
        """`locate` says where boto3 sends the bucket's requests; None: to a place that obstore cannot use."""
        self._bucket = bucket
        self._locate = locate
        self._open_store = open_store
        self._lock = threading.Lock()
        self._failures = 0
        self._rest_s = REST_S
        self._rests_until = 0.0
        self._location = locate(bucket)
        self._store = None if self._location is None else open_store(bucket, self._location)

    @property
    def store(self) -> StoreT | None:
        """The store to ask; None where boto3 is to be asked at once."""
        return self._store if self._rests_until == 0.0 or time.monotonic() >= self._rests_until else None

    def succeeded(self) -> None:
        """Note that obstore made a request."""
        if self._failures:
            with self._lock:
                self._failures, self._rest_s, self._rests_until = 0, REST_S, 0.0

    def boto3_succeeded(self, error: BaseException | None) -> None:
        """Note that boto3 made a request that obstore could not make; boto3 may have learnt that the bucket is elsewhere."""
        with self._lock:
            location = self._locate(self._bucket)
            if location != self._location:
                self._location, self._failures, self._rests_until = location, 0, 0.0
                self._store = None if location is None else self._open_store(self._bucket, location)
                return
            self._failures += 1
            if self._failures < FAILURES:
                return
            rest_s, self._rest_s = self._rest_s, min(2 * self._rest_s, LONGEST_REST_S)
            self._rests_until = time.monotonic() + rest_s
        emit(
            LogEvent.STORE_OBSTORE_FAILING,
            "warning",
            bucket=self._bucket,
            error=one_line(str(error))[:1_000],
            rest_s=rest_s,
        )


def bucket_stores(
    locate: Callable[[str], BucketLocation | None], open_store: Callable[[str, BucketLocation], StoreT | None]
) -> Callable[[str], BucketStore[StoreT]]:
    """The store of each bucket, opened when it is first asked for."""
    return lru_cache(MAX_BUCKETS)(lambda bucket: BucketStore(bucket, locate, open_store))


def has_certificates() -> bool:
    """Whether this machine has certificates of authorities, which obstore trusts in any case; small images have none.

    boto3 has its own; they take obstore 0.8 MB for each bucket (measured).
    """
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))
