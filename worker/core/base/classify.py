"""Classify failures by error code, never by HTTP status alone (ExpiredToken is a 400, clock skew is a 403)."""

from enum import StrEnum

from worker.core.base.errors import (
    DependencyError,
    IndexUnavailableError,
    MalformedEventError,
    QueueError,
    StoreError,
    UnreadableFileError,
)


class FailureKind(StrEnum):
    """The class of a failure, which determines what to do about it."""

    RECOVERABLE = "RECOVERABLE"
    """The failure is transient: try again."""
    USER_ERROR = "USER_ERROR"
    """The event or the file is at fault."""
    SYSTEM_ERROR = "SYSTEM_ERROR"
    """Configuration or code is at fault; an operator corrects it, then redrives the message."""
    UNKNOWN = "UNKNOWN"


# AWS error codes, and the names of the SDK's exceptions if there was no answer.
TRANSIENT_CODES = frozenset({
    "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "TooManyRequests",
    "RequestThrottledException", "RequestLimitExceeded", "BandwidthLimitExceeded", "ProvisionedThroughputExceededException",
    "TooManyRequestsException", "OverLimit", "KmsThrottled", "KMS.ThrottlingException", "429",
    "InternalError", "InternalFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException",
    "RequestTimeout", "RequestTimeoutException", "OperationAborted", "500", "502", "503", "504",
    "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId",
    "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure",
    "RequestExpired",
    "RequestTimeTooSkewed", "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
    "TokenRetrievalError", "UnauthorizedSSOTokenError", "MetadataRetrievalError", "NoAuthTokenError",
    "ConnectTimeoutError", "ReadTimeoutError", "EndpointConnectionError", "ConnectionClosedError", "ConnectionError",
    "ProxyConnectionError", "SSLError", "HTTPClientError", "ResponseStreamingError", "IncompleteReadError",
    "ResponseParserError", "FlexibleChecksumError", "ChecksumMismatch",
})  # fmt: skip

# Codes that concern one object or bucket, whether or not anything else can be read. The last is the SDK's, which refuses
# to send a name that cannot exist.
OBJECT_FAULT_CODES = frozenset(
    {
        "NoSuchBucket", "InvalidBucketName", "KeyTooLongError", "InvalidObjectState", "PermanentRedirect",
        "InvalidRequest", "InvalidArgument", "MethodNotAllowed", "ParamValidationError",
    }
)  # fmt: skip


DENIALS = frozenset(
    {"403", "UnauthorizedOperation", "NotAuthorized", "AuthorizationError", "AuthorizationErrorException"}
)
"""Codes of a missing permission, besides those that contain AccessDenied. The first is all that a failed HEAD has."""

NO_THREAD = "can't start new thread"
"""The message of the RuntimeError that Python raises if there is no memory for another thread, or no more are allowed."""


def kind_of(error: BaseException) -> FailureKind:
    """The kind of a failure."""
    match error:
        case MalformedEventError() | UnreadableFileError():
            return FailureKind.USER_ERROR
        case (
            IndexUnavailableError() | DependencyError() | OSError() | MemoryError()
        ):  # connection, disk, descriptors, memory
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
            return FailureKind.SYSTEM_ERROR  # an unexpected exception: a bug in our code


def is_panic(error: BaseException) -> bool:
    """Whether an error is a panic of a library in Rust. Each library has a class of its own for these (PyO3)."""
    return type(error).__name__ == "PanicException"


def is_transient(error: BaseException) -> bool:
    """Whether trying again can help."""
    return kind_of(error) is FailureKind.RECOVERABLE


def is_denial(code: str) -> bool:
    """Whether an error code says that a permission is missing."""
    return "AccessDenied" in code or code in DENIALS


def is_key_fault(code: str) -> bool:
    """Whether an error code says that a KMS key cannot be used (SQS API Reference, ReceiveMessage, "Errors").

    SQS writes KmsAccessDenied, KmsDisabled and so on; in its older protocol, KMS.AccessDeniedException and so on.
    """
    return "kms" in code.lower() and code not in TRANSIENT_CODES


def is_unclear(error: BaseException) -> bool:
    """Whether the code (AccessDenied, for example) may mean the object's own fault or an outage of its bucket.

    It is the object's fault if other objects of the bucket can be read at that time. So is any code that we do not know: it
    may concern the whole account.
    """
    return isinstance(error, StoreError) and error.code not in TRANSIENT_CODES and error.code not in OBJECT_FAULT_CODES
