"""What an object's uploader says of it: its user metadata."""

from typing import TYPE_CHECKING

from worker.core.base.aws import aws_errors
from worker.core.base.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def user_metadata(s3: "S3Client", bucket: str, key: str) -> dict[str, str]:
    """The user metadata, by name in small letters (`x-amz-meta-` is left out). Raises StoreError; a failed HEAD has no code.

    S3 stores ASCII alone (RFC 2047 encodes the rest), at most 2 KB.
    """
    with aws_errors(StoreError):
        answer = s3.head_object(Bucket=bucket, Key=key)
        return {name.lower(): value for name, value in answer["Metadata"].items()}
