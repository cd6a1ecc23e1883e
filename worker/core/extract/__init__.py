"""From a file's bytes to its text: plain text in process, everything else in killable children."""

from dataclasses import dataclass, field
from typing import Literal

Status = Literal[
    "ok", "empty", "metadata_only", "archived", "too_large", "encrypted", "corrupt", "timeout", "out_of_memory"
]
"""`metadata_only`: a kind of file that has no text for us (images, unknown binaries). The last four are failures."""

FAILURES: frozenset[Status] = frozenset({"encrypted", "corrupt", "timeout", "out_of_memory"})


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a file gave: always something, at the least its mime type and a status."""

    status: Status
    mime_type: str
    content: str = ""
    """Scrubbed and cut at the limit."""
    char_count: int = 0
    """Characters of the whole text, before the cut."""
    truncated: bool = False
    error: str | None = None
    """One sentence on why a failure status was given."""
    title: str | None = None
    author: str | None = None
    created: str | None = None
    """ISO 8601."""
    language: str | None = None
    extra: dict[str, str] = field(default_factory=dict)
