"""What S3 and the index hold of an object at this moment. What cannot be asked is said, and not raised."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from worker.core.base.errors import IndexUnavailableError, ObjectGoneError, StoreError
from worker.core.index import Index, Stored
from worker.core.s3.objects import ObjectState, ObjectStore

ObjectName = tuple[str, str]
"""Bucket and key."""
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class InS3:
    """What S3 says of an object."""

    state: ObjectState | None = None
    """None if it does not exist, or S3 did not say."""
    size: int = 0
    """In bytes."""
    is_gone: bool = False
    """Whether a GET was answered with NoSuchKey, which alone says that it does not exist."""
    problem: str = ""
    """Why S3 did not say anything; empty if it did."""
    has_no_bucket: bool = False
    """Whether the problem is that its bucket does not exist."""

    @property
    def last_modified(self) -> datetime | None:
        """When it was written."""
        return None if self.state is None else self.state.last_modified


@dataclass(frozen=True, slots=True)
class InIndex:
    """What the index says of an object."""

    document: Stored | None = None
    problem: str = ""
    """Why it was not asked, or did not answer; empty if it did."""

    @property
    def said(self) -> str:
        """The same as text for the operator."""
        if self.problem:
            return self.problem
        if self.document is None:
            return NOTHING
        etag = self.document.state.etag if self.document.state else "unknown"
        return f"a document with etag {etag}, extraction {self.document.extraction_status or 'unknown'}"


def in_s3(objects: ObjectStore, bucket: str, key: str) -> InS3:
    """The present state of an object. Its content is read as well, unless this store reads objects of no size."""
    try:
        snapshot = objects.read(bucket, key)
    except ObjectGoneError:
        return InS3(is_gone=True)
    except StoreError as error:
        return InS3(problem=f"cannot be asked: {error}", has_no_bucket=error.code == "NoSuchBucket")
    snapshot.discard()
    return InS3(snapshot.state, snapshot.size)


def in_index(index: Index | None, names: Sequence[ObjectName], why_none: str) -> dict[ObjectName, InIndex]:
    """The documents of these objects, by name. `why_none` says why there is no index to ask."""
    wanted = list(dict.fromkeys(names))
    if index is None or not wanted:
        return dict.fromkeys(wanted, InIndex(problem=why_none))
    try:
        found = index.stored(wanted)
    except IndexUnavailableError as error:
        return dict.fromkeys(wanted, InIndex(problem=f"cannot be asked: {error}"))
    return {name: InIndex(one) for name, one in zip(wanted, found, strict=True)}
