"""Extract text from a file's bytes: plain text in this process, everything else in child processes that can be killed."""

from dataclasses import dataclass
from typing import Literal

from worker.core.base.reasons import Reason

Status = Literal[
    "ok",
    "partial",
    "empty",
    "metadata_only",
    "archived",
    "too_large",
    "encrypted",
    "corrupt",
    "timeout",
    "out_of_memory",
]
"""`partial`: some parts could not be read, and `error` names them. `metadata_only`: a kind of file from which no text is
extracted (images, unknown binaries). The last four are failures."""

FAILURES: frozenset[Status] = frozenset({"encrypted", "corrupt", "timeout", "out_of_memory"})


@dataclass(frozen=True, slots=True)
class Extracted:
    """The result of reading a file: at the very least its MIME type and a status."""

    status: Status
    mime_type: str
    content: str = ""
    """The text, without control characters and cut at the limit."""
    char_count: int = 0
    """Number of characters in the whole text, before it was cut; of a document, as many as were read before that."""
    truncated: bool = False
    error: str | None = None
    """The reason for a failure, or the parts that a partial result lacks."""
    title: str | None = None
    author: str | None = None
    created: str | None = None
    """ISO 8601."""
    language: str | None = None
    reason: Reason | None = None
    """The code for the reason of a failure."""
    waited_s: float = 0.0
    """How long the file waited until a parser was free."""
