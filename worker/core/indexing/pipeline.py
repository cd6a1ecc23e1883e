"""From an object as it is in S3 now to its document: read → extract → document. The worker and recovery share it."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from worker.core.base.errors import ObjectGoneError, StoreError, UnreadableFileError
from worker.core.base.reasons import Reason
from worker.core.base.settings import Settings
from worker.core.base.text import searchable
from worker.core.base.uniform import uniform
from worker.core.extract import FAILURES, Extracted, encodings
from worker.core.extract.extractor import Extractor, head_of, size_of
from worker.core.extract.faults import CorruptError
from worker.core.extract.kinds import kind_of
from worker.core.index import Stored
from worker.core.index.document import Write, encode
from worker.core.indexing.fresh_writer import is_fresh
from worker.core.indexing.meter import Meter, NoMeter
from worker.core.s3.events import ObjectRef
from worker.core.s3.objects import ObjectState, ObjectStore, Snapshot, is_gone
from worker.core.s3.state import OWN_PREFIXES

OUTSIDE, INSIDE = "outside INCLUDE_KEYS", "inside EXCLUDE_KEYS"
FOLDER = "folder"
EXCLUSIONS = frozenset({OUTSIDE, INSIDE})
MAX_OBSERVATIONS = 3
"""An object that changes faster than its text can be extracted is observed so often, then left to the retry store."""


LONG_CHARS = 1_000_000
"""Making a document of a longer text takes several times its bytes of memory (measured: 3 for ASCII, 4 for Japanese, 10 for ASCII
with an emoji)."""


@dataclass(frozen=True, slots=True)
class Product:
    """What an object yields: the write for the index, and what is wrong with the file, if anything."""

    write: Write
    fault: UnreadableFileError | None = None
    extraction: str | None = None
    """The extraction's status; None for a removal."""
    skipped: str = ""
    """Why the object, which exists, is not to be in the index; empty otherwise."""


def excluded(settings: Settings, bucket: str, key: str) -> str | None:
    """Why an object is not to be in the index according to the settings; None if it is."""
    if key.startswith(OWN_PREFIXES) and bucket == settings.state:
        return "own prefix"
    if settings.include_keys and not any(fnmatchcase(key, glob) for glob in settings.include_keys):
        return OUTSIDE
    if any(fnmatchcase(key, glob) for glob in settings.exclude_keys):
        return INSIDE
    return None


def is_folder(key: str, size: int) -> bool:
    """Whether an object is what consoles show as a folder: nothing under a key that ends in `/`. It is not to be in the index."""
    return key.endswith("/") and size == 0


