"""Names of S3 buckets: which texts can be one."""

import re

_HOST_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
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
