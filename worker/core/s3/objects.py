"""Objects as they are read from S3: what is asked of a store, and what one read has found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from worker.core.base.classify import is_transient, is_unclear
from worker.core.base.clock import S3Clock
from worker.core.base.errors import ObjectGoneError, StoreError


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, or the part of it whose keys begin with a prefix."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        """As a URL."""
        return f"s3://{self.bucket}/{self.prefix}"

    def contains(self, bucket: str, key: str) -> bool:
        """Whether an object is in it."""
        return bucket == self.bucket and key.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class ObjectState:
    """What tells one state of an object from any other.

    The etag alone does not: a copy in place changes metadata and content type, and keeps the etag.
    """

    etag: str
    last_modified: datetime
    version_id: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one GET observed about an object."""

    bucket: str
    key: str
    observed_at_ms: int
    size: int
    etag: str
    last_modified: datetime
    version_id: str | None
    content_type: str | None
    metadata: Mapping[str, str]
    body: bytes | Path | None
    """Bytes; a temporary file for a larger object; None if it was not read (too large, or archived)."""
    content_encoding: str | None = None
    """What the Content-Encoding header says of the body."""
    archived: bool = False
    """Whether it is in a storage class that a GET cannot read (InvalidObjectState)."""

    @property
    def state(self) -> ObjectState:
        """The state in which the object was."""
        return ObjectState(self.etag, self.last_modified, self.version_id)

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        if isinstance(self.body, Path):
            self.body.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One object as a listing shows it."""

    key: str
    etag: str
    size: int
    """In bytes."""
    modified_ms: int
    """LastModified, ms since the epoch, which S3 knows to the second."""


@dataclass(frozen=True, slots=True)
class ListingPage:
    """Up to a thousand objects, and where the listing goes on."""

    objects: list[ListedObject]
    token: str | None
    """None on the last page."""


class ObjectStore(Protocol):
    """S3, for reading any bucket. Every method may be called from any thread."""

    @property
    def clock(self) -> S3Clock:
        """S3's clock, which its answers set."""

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot:
        """Observe the object; `admit` is called with its size before the body is read, and may wait or raise.

        Raises ObjectGoneError if a GET returned NoSuchKey, and StoreError with S3's code for any other error.
        """

    def head(self, bucket: str, key: str) -> tuple[ObjectState | None, int]:
        """The present state, and the time of that observation. The state is None where HEAD finds nothing, for any reason.

        A failed HEAD has no body and therefore no error code: 404 means a missing key or a missing bucket, 403 a denial or a
        wrong clock, 400 an expired token or something else. Only `read` can tell these apart and say that an object is gone.
        """

    def is_object_fault(self, error: StoreError, bucket: str, key: str) -> bool:
        """Whether the object (or its event) is at fault. If the code alone does not tell, other keys are read too."""

    def answers_for(self, bucket: str, key: str) -> bool:
        """Whether this bucket can be read again, at this key or at another; NoSuchKey counts as an answer."""

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket exists and may be listed. Raises StoreError with the code."""

    def list_page(self, bucket: str, prefix: str, token: str | None) -> ListingPage:
        """A page of the bucket's objects whose keys begin with `prefix`: the one at this token, or the first. Raises StoreError."""


def is_gone(objects: ObjectStore, bucket: str, key: str) -> bool:
    """Whether the object does not exist: a HEAD finds nothing, and a GET returns NoSuchKey. Raises StoreError."""
    if objects.head(bucket, key)[0] is not None:
        return False
    try:
        objects.read(bucket, key).discard()
    except ObjectGoneError:
        return True
    return False


def is_object_fault(error: StoreError, *, others_readable: Callable[[], bool]) -> bool:
    """The rule of `ObjectStore.is_object_fault`; `others_readable` is asked only where the code does not tell."""
    return not is_transient(error) and (not is_unclear(error) or others_readable())


def carried_unchanged(key: str) -> bool:
    """Whether obstore requests exactly this key; it changes or rejects some (docs/evidence.md, boto3 and obstore)."""
    if "//" in key or key[0] == "/" or key[-1] == "/" or not key.isprintable():
        return False
    return "." not in key or not any(part in {".", ".."} for part in key.split("/"))