class Pipeline:
    """Makes documents. Every method may be called from any thread."""

    def __init__(
        self, settings: Settings, objects: ObjectStore, *, extractor: Extractor, meter: Meter | None = None
    ) -> None:
        """`meter` counts what is read and extracted, and may refuse it; without one, nothing is counted."""
        self._settings = settings
        self._objects = objects
        self._extractor = extractor
        self._meter = meter or NoMeter()
        self._long_text = threading.RLock()
        """Documents of long texts are made one at a time: together they would take more memory and, with Python's lock, no less
        time."""

    def skip_reason(self, ref: ObjectRef) -> str | None:
        """Why there is nothing to do for this object; None if it is to be observed.

        An excluded object that may be gone is observed as well: its document, which may be older than the exclusion, has to
        leave the index.
        """
        reason = self.excluded(ref.bucket, ref.key)
        return None if reason in EXCLUSIONS and ref.may_be_gone and self._is_gone(ref) else reason

    def excluded(self, bucket: str, key: str) -> str | None:
        """Why an object is not to be in the index; None if it is."""
        return excluded(self._settings, bucket, key)

    def _is_gone(self, ref: ObjectRef) -> bool:
        """Whether S3 says so. A denial of this object alone is no reason to do anything: it is excluded.

        Raises StoreError for any failure that is not this object's own.
        """
        try:
            return is_gone(self._objects, ref.bucket, ref.key)
        except StoreError as error:
            if not self._objects.is_object_fault(error, ref.bucket, ref.key):
                raise
            return False

    def read(self, bucket: str, key: str, *, admit: Callable[[int], None] = lambda _: None) -> Snapshot | Product:
        """The object as it is now, or its removal if it is gone; `admit` as in ObjectStore.read.

        A folder, which consoles show for an empty object whose key ends in `/`, is not to be in the index either.
        Raises StoreError, and what the meter raises.
        """
        try:
            with self._meter.reading(bucket, key) as take_bytes:
                gone_ms = self._objects.clock.now_ms()

                def admit_all(size: int) -> None:
                    take_bytes(size if size <= self._settings.max_object_bytes else 0)
                    admit(size)

                found = self._objects.read(bucket, key, admit=admit_all)
        except ObjectGoneError:
            return Product(Write(bucket, key, gone_ms, None, None))
        if is_folder(key, found.size):
            found.discard()
            return Product(Write(bucket, key, gone_ms, None, None), skipped=FOLDER)
        return self._decoded(found, admit)

    def _decoded(self, snapshot: Snapshot, admit: Callable[[int], None]) -> Snapshot:
        """The snapshot with its body as it was before its Content-Encoding; unchanged if it is not so encoded."""
        names = encodings.names_of(snapshot.content_encoding)
        if snapshot.body is None or not names:
            return snapshot
        settings = self._settings
        bounds = encodings.Bounds(settings.max_object_bytes, settings.spool_bytes, settings.temp_dir)
        try:
            admit(settings.spool_bytes)  # what it may take in memory, whatever its size is now
            body = encodings.decoded(snapshot.body, names, bounds)
        except CorruptError:
            return snapshot
        except BaseException:
            snapshot.discard()
            raise
        snapshot.discard()
        return replace(snapshot, body=body)

    def is_slow(self, snapshot: Snapshot) -> bool:
        """Whether this file is extracted in a child process, which may take long: no other message should wait behind it.

        Raises OSError or MemoryError if its first bytes cannot be read; the snapshot is discarded then.
        """
        if snapshot.body is None:
            return False
        try:
            head = head_of(snapshot.body)
        except (OSError, MemoryError):
            snapshot.discard()
            raise
        return self._extractor.needs_child(head, snapshot.key, snapshot.content_type, size_of(snapshot.body))

    def memory_in_process(self, snapshot: Snapshot) -> int:
        """Bytes of memory that extracting this file may take in this process, beyond its body. Raises as `is_slow` does."""
        if snapshot.body is None:
            return 0
        head = head_of(snapshot.body)
        return self._extractor.memory_in_process(head, snapshot.key, snapshot.content_type, size_of(snapshot.body))

    def build(self, bucket: str, key: str, *, extra: Mapping[str, object] | None = None) -> Product:
        """Read the object and make its document, or its removal: `read` and `document` in one. Raises what they raise."""
        found = self.read(bucket, key)
        return found if isinstance(found, Product) else self.document(found, extra=extra)

    def document(self, snapshot: Snapshot, *, extra: Mapping[str, object] | None = None) -> Product:
        """The object's document, from an observation that is still fresh; consumes the snapshot. `extra` adds fields.

        Raises StoreError if S3 must be asked again and refuses, ExtractionStoppedError at shutdown, what the meter raises, and
        OSError or MemoryError if the file cannot be read.
        """
        try:
            is_long = self._is_long_text(snapshot)
        except (OSError, MemoryError):
            snapshot.discard()
            raise
        with self._long_text if is_long else nullcontext():
            return self._document(snapshot, extra or {})

    def _is_long_text(self, snapshot: Snapshot) -> bool:
        """Whether it is text, which is read in this process, and longer than SPOOL_BYTES."""
        if snapshot.body is None or size_of(snapshot.body) <= self._settings.spool_bytes:
            return False
        return kind_of(head_of(snapshot.body), snapshot.key, snapshot.content_type).route == "text"

    def _document(self, snapshot: Snapshot, extra: Mapping[str, object]) -> Product:
        started, observations = time.monotonic(), 0
        while True:
            try:
                extracted = self._extract(snapshot)
            finally:
                snapshot.discard()
            observations += 1
            observed_at_ms = self._confirmed_observed_at_ms(snapshot)
            if observed_at_ms is not None or observations == MAX_OBSERVATIONS:
                # An object that keeps changing gets the version of its old observation. FreshWriter does not write that,
                # so the document is stored for retry.
                return self._product(snapshot, extracted, observed_at_ms or snapshot.observed_at_ms, started, extra)
            again = self.read(snapshot.bucket, snapshot.key)
            if isinstance(again, Product):
                return again
            snapshot = again

    def _confirmed_observed_at_ms(self, snapshot: Snapshot) -> int | None:
        """When the object was last seen as in the snapshot, asking S3 again if that is too long ago; None if it changed."""
        if is_fresh(snapshot.observed_at_ms, now_ms=self._objects.clock.now_ms()):
            return snapshot.observed_at_ms
        state, observed_at_ms = self._objects.head(snapshot.bucket, snapshot.key)
        return observed_at_ms if state == snapshot.state else None

    def _product(
        self, snapshot: Snapshot, extracted: Extracted, observed_at_ms: int, started: float, extra: Mapping[str, object]
    ) -> Product:
        with self._long_text if len(extracted.content) > LONG_CHARS else nullcontext():
            fields = {**self._fields(snapshot, extracted), **extra}
            fields["processing_time_seconds"] = round(time.monotonic() - started - extracted.waited_s, 6)
            write = Write(snapshot.bucket, snapshot.key, observed_at_ms, snapshot.etag, encode(fields))
        fault = None
        if extracted.status in FAILURES:
            sentence = f"s3://{snapshot.bucket}/{snapshot.key}: {extracted.error or extracted.status}"
            fault = UnreadableFileError(sentence, extracted.reason or Reason.CORRUPT_FILE)
        return Product(write, fault, extracted.status)

    def _extract(self, snapshot: Snapshot) -> Extracted:
        kind = snapshot.content_type or "application/octet-stream"
        if snapshot.archived:
            return Extracted("archived", kind)
        if snapshot.body is None:
            return Extracted("too_large", kind)
        with self._meter.extracting(snapshot.bucket, snapshot.key) as waited:
            extracted = self._extractor.extract(snapshot.body, snapshot.key, snapshot.content_type)
            waited(extracted.waited_s)
            return extracted

    def _fields(self, snapshot: Snapshot, extracted: Extracted) -> dict[str, object]:
        parts = snapshot.key.rstrip("/").split("/")
        max_chars = self._settings.max_content_chars
        content = uniform(extracted.content, max_chars + 1)
        plain_name = searchable(parts[-1])
        return {
            "bucket": snapshot.bucket,
            "file_key": snapshot.key,
            "s3_url": f"s3://{snapshot.bucket}/{snapshot.key}",
            "file_name": plain_name,
            "file_extension": extension_of(plain_name),
            "path": [searchable(part) for part in parts[:-1] if part],
            "file_size": snapshot.size,
            "mime_type": extracted.mime_type,
            "etag": snapshot.etag,
            "version_id": snapshot.version_id,
            "last_modified": snapshot.last_modified,
            "metadata": dict(snapshot.metadata),
            "indexed_at": datetime.now(UTC),
            "worker": self._settings.worker_name,
            "content": content[:max_chars],
            "char_count": extracted.char_count,
            "title": extracted.title and uniform(extracted.title),
            "author": extracted.author and uniform(extracted.author),
            "created": extracted.created,
            "language": extracted.language,
            "extraction": {
                "status": extracted.status,
                "error": extracted.error,
                "truncated": extracted.truncated or len(content) > max_chars,
                "indexed_chars": min(len(content), max_chars),
            },
        }


def is_current(stored: Stored | None, state: ObjectState | None) -> bool:
    """Whether a document describes this state of its object, with all that its file yields.

    A file that could not be read may be readable today: by a newer parser, or on a machine with memory to spare.
    """
    return (
        stored is not None and state is not None and stored.state == state and stored.extraction_status not in FAILURES
    )


def extension_of(name: str) -> str:
    """The extension in lower case, without its dot; empty if there is none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem and last.isalnum() and len(last) <= 16 else ""
