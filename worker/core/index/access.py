"""Try what the worker does in OpenSearch with requests that are always refused, so that they leave nothing; for `doctor`."""

from collections.abc import Iterator
from typing import Any

import orjson

from worker.core.base.errors import IndexUnavailableError
from worker.core.index import Finding
from worker.core.index.client import FORBIDDEN, Client, RefusedError, reason_of
from worker.core.index.template import template_name

NO_DOCUMENT = "s3-index-worker/doctor"
"""The id of a document that never exists: no object's document has it, because ids begin with a bucket or end as a key."""
CONFLICT, TOO_MANY, FAULT = 409, 429, 500
_NEVER = {"_id": NO_DOCUMENT, "if_seq_no": 0, "if_primary_term": 1}
"""Only a document that exists with this sequence number would be replaced (OpenSearch, "Index document": if_seq_no)."""


def try_writes(client: Client, name: str) -> Iterator[Finding]:
    """Whether documents may be written to an index that exists, and templates put. Raises IndexUnavailableError."""
    body = orjson.dumps({"index": _NEVER}) + b"\n{}\n"
    [item] = client.request("POST", f"/{name}/_bulk", body)["items"]
    yield _of_item(next(iter(item.values())))
    if client.service == "es":
        yield _try_put(client, name)


def _of_item(item: Any) -> Finding:
    kind, reason = reason_of(item)
    status = int(item.get("status", 0))
    if status == CONFLICT:
        return Finding("ok", "documents can be written (tried with one that is always refused)")
    if status == FORBIDDEN and not kind.endswith("block_exception"):
        raise RefusedError(f"a document was refused with 403: {reason}", status=status, kind=kind, method="POST")
    if status == TOO_MANY or status >= FAULT or kind.endswith("block_exception"):
        raise IndexUnavailableError(f"a document was refused with {status}: {reason}")
    return Finding("ok", f"whether documents can be written was not found out: {status} {reason}")


def _try_put(client: Client, name: str) -> Finding:
    """AWS checks es:ESHttpPut before OpenSearch sees the request, and OpenSearch puts no template that is a list."""
    try:
        client.request("PUT", f"/_index_template/{template_name(name)}", [])
    except RefusedError as error:
        if error.is_denial:
            raise
    return Finding("ok", "es:ESHttpPut is allowed")
