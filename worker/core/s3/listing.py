"""The listing of a bucket, page by page.

boto3 asks for it: obstore raises for the whole listing because of one key such as `a//b`, and returns `dir` for `dir/`
(docs/evidence.md, boto3 and obstore). It goes on by continuation tokens alone: some stores list in no order (S3's directory
buckets) or in another than S3's (SeaweedFS), and would leave keys out after a key to start after.
"""

from typing import TYPE_CHECKING, Any

from worker.core.base.aws import NO_ANSWER, aws_errors
from worker.core.base.errors import StoreError
from worker.core.s3.answers import plain_etag
from worker.core.s3.objects import ListedObject, ListingPage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def list_page(s3: "S3Client", bucket: str, prefix: str, token: str | None) -> ListingPage:
    """The page at this token, or the first. Raises StoreError, also where the answer is no listing."""
    given: Any = {} if token is None else {"ContinuationToken": token}
    with aws_errors(StoreError):
        answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **given)
        objects = [
            ListedObject(one["Key"], plain_etag(one["ETag"]), one["Size"], int(one["LastModified"].timestamp() * 1000))
            for one in answer.get("Contents", [])
        ]
        following = answer["NextContinuationToken"] if answer["IsTruncated"] else None
    if following is not None and following == token:
        raise StoreError(f"the listing of {bucket} does not continue after a page", code=NO_ANSWER)
    return ListingPage(objects, following)
