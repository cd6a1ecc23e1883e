"""Objects as they are read from S3: what is asked of a store, and what one read has found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from worker.core.base.classify import is_transient, is_unclear
from worker.core.base.clock import S3Clock
from worker.core.base.errors import StoreError


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One object as one GET found it."""

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
    """Bytes; a temporary file for a larger object; None where it was not read (too large, or archived)."""
    archived: bool = False
    """S3 keeps it where a GET cannot reach it (InvalidObjectState)."""

    def discard(self) -> None:
        """Remove the temporary file, if there is one."""
        if isinstance(self.body, Path):
            self.body.unlink(missing_ok=True)


class ObjectStore(Protocol):
    """S3, for reading any bucket. Every method may be called from any thread."""

    @property
    def clock(self) -> S3Clock:
        """S3's clock, which its answers set."""

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot:
        """The object as it is now; `admit` is told its size before the body is read, and may wait or raise.

        Raises ObjectGoneError when a GET answered NoSuchKey, and StoreError with S3's code for any other refusal.
        """

    def head(self, bucket: str, key: str) -> tuple[str | None, int]:
        """The present etag, and the time of that observation. The etag is None where HEAD finds nothing, for any reason.

        A HEAD's refusal has no body, so no code: 404 is a missing key or a missing bucket, 403 a denial or a clock that is
        off, 400 an expired token among others. Only `read` can say which, and that an object is gone.
        """

    def is_object_fault(self, error: StoreError, bucket: str, key: str) -> bool:
        """Whether the object (or its event) is at fault: never by the code alone where another key would tell."""

    def answers_for(self, bucket: str, key: str) -> bool:
        """Whether reads of this bucket work again: this key's, or another's; NoSuchKey is an answer too."""

    def check_bucket(self, bucket: str) -> None:
        """Return if the bucket is there and may be listed. Raises StoreError with the code."""


def is_object_fault(error: StoreError, *, others_readable: Callable[[], bool]) -> bool:
    """The rule of `ObjectStore.is_object_fault`; `others_readable` is asked only where the code does not tell."""
    return not is_transient(error) and (not is_unclear(error) or others_readable())


def carried_unchanged(key: str) -> bool:
    """Whether obstore asks for exactly this key: not with empty, `.` or `..` segments or control characters (FACTS)."""
    if "//" in key or key[0] == "/" or key[-1] == "/" or not key.isprintable():
        return False
    return "." not in key or not any(part in {".", ".."} for part in key.split("/"))
