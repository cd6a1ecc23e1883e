"""What is supported only for those who come from the earlier system (`phased-worker`): its index and its retry records.

It may all be removed after REMOVE_AFTER, together with the setting DOCUMENT_IDS and what refers to this module. Until then,
an index that it made is used as it is, and what it left in `retry-index/` is replayed.
"""

from datetime import date

from worker.core.base.jsontypes import JsonObject
from worker.core.base.names import is_bucket_name
from worker.core.index import Finding
from worker.core.index.document import document_id

REMOVE_AFTER = date(2027, 12, 31)

TEXT_FIELDS = ("file_name^2", "path", "file_key")
"""Keywords in an index of ours, text in one of the earlier system: words are searched for in these too."""
EXACT = ".keyword"
"""Added to a field's name where OpenSearch chose the mapping; it holds values of up to 256 characters."""
STORED_REASON = "stored by the earlier system"
"""Why its retry records wait, as far as it is known."""


def extensions(values: tuple[str, ...]) -> tuple[str, ...]:
    """File extensions to search for, each with and without the dot that the earlier system stored."""
    return values + tuple("." + value for value in values)


def object_of(document: JsonObject, stored_as: str, *, default_bucket: str | None) -> tuple[str, str]:
    """Bucket and key of a retry record: a bare document stored as `DATE/KEY.json`. Raises ValueError if it has none."""
    bucket = document.get("bucket") or document.get("s3_bucket") or default_bucket
    key = document.get("file_key") or document.get("key") or document.get("s3_key")
    if not key:
        key = stored_as.partition("/")[2].removesuffix(".json")
    if not isinstance(bucket, str) or not isinstance(key, str) or not key:
        raise ValueError("the earlier system's document names no bucket and key, and S3_BUCKET is not set")
    if not is_bucket_name(bucket):
        raise ValueError(f"the earlier system's document names {bucket[:100]!r}, which cannot be a bucket's name")
    return bucket, key


def ids_in_use(sample: list[JsonObject], *, wanted: bool | None) -> tuple[bool, list[Finding]]:
    """Whether an index's ids are plain keys, judged by a sample of its documents; and findings about that.

    `wanted` is what DOCUMENT_IDS says; None if it is `auto`.
    """
    plain, paired = 0, 0
    for hit in sample:
        source = hit.get("_source", {})
        bucket, key = source.get("bucket", ""), source.get("file_key", "")
        plain += hit["_id"] == document_id(bucket, key, plain_key=True)
        paired += hit["_id"] == document_id(bucket, key)
    seen = plain > paired
    if wanted is None:
        said = [Finding("ok", "its document ids are plain keys, and new documents get such ids too")] if seen else []
        return seen, said
    if plain + paired and wanted != seen:
        there = "plain keys" if seen else "bucket/key"
        hint = "objects would be indexed twice; set DOCUMENT_IDS=auto"
        return wanted, [Finding("warning", f"DOCUMENT_IDS differs from the ids in the index, which are {there}", hint)]
    return wanted, []
