"""Build the body of a bulk request, and read the result for each document from the answer. No I/O happens here."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from worker.core.base.jsontypes import JsonObject
from worker.core.base.settings import KIB, MIB
from worker.core.index import WriteResult, WriteStatus
from worker.core.index.client import MAX_REASON_CHARS, reason_of
from worker.core.index.document import Write, document_id, encode

MAX_BODY_BYTES = 8 * MIB
"""Small AWS instances reject requests over 10 MiB (docs/evidence.md, OpenSearch)."""
SMALLEST_LIMIT_BYTES = 10 * MIB - 64 * KIB
"""A request of this size is accepted by them."""
LARGE_BYTES, SLOW_BYTES = 5 * MIB, 4 * MIB
"""A document over the former that an index does not take in time is shortened to the latter, the size of a usual request."""
LONGEST_TURN_S = 10.0
"""An observation gets too old to be written (fresh_writer.py)."""
LEAST_TEXT_BYTES = 16 * KIB
"""Of a document that is still too large, a text shorter than this is left out."""

FILTER = "filter_path=errors,items.*.status,items.*.error,items.*._index"
"""Limits the answer to the fields that are read here, about a twentieth of it."""

_OF_THE_DOCUMENT = frozenset(
    {"mapper_parsing_exception", "document_parsing_exception", "strict_dynamic_mapping_exception"}
)
"""Errors with status 400 that are caused by the document itself (measured with 2.19 and 3.8; docs/evidence.md,
OpenSearch). Others reflect the state of the index: it is closed, its alias has no write index, or its field limit is
reached; they go away when that has been corrected."""
NO_INDEX = "index_not_found_exception"
"""Part of the reason given for a write to an index or alias that does not exist."""
_TERM_TOO_LONG = "immense term"
"""Part of the reason of the only illegal_argument_exception that is caused by the document itself."""

NOT_UNICODE = WriteResult(WriteStatus.REJECTED, "the key is not valid Unicode: it contains a lone surrogate")
TOO_LARGE = WriteResult(
    WriteStatus.REJECTED,
    "even without its text, the document is larger than the index accepts in one request (HTTP 413)",
)
WRITTEN = WriteResult(WriteStatus.WRITTEN)
_SUPERSEDED = WriteResult(WriteStatus.SUPERSEDED)


def entry(write: Write, *, plain_key: bool) -> bytes | None:
    """The lines for one write; None if its key contains a lone surrogate, which UTF-8 cannot encode."""
    try:
        identity = orjson.dumps(document_id(write.bucket, write.key, plain_key=plain_key))
    except TypeError:
        return None
    action = b"delete" if write.source is None else b"index"
    line = b'{"%b":{"_id":%b,"version":%d,"version_type":"external_gte"}}\n' % (action, identity, write.version)
    if write.source is None:
        return line
    # JSON formatted over several lines would be read as several entries. Within strings, newlines are escaped as \n.
    source = write.source.replace(b"\n", b" ") if b"\n" in write.source else write.source
    return line + source + b"\n"


def written_by(entry: bytes) -> tuple[str, int]:
    """The id of the document that an entry writes, and its version."""
    [action] = orjson.loads(entry.partition(b"\n")[0]).values()
    return action["_id"], action["version"]


def is_removal(entry: bytes) -> bool:
    """Whether an entry removes a document."""
    return entry.startswith(b'{"delete"')


def shortened(entry: bytes, most_bytes: int) -> bytes | None:
    """The entry of a document that is too large, with less of its text; None if it has none, or is no document of ours.

    What is left has about `most_bytes` bytes if it had more, and otherwise half of the text.
    """
    line, _, source = entry.partition(b"\n")
    fields: Any = orjson.loads(source) if source.strip() else None
    content = fields.get("content") if isinstance(fields, dict) else None
    if not isinstance(content, str) or not content:
        return None
    text = content.encode()
    if len(entry) > most_bytes:
        in_entry = len(encode(content))  # with its escapes
        kept = (most_bytes - (len(entry) - in_entry)) * len(text) // in_entry
    else:
        kept = len(text) // 2
    content = text[: kept if kept > LEAST_TEXT_BYTES else 0].decode("utf-8", "ignore")
    extraction = fields.get("extraction")
    said = {"truncated": True, "indexed_chars": len(content)}
    fields |= {"content": content, "extraction": {**(extraction if isinstance(extraction, dict) else {}), **said}}
    return line + b"\n" + encode(fields) + b"\n"


@contextmanager
def turn(entries: Sequence[bytes], lock: threading.Lock) -> Iterator[None]:
    """While a large document is sent, others wait a while: together they take an index longer than a request may take."""
    is_large = len(entries) == 1 and len(entries[0]) > LARGE_BYTES
    held = is_large and lock.acquire(timeout=LONGEST_TURN_S)
    try:
        yield
    finally:
        if held:
            lock.release()


def chunks(entries: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The entries in order, in groups of at most 8 MiB; a larger entry forms a group of its own."""
    start, size = 0, 0
    for at, one in enumerate(entries):
        if at > start and size + len(one) > MAX_BODY_BYTES:
            yield entries[start:at]
            start, size = at, 0
        size += len(one)
    if entries[start:]:
        yield entries[start:]


def results(answer: Any, sent: int) -> list[WriteResult] | None:
    """The result of each write, in order; None if the answer does not contain as many results as writes were sent."""
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or len(items) != sent:
        return None
    return [_result(action) for item in items for action in item.values()]


def written_to(answer: Any) -> set[str]:
    """The names of the indexes that the writes of a request have reached."""
    return {action["_index"] for item in answer["items"] for action in item.values() if "_index" in action}


def _result(item: JsonObject) -> WriteResult:
    status, error = item.get("status", 0), item.get("error")
    if error is None and (200 <= status < 300 or status == 404):
        return WRITTEN  # 404 without an error: the document to be removed did not exist
    if status == 409:
        return _SUPERSEDED
    kind, reason = reason_of(error)
    if status == 400 and (kind in _OF_THE_DOCUMENT or _TERM_TOO_LONG in reason):
        return WriteResult(WriteStatus.REJECTED, reason)
    return WriteResult(WriteStatus.UNAVAILABLE, f"{status}: {reason}"[:MAX_REASON_CHARS])
