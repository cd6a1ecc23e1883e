"""Whether a denial concerns one key, or everything in its bucket: other keys of the bucket are read to find out."""

import contextlib
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from worker.core.base.aws import aws_errors
from worker.core.base.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REMEMBERED = 4
"""Number of recently read keys that are remembered for each bucket."""
SAMPLES = 6
"""Number of keys at the top of a bucket, and number of prefixes, that are tried where no remembered key can be read."""


class ReadableKeys:
    """Knows keys that could be read, and finds others. May be used from any thread."""

    def __init__(self, s3: "S3Client") -> None:
        self._s3 = s3
        self._remembered: dict[str, list[str]] = {}

    def remember(self, bucket: str, key: str) -> None:
        """Note that this key was read."""
        known = self._remembered.setdefault(bucket, [])
        if key not in known:
            self._remembered[bucket] = [*known[-REMEMBERED + 1 :], key]

    def others(self, bucket: str, key: str) -> bool:
        """Whether another key of this bucket can be read now; if so, a denial concerns only this key."""
        return any(self.can_read(bucket, other) for other in self._candidates(bucket, other_than=key))

    def can_read(self, bucket: str, key: str) -> bool:
        """Whether this key can be read now; NoSuchKey counts as an answer."""
        try:
            with aws_errors(StoreError):
                self._s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()
        except StoreError as error:
            return error.code in {"NoSuchKey", "InvalidRange", "InvalidObjectState"}
        return True

    def _candidates(self, bucket: str, *, other_than: str) -> Iterator[str]:
        """Keys that are probably readable: those read recently, then a few of a listing."""
        tried = {other_than}
        for key in chain(self._remembered.get(bucket, ()), self._listed(bucket)):
            if key not in tried:
                tried.add(key)
                yield key

    def _listed(self, bucket: str) -> Iterator[str]:
        """A few keys from all over the bucket: a denial may concern a prefix, even the first."""
        with contextlib.suppress(StoreError), aws_errors(StoreError):
            page = self._s3.list_objects_v2(Bucket=bucket, Delimiter="/")
            yield from _spread([found["Key"] for found in page.get("Contents", [])])
            for prefix in _spread([found["Prefix"] for found in page.get("CommonPrefixes", [])]):
                inside = self._s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
                yield from [found["Key"] for found in inside.get("Contents", [])]


def _spread(items: list[str]) -> list[str]:
    """SAMPLES of these, evenly distributed."""
    return items if len(items) <= SAMPLES else [items[at * (len(items) - 1) // (SAMPLES - 1)] for at in range(SAMPLES)]
