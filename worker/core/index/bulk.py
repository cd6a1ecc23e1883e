"""The body of a bulk request, and what its answer says of each document. Nothing here talks to anyone."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from worker.core.base.settings import MIB
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.client import MAX_REASON_CHARS, reason_of
from worker.core.index.document import Write, document_id

MAX_BODY_BYTES = 8 * MIB
"""Small AWS instances refuse more than 10 MiB (FACTS, OpenSearch)."""

FILTER = "filter_path=errors,items.*.status,items.*.error"
"""Of the answer, what we read: a twentieth of it."""

_OF_THE_DOCUMENT = frozenset(
    {"mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception"}
)
"""Errors with status 400 that are a document's own fault (M, 2.19 and 3.8). Others are the index's state: it is closed,
its alias has no write index, its field limit is reached; they pass when someone mends it."""
NO_INDEX = "index_not_found_exception"
"""In the reason of a write to an index or alias that is not there."""
_TERM_TOO_LONG = "immense term"
"""In the reason of the one illegal_argument_exception that is a document's own fault."""

NOT_UNICODE = WriteResult(WriteStatus.REJECTED, "the key is not Unicode: it holds a lone surrogate")
TOO_LARGE = WriteResult(WriteStatus.REJECTED, "the document is larger than the index takes in one request (HTTP 413)")
_WRITTEN = WriteResult(WriteStatus.WRITTEN)
_SUPERSEDED = WriteResult(WriteStatus.SUPERSEDED)


def entry(write: Write, *, plain_key: bool) -> bytes | None:
    """One write's lines; None where its key holds a lone surrogate, which UTF-8 cannot say."""
    try:
        identity = orjson.dumps(document_id(write.bucket, write.key, plain_key=plain_key))
    except TypeError:
        return None
    action = b"delete" if write.source is None else b"index"
    line = b'{"%b":{"_id":%b,"version":%d,"version_type":"external_gte"}}\n' % (action, identity, write.version)
    if write.source is None:
        return line
    # JSON that someone has laid out over several lines would be read as several; within strings \n is escaped.
    source = write.source.replace(b"\n", b" ") if b"\n" in write.source else write.source
    return line + source + b"\n"


def is_removal(entry: bytes) -> bool:
    """Whether an entry removes a document."""
    return entry.startswith(b'{"delete"')


def chunks(entries: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The entries in order, in groups of at most 8 MiB; one that is larger goes alone."""
    start, size = 0, 0
    for at, one in enumerate(entries):
        if at > start and size + len(one) > MAX_BODY_BYTES:
            yield entries[start:at]
            start, size = at, 0
        size += len(one)
    if entries[start:]:
        yield entries[start:]


def results(answer: Any, sent: int) -> list[WriteResult] | None:
    """What became of each write, in order; None where the answer does not speak of as many as were sent."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or len(items) != sent:
        return None
    return [_result(action) for item in items for action in item.values()]


def _result(item: dict[str, Any]) -> WriteResult:
    status, error = item.get("status", 0), item.get("error")
    if error is None and (200 <= status < 300 or status == 404):
        return _WRITTEN  # 404 without an error: the document to be removed was not there
    if status == 409:
        return _SUPERSEDED
    kind, reason = reason_of(error)
    if status == 400 and (kind in _OF_THE_DOCUMENT or _TERM_TOO_LONG in reason):
        return WriteResult(WriteStatus.REJECTED, reason)
    return WriteResult(WriteStatus.UNAVAILABLE, f"{status}: {reason}"[:MAX_REASON_CHARS])
