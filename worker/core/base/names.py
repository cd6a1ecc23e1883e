"""Names of buckets, queues and indices: which texts can be one, and which bucket holds the system's records."""

import re
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from worker.core.base.address import REGION, parse_address, queue_url

_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_INDEX_NAME = re.compile(r"^[^A-Z\s\\/*?\"<>|,#:_+-][^A-Z\s\\/*?\"<>|,#:]*$")
_OLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")


def is_bucket_name(text: str) -> bool:
    """Whether this can be a bucket's name, or an access point's alias.

    Buckets of us-east-1 from before March 2018, and those of some compatible stores, may have up to 255 characters, capitals
    and underscores (S3 User Guide, "General purpose bucket naming rules"). An ARN is not a name.
    """
    return _OLDER_NAME.fullmatch(text) is not None


def is_host_name(bucket: str) -> bool:
    """Whether a bucket's name is one of today's, which may stand in the name of a host."""
    return _HOST_NAME.fullmatch(bucket) is not None and ".." not in bucket


def own_state_bucket(state: str | None, files: str | None, *, shared: bool) -> str:
    """The state bucket. Raises ValueError if there is none, or one in which others than the worker write.

    Whoever can write there can put documents into the index by way of `retry-index/`, and pause the fleet. `files` is
    S3_BUCKET; `shared` is STATE_BUCKET_SHARED.
    """
    if state is None and files is None:
        raise ValueError(
            "STATE_BUCKET is missing: the bucket of retry-index/, which no one but the worker may write to"
        )
    if state in {None, files} and not shared:
        given = f"STATE_BUCKET={state}" if state else "STATE_BUCKET is missing, and S3_BUCKET"
        raise ValueError(
            f"{given} is the bucket of the files: whoever uploads there could forge the worker's records. Set STATE_BUCKET to "
            "a bucket that no one but the worker may write to; or, on a machine for trials, set STATE_BUCKET_SHARED=yes"
        )
    return state or str(files)


def _bucket_name(value: str) -> str:
    if not is_host_name(value):
        bare = re.sub(r"^(s3a?://|https?://|arn:aws[\w-]*:s3:::)", "", value.strip().lower()).partition("/")[0]
        bare = re.sub(r"\.s3[.-].*", "", bare)
        meant = f" ({bare}?)" if bare != value and is_host_name(bare) else ""
        raise ValueError(f"is not a bucket name; it should be 3 to 63 of a-z, 0-9, '.' and '-', without s3://{meant}")
    return value


def _region(value: str) -> str:
    """Other services than AWS's may have regions of any name; what is one of AWS's, but for a slip, is not one of those."""
    if zone := re.fullmatch(rf"({REGION})[a-z]", value):
        raise ValueError(f"is an availability zone; it should be its region, {zone[1]}")
    meant = re.sub(r"[\s_]+", "-", value.strip().lower())
    if meant != value and re.fullmatch(REGION, meant):
        raise ValueError(f"is not a region; it should be {meant}")
    return value


def _index_name(value: str) -> str:
    if not _INDEX_NAME.match(value) or len(value.encode()) > 255:
        raise ValueError('is not an index name; it should be in lower case, without spaces and \\ / * ? " < > | , # :')
    return value


def index_url(value: SecretStr) -> SecretStr:
    """The URL of an index, as it is given. Raises ValueError if it is none."""
    url = value.get_secret_value()
    if not re.match(r"(?i)https?://|sqlite:///.", url):
        raise ValueError("is not the URL of an index; it should be https://HOST[:PORT] or sqlite:///PATH")
    if url.lower().startswith("http"):
        parse_address(url)
    return value


QueueUrl = Annotated[str, AfterValidator(queue_url)]
BucketName = Annotated[str, AfterValidator(_bucket_name)]
IndexName = Annotated[str, AfterValidator(_index_name)]
Region = Annotated[str, AfterValidator(_region)]
IndexUrl = Annotated[SecretStr, AfterValidator(index_url)]
