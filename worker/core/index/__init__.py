"""The search index: one protocol with two implementations, OpenSearch and SQLite FTS5 (for one machine and the demo)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Literal, Protocol, Self

from worker.core.base.jsontypes import JsonObject
from worker.core.index.document import Write
from worker.core.s3.objects import ObjectState


class WriteStatus(Enum):
    """What became of one write."""

    WRITTEN = "written"
    SUPERSEDED = "superseded"
    """The index already holds a later observation (HTTP 409). This counts as success."""
    REJECTED = "rejected"
    """The index will never accept this document as it is: a mapping or parsing error."""
    UNAVAILABLE = "unavailable"
    """The index did not accept it this time: it is throttling, blocked, in a wrong state, or did not answer for this item."""
    BEHIND = "behind"
    """The index took it, but the second one did not this time, to which everything is written during a reindex (paired.py)."""
    STALE = "stale"
    """The observation was too old when it was to be sent, or when the index confirmed it: the object must be observed again.
    No index answers this; FreshWriter (core/indexing) does."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The status of one write, and the index's reason if it did not accept the write."""

    status: WriteStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """The part of a stored document that is needed to decide whether it is up to date."""

    state: ObjectState | None
    """The state of the object that it describes; None where it does not say (documents of other programs)."""
    version: int
    extraction_status: str | None
    etag: str | None = field(default=None, compare=False)
    """The state's, and also where the state is not known."""
    bucket: str | None = field(default=None, compare=False)
    """The bucket that it names; None if it names none, as documents of other programs may."""

    @classmethod
    def of(cls, document: JsonObject, *, version: int) -> Self:
        """The part of this document. Whatever is not as we write it counts as not there."""
        extraction = document.get("extraction")
        status = extraction.get("status") if isinstance(extraction, dict) else None
        etag, bucket = document.get("etag"), document.get("bucket")
        return cls(
            _state_of(document),
            version,
            status if isinstance(status, str) else None,
            etag if isinstance(etag, str) else None,
            bucket if isinstance(bucket, str) and bucket else None,
        )


def _state_of(document: JsonObject) -> ObjectState | None:
    try:
        last_modified = datetime.fromisoformat(document["last_modified"])
    except (KeyError, TypeError, ValueError):
        return None
    etag = document.get("etag")
    return ObjectState(etag, last_modified, document.get("version_id")) if isinstance(etag, str) else None


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. In highlights, each match is enclosed in U+E000 and U+E001, private-use characters."""

    bucket: str
    key: str
    score: float
    fields: JsonObject
    """The document's fields, without `content`. Their types may differ in an index that we did not create."""
    highlights: list[str]

    @property
    def size_bytes(self) -> int | None:
        """The file's size; None if the document does not say."""
        size = self.fields.get("file_size")
        return size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None

    @property
    def modified(self) -> datetime | None:
        """When the object was written; None if the document does not say. Without a zone, it is in UTC."""
        said = self.fields.get("last_modified")
        try:
            found = datetime.fromisoformat(said) if isinstance(said, str) else None
        except ValueError:
            return None
        return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index holds under one key: enough to compare it with a bucket's listing."""

    key: str
    etag: str | None
    """None where the document does not say."""
    version: int
    """The time of the observation, ms."""
    is_reachable: bool = True
    """Whether writes and removals of the object reach this document: it has the id that they address."""


ENTRIES_AT_ONCE = 10_000
"""Maximum number of entries that `Index.entries` returns at once: what an OpenSearch index allows by default."""
MAX_HITS = 10_000
"""How far searches reach into their matches: OpenSearch's default of `index.max_result_window`."""
HIGHLIGHT_START = "\ue000"
HIGHLIGHT_END = "\ue001"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best hits, and the total number of matches."""

    total: int
    hits: list[Hit]


@dataclass(frozen=True, slots=True)
class Facets:
    """How many of all matches have each value of a field: only values that a filter can ask for (facets.py)."""

    extensions: Mapping[str, int]
    """The most frequent first."""
    buckets: Mapping[str, int]
    """The most frequent first."""
    years: Mapping[str, int]
    """In which the objects were last modified, in UTC; the latest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about the index in the report of `doctor` and of the preflight."""

    level: Literal["ok", "warning", "error"]
    what: str
    hint: str = ""


@dataclass(slots=True)
class IndexState:
    """What `ensure` found or created."""

    created: list[str] = field(default_factory=list)
    """Names of what was just created: template, index, alias."""
    plain_key_ids: bool = False
    """Whether its document ids are plain keys (earlier_system.py), and new ones will be too."""
    findings: list[Finding] = field(default_factory=list)
    exists: bool = True
    """Whether there is an index, which `inspect` alone may not find."""


class Index(Protocol):
    """A search index. Every method may be called from any thread and raises IndexUnavailableError if it is unavailable."""

    @property
    def description(self) -> str:
        """Where the index is, as shown to people; it contains no credentials."""

    def ping(self) -> None:
        """Return if the index answers and, as far as a cheap call can tell, accepts writes. Changes nothing.

        An index that does not exist yet counts as accepting writes, because `ensure` creates it.
        """

    def ensure(self) -> IndexState:
        """Create what is missing if nothing of the index's name exists, and report differences. Idempotent."""

    def inspect(self) -> IndexState:
        """Report the same as `ensure`, but change nothing."""

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Write or remove documents; return one result for each write, in order.

        Raises IndexUnavailableError if the request as a whole failed; then the result of every write is unknown.
        """

    def stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        """The stored version for each (bucket, key), in order; None if there is no document."""

    def entries(self, bucket: str, prefix: str, *, after: str = "") -> list[Entry]:
        """The next entries of the bucket's documents whose keys begin with `prefix` and come after `after`; empty at the end.

        They are in UTF-8 order of their keys, and all of one key come together. A document that is there all the time is
        returned, whatever changes around it, for its key never changes. Recent writes may be missing until `refresh`.
        """

    def nameless(self) -> int:
        """The number of documents, of all buckets, that name no bucket or no key, so that nothing of ours ever finds them."""

    def search(self, query: str, *, limit: int = 10, offset: int = 0) -> SearchResult:
        """The best matches in names, paths and contents, without the first `offset`; none after MAX_HITS.

        It does not refresh, so recent writes may be missing.
        """

    def facets(self, query: str) -> Facets:
        """How all matches of a query are distributed."""

    def refresh(self) -> None:
        """Make everything written so far searchable (for tests and the demo)."""

    def close(self) -> None:
        """Close all connections."""
