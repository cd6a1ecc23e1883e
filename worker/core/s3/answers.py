"""What the answers of S3 say, by boto3 or by obstore, in our own terms."""

from pathlib import Path
from typing import Any

from worker.core.s3.objects import ObjectState, Snapshot


def state_of(meta: Any) -> ObjectState:
    """The state of an object in obstore's answer. Raises ValueError if the answer does not come from S3."""
    return ObjectState(etag_of(meta), meta["last_modified"], meta["version"])


def snapshot_of(
    bucket: str, key: str, observed_at_ms: int, answer: Any, body: bytes | Path | None, *, archived: bool = False
) -> Snapshot:
    """A snapshot from boto3's answer to a GET or a HEAD."""
    return Snapshot(
        bucket, key, observed_at_ms, answer["ContentLength"], plain_etag(answer["ETag"]), answer["LastModified"],
        answer.get("VersionId"), answer.get("ContentType"), answer.get("Metadata", {}), body,
        answer.get("ContentEncoding"), archived=archived,
    )  # fmt: skip


def etag_of(meta: Any) -> str:
    """The etag in obstore's answer. Raises ValueError if there is none: then the answer does not come from S3."""
    if not meta["e_tag"]:
        raise ValueError("the answer has no ETag")
    return plain_etag(meta["e_tag"])


def plain_etag(etag: str) -> str:
    """An etag as the index has it, without the quotation marks of the header."""
    return etag.strip('"')
