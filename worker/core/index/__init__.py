"""The index: one protocol, two of them (OpenSearch; SQLite FTS5 for one machine and the demo)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

from worker.core.index.document import Write


class WriteStatus(Enum):
    """What became of one write."""

    WRITTEN = "written"
    SUPERSEDED = "superseded"
    """The index holds a greater version: someone looked later. That is success (409)."""
    REJECTED = "rejected"
    """The index will never take this document as it is: a mapper or parsing error."""
    UNAVAILABLE = "unavailable"
    """The index did not take it now: throttled, blocked, its state wrong, or no answer for this item."""
    STALE = "stale"
    """The observation was too old when it was to be sent, or when the index confirmed it: the object must be observed again.
    No index answers this; core/indexing/fresh_writer.py does."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """One write's status, and the index's reason where it was not taken."""

    status: WriteStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the index holds for one object: enough to decide whether it is up to date."""

    etag: str | None
    version: int
    extraction_status: str | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. Highlights mark each match between U+E000 and U+E001 (private use, never in our text)."""

    bucket: str
    key: str
    score: float
    fields: dict[str, Any]
    """The document's fields, without `content`."""
    highlights: list[str]


HIGHLIGHT_START = "\ue000"
HIGHLIGHT_END = "\ue001"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best hits, and how many there are in all."""

    total: int
    hits: list[Hit]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `doctor` and preflight say about the index."""

    level: Literal["ok", "warning", "error"]
    what: str
    hint: str = ""


@dataclass(slots=True)
class IndexState:
    """What `ensure` found or made."""

    created: list[str] = field(default_factory=list)
    """Names of what was created just now: template, index, alias."""
    plain_key_ids: bool = False
    """The index is the earlier system's: its document ids are plain keys, and stay so."""
    findings: list[Finding] = field(default_factory=list)


class Index(Protocol):
    """A search index. Every method may be called from any thread; each raises IndexUnavailableError when it is away."""

    @property
    def description(self) -> str:
        """Where it is, for a person: no credentials in it."""

    def ping(self) -> None:
        """Return if the index answers and can take writes as far as a cheap call can tell. Changes nothing.

        An index that is not there yet takes them too: `ensure` makes it.
        """

    def ensure(self) -> IndexState:
        """Create what is missing where nothing of its name exists; report what differs. Idempotent."""

    def inspect(self) -> IndexState:
        """As `ensure`, but change nothing."""

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Write or remove; one result for each write, in order.

        Raises IndexUnavailableError when the request as a whole failed; then nothing is known of any of the writes.
        """

    def stored(self, objects: Sequence[tuple[str, str]]) -> list[Stored | None]:
        """What it holds for each (bucket, key), in order; None where it holds nothing."""

    def search(self, query: str, *, limit: int = 10) -> SearchResult:
        """The best matches in names, paths and contents. Refreshes nothing: what was just written may lag."""

    def refresh(self) -> None:
        """Make everything written so far searchable (tests, the demo)."""

    def close(self) -> None:
        """Release connections."""
