"""Whose fault a failure is: by error code, never by HTTP status alone (ExpiredToken is a 400, clock skew a 403)."""

from enum import StrEnum

from worker.core.base.errors import (
    IndexUnavailableError,
    MalformedEventError,
    QueueError,
    StoreError,
    UnreadableFileError,
)


class FailureKind(StrEnum):
    """Why a message failed, as far as what to do about it goes."""

    RECOVERABLE = "RECOVERABLE"
    """It passes: try again."""
    USER_ERROR = "USER_ERROR"
    """The event or the file is at fault."""
    SYSTEM_ERROR = "SYSTEM_ERROR"
    """Set-up or code is at fault; an operator mends it, then redrives."""
    UNKNOWN = "UNKNOWN"


# AWS error codes, and the names of the SDK's exceptions where no answer came.
TRANSIENT_CODES = frozenset({
    "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "TooManyRequests",
    "RequestThrottledException", "RequestLimitExceeded", "BandwidthLimitExceeded", "ProvisionedThroughputExceededException",
    "TooManyRequestsException", "OverLimit", "KmsThrottled", "KMS.ThrottlingException", "429",
    "InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException",
    "RequestTimeout", "RequestTimeoutException", "OperationAborted", "500", "502", "503", "504",
    "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId",
    "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure", "RequestExpired",
    "RequestTimeTooSkewed", "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
    "TokenRetrievalError", "UnauthorizedSSOTokenError", "MetadataRetrievalError", "NoAuthTokenError",
    "ConnectTimeoutError", "ReadTimeoutError", "EndpointConnectionError", "ConnectionClosedError", "ConnectionError",
    "ProxyConnectionError", "SSLError", "HTTPClientError", "ResponseStreamingError", "IncompleteReadError",
    "ResponseParserError", "FlexibleChecksumError", "ChecksumMismatch",
})  # fmt: skip

# Codes with which S3 speaks of this one object or bucket, whatever else can be read.
OBJECT_FAULT_CODES = frozenset(
    {"NoSuchBucket", "InvalidBucketName", "KeyTooLongError", "InvalidObjectState", "PermanentRedirect"}
)


NO_THREAD = "can't start new thread"
"""How Python says, by a bare RuntimeError, that there is no memory for a thread, or that there may be no more of them."""


def kind_of(error: BaseException) -> FailureKind:
    """The kind of a failure that was not survived."""
    match error:
        case MalformedEventError() | UnreadableFileError():
            return FailureKind.USER_ERROR
        case (
            IndexUnavailableError() | OSError() | MemoryError()
        ):  # no connection, no time, no disk, no descriptor, no memory
            return FailureKind.RECOVERABLE
        case RuntimeError() if str(error) == NO_THREAD:
            return FailureKind.RECOVERABLE
        case StoreError(code=code) | QueueError(code=code):
            if code in TRANSIENT_CODES:
                return FailureKind.RECOVERABLE
            return (
                FailureKind.SYSTEM_ERROR
                if code in OBJECT_FAULT_CODES or code == "AccessDenied"
                else FailureKind.UNKNOWN
            )
        case _:
            return FailureKind.SYSTEM_ERROR  # an exception nobody foresaw: a bug of ours


def is_transient(error: BaseException) -> bool:
    """Whether trying again can help."""
    return kind_of(error) is FailureKind.RECOVERABLE


def is_unclear(error: BaseException) -> bool:
    """Whether this is an object's own fault only where others can be read; else (AccessDenied, say) an outage."""
    return isinstance(error, StoreError) and error.code not in TRANSIENT_CODES and error.code not in OBJECT_FAULT_CODES
