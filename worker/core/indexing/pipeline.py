"""From an object as S3 has it now to what the index is to hold: read → extract → document. Worker and recovery share it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from worker.core.base.errors import ObjectGoneError, UnreadableFileError
from worker.core.base.settings import Settings
from worker.core.base.text import searchable
from worker.core.extract import FAILURES, Extracted
from worker.core.extract.extractor import Extractor
from worker.core.index.document import Write, encode
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import ObjectStore, Snapshot
from worker.core.s3.state import OWN_PREFIXES

MAX_OBSERVATION_AGE_MS = 30_000
"""An older look is repeated before it is written: a removal keeps its version only for index.gc_deletes, 60 s."""
MAX_WRITE_AGE_MS = 55_000
"""A look older than this when its write is confirmed (30 s, and the longest request): meanwhile the index may have forgotten
a removal, and the write brought back what is gone. It is looked at once more."""
MAX_OBSERVATIONS = 3
HEAD_BYTES = 4096
"""What the extractor wants to see of a file to tell its kind."""


@dataclass(frozen=True, slots=True)
class Product:
    """What an object came to: the write for the index, and what was wrong with the file, if anything."""

    write: Write
    fault: UnreadableFileError | None = None
    extraction: str | None = None
    """The extraction's status; None for a removal."""


class Pipeline:
    """Makes documents. Every method may be called from any thread."""

    def __init__(self, settings: Settings, objects: ObjectStore, extractor: Extractor) -> None:
        self._settings = settings
        self._objects = objects
        self._extractor = extractor

    def skip_reason(self, ref: ObjectRef) -> str | None:
        """Why this object is not ours to index; None if it is."""
        settings = self._settings
        if ref.bucket == settings.state and ref.key.startswith(OWN_PREFIXES):
            return "own prefix"
        if settings.include_keys and not any(fnmatchcase(ref.key, glob) for glob in settings.include_keys):
            return "outside INCLUDE_KEYS"
        if any(fnmatchcase(ref.key, glob) for glob in settings.exclude_keys):
            return "inside EXCLUDE_KEYS"
        return None

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot | Product:
        """The object as it is now, or its removal when it is gone. Raises StoreError."""
        gone_ms = self._objects.clock.now_ms()
        try:
            return self._objects.read(bucket, key, admit=admit)
        except ObjectGoneError:
            return Product(Write(bucket, key, gone_ms, None, None))

    def is_slow(self, snapshot: Snapshot) -> bool:
        """Whether this file's text must come from a child process: no other message is to wait behind it.

        Raises OSError or MemoryError where it cannot be looked into; then the snapshot is discarded.
        """
        if snapshot.body is None:
            return False
        try:
            head = head_of(snapshot.body)
        except (OSError, MemoryError):
            snapshot.discard()
            raise
        return self._extractor.needs_child(head, snapshot.key, snapshot.content_type, snapshot.size)

    def document(self, snapshot: Snapshot, *, extra: Mapping[str, Any] | None = None) -> Product:
        """The object's document, its look no older than 30 s; consumes the snapshot.

        Raises StoreError where S3 must be asked again and refuses, ExtractionStoppedError at shutdown.
        """
        started, observations = time.monotonic(), 0
        while True:
            try:
                extracted = self._extract(snapshot)
            finally:
                snapshot.discard()
            observations += 1
            observed_at_ms = self._confirmed_observed_at_ms(snapshot)
            if observed_at_ms is not None or observations == MAX_OBSERVATIONS:
                # An object that changes all the time is written at its old look, which the batcher knows to be unsafe
                # and stores for retry.
                return self._product(
                    snapshot, extracted, observed_at_ms or snapshot.observed_at_ms, started, extra or {}
                )
            again = self.read(snapshot.bucket, snapshot.key)
            if isinstance(again, Product):
                return again
            snapshot = again

    def _confirmed_observed_at_ms(self, snapshot: Snapshot) -> int | None:
        """When the object was last seen to be as in the snapshot, looking again if that is long ago; None if it is not."""
        if self._objects.clock.now_ms() - snapshot.observed_at_ms <= MAX_OBSERVATION_AGE_MS:
            return snapshot.observed_at_ms
        etag, observed_at_ms = self._objects.head(snapshot.bucket, snapshot.key)
        return observed_at_ms if etag == snapshot.etag else None

    def _product(
        self, snapshot: Snapshot, extracted: Extracted, observed_at_ms: int, started: float, extra: Mapping[str, Any]
    ) -> Product:
        fields = {**self._fields(snapshot, extracted), **extra}
        fields["processing_time_seconds"] = round(time.monotonic() - started, 6)
        write = Write(snapshot.bucket, snapshot.key, observed_at_ms, snapshot.etag, encode(fields))
        fault = None
        if extracted.status in FAILURES:
            fault = UnreadableFileError(f"s3://{snapshot.bucket}/{snapshot.key}: {extracted.error or extracted.status}")
        return Product(write, fault, extracted.status)

    def _extract(self, snapshot: Snapshot) -> Extracted:
        kind = snapshot.content_type or "application/octet-stream"
        if snapshot.archived:
            return Extracted("archived", kind)
        if snapshot.body is None:
            return Extracted("too_large", kind)
        return self._extractor.extract(snapshot.body, snapshot.key, snapshot.content_type)

    def _fields(self, snapshot: Snapshot, extracted: Extracted) -> dict[str, Any]:
        name = snapshot.key.rsplit("/", 1)[-1]
        plain_name = searchable(name)
        return {
            "bucket": snapshot.bucket,
            "file_key": snapshot.key,
            "s3_url": f"s3://{snapshot.bucket}/{snapshot.key}",
            "file_name": plain_name,
            "file_extension": extension_of(plain_name),
            "path": [searchable(part) for part in snapshot.key.split("/")[:-1] if part],
            "file_size": snapshot.size,
            "mime_type": extracted.mime_type,
            "etag": snapshot.etag,
            "version_id": snapshot.version_id,
            "last_modified": snapshot.last_modified,
            "metadata": dict(snapshot.metadata),
            "indexed_at": datetime.now(UTC),
            "worker": self._settings.worker_name,
            "content": extracted.content,
            "char_count": extracted.char_count,
            "title": extracted.title,
            "author": extracted.author,
            "created": extracted.created,
            "language": extracted.language,
            "extraction": {
                "status": extracted.status,
                "error": extracted.error,
                "truncated": extracted.truncated,
            },
        }


def extension_of(name: str) -> str:
    """The extension, lower case and without its dot; empty where there is none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem and last.isalnum() and len(last) <= 16 else ""


def head_of(body: bytes | Path) -> bytes:
    """A file's first bytes."""
    if isinstance(body, bytes):
        return body[:HEAD_BYTES]
    with body.open("rb") as file:
        return file.read(HEAD_BYTES)
