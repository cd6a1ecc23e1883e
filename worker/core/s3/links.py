"""Links by which a browser downloads an object from S3 itself: they need no sign-in, and are valid for a minute."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from worker.core.base.aws import Aws, aws_errors
from worker.core.base.errors import StoreError

VALID_S = 60
"""For how long a download may be begun; it may take longer."""
MAX_NAME_CHARS = 150
"""Of a file's name, at most 255 bytes of which most file systems take."""
ARCHIVED = "InvalidObjectState"
"""S3's code for an object that has to be restored first."""
_CODES = {"403": "AccessDenied", "404": "NoSuchKey"}
"""S3's codes for the statuses of a HEAD, whose answer has no body to say them."""
_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_UNSAFE = frozenset('/\\:*?"<>|')
"""What some file systems do not take in a name."""

Sign = Callable[[str, str, str], str]
"""Makes a link from bucket, key and the name that the file is to have. Raises StoreError."""


class DownloadLinks:
    """Makes links. May be used from any thread."""

    def __init__(self, aws: Aws) -> None:
        """No request is sent yet."""
        # Only version 4 can sign for objects that KMS encrypts, and boto3 uses version 2 in some regions.
        self._s3 = aws.s3(signature_version="s3v4")
        self._s3.meta.events.register("before-parameter-build.s3.GetObject", _at_its_region)

    def sign(self, bucket: str, key: str, name: str) -> str:
        """A link to an object as it is now, which a browser saves under this name, and never shows.

        Raises StoreError: NoSuchKey, AccessDenied, ARCHIVED, or another code of S3.
        """
        try:
            with aws_errors(StoreError):
                found = self._s3.head_object(Bucket=bucket, Key=key)  # also finds out in which region the bucket is
        except StoreError as error:
            raise StoreError(str(error), code=_CODES.get(error.code, error.code)) from error
        if _is_cold(found):
            raise StoreError(f"s3://{bucket}/{key} is archived, and has to be restored first", code=ARCHIVED)
        asked = {
            "Bucket": bucket,
            "Key": key,
            "ResponseContentDisposition": disposition(name),
            "ResponseContentType": "application/octet-stream",
            "ResponseCacheControl": "no-store",
        }
        with aws_errors(StoreError):
            return self._s3.generate_presigned_url("get_object", Params=asked, ExpiresIn=VALID_S)


def disposition(name: str) -> str:
    """The header Content-Disposition that saves a file under this name (RFC 6266), also in a browser that knows only ASCII."""
    safe = "".join("_" if one in _UNSAFE or not one.isprintable() else one for one in name)
    safe = _cut(safe.strip(" .")) or "file"
    plain = "".join(one if one.isascii() and one != "%" else "_" for one in safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


def _cut(name: str) -> str:
    """A name that is not too long; it keeps its extension."""
    if len(name) <= MAX_NAME_CHARS:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > MAX_NAME_CHARS // 2:
        return name[:MAX_NAME_CHARS]
    return f"{stem[: MAX_NAME_CHARS - len(extension) - 1]}.{extension}"


def _is_cold(found: Any) -> bool:
    """Whether an object cannot be read before it is restored, by what HEAD says of it."""
    is_restored = 'ongoing-request="false"' in found.get("Restore", "")
    return not is_restored and (found.get("StorageClass") in _COLD or bool(found.get("ArchiveStatus")))


def _at_its_region(context: Any, **_: Any) -> None:
    """Address the bucket at its own region: where S3 redirects, a signature does not fit any more."""
    context["use_global_endpoint"] = False
