"""What is indexed: the document of one object, or its removal, with the time of one observation as its version."""

import hashlib
from dataclasses import dataclass

import orjson

from worker.core.base.jsontypes import JsonObject

MAX_ID_BYTES = 512
"""OpenSearch rejects a whole bulk request because of one longer `_id` (docs/evidence.md, OpenSearch)."""


@dataclass(frozen=True, slots=True)
class Write:
    """What the index is to hold for one object: its document, or nothing (a removal)."""

    bucket: str
    key: str
    version: int
    """The time of the observation, ms on S3's clock; written as `external_gte` (docs/architecture.md, rule 3)."""
    etag: str | None
    """The etag observed then; None for a removal."""
    source: bytes | None
    """The document's fields as UTF-8 JSON; None for a removal."""

    @property
    def is_removal(self) -> bool:
        """Whether the document is to leave the index."""
        return self.source is None

    @property
    def size_bytes(self) -> int:
        """What this write weighs in memory and in a bulk request."""
        return len(self.source or b"") + len(self.key.encode("utf-8", "surrogatepass")) + 200


def document_id(bucket: str, key: str, *, plain_key: bool = False) -> str:
    """The `_id` of an object's document: `bucket/key`, or only the key (earlier_system.py).

    A bucket name contains no slash, so the pair is unambiguous. If the id is over 512 bytes long, its tail is replaced by
    the SHA-256 of the whole id.
    """
    whole = key if plain_key else f"{bucket}/{key}"
    raw = whole.encode("utf-8", "surrogatepass")
    if len(raw) <= MAX_ID_BYTES:
        return whole
    digest = hashlib.sha256(raw).hexdigest()
    return raw[: MAX_ID_BYTES - len(digest) - 1].decode("utf-8", "ignore") + "~" + digest


def encode(fields: JsonObject | str) -> bytes:
    """The fields, or one value, as UTF-8 JSON."""
    return orjson.dumps(fields)


def as_text(value: object) -> str:
    """The text of a field; empty if it has none."""
    if isinstance(value, list):
        return " ".join(map(as_text, value))
    return value if isinstance(value, str) else ""
