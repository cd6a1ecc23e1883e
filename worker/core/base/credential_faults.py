"""What an error code of AWS says about our credentials, in the words of those who set them.

Sources of the codes: S3 API Reference, "List of error codes"; SQS API Reference and IAM User Guide, "Common errors"; the last
ones are the names of botocore's exceptions.
"""

from worker.core.base.errors import DependencyError, QueueError, StoreError

_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})
_KEY = frozenset({
    "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "InvalidSecurity",
})  # fmt: skip
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired",
                      "UnauthorizedSSOTokenError", "SSOTokenLoadError"})  # fmt: skip
_TOKEN = frozenset({"InvalidToken"})
_CLOCK = frozenset({"RequestTimeTooSkewed"})
_NONE = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
                   "MetadataRetrievalError", "NoAuthTokenError"})  # fmt: skip
_CLOCK_WORDS = ("signature expired", "signature not yet current", "difference between the request time")
"""With these words SQS and S3 refuse a request that is signed with another time than theirs."""


class CredentialsError(DependencyError):
    """Raised when AWS refuses the credentials themselves, so that no other call can succeed."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def said_of_credentials(error: BaseException | None) -> str:
    """What is wrong with our credentials, and what to do, if that is why a call failed; empty if it is not."""
    while error is not None:
        if isinstance(error, QueueError | StoreError):
            try:
                require_credentials(error)
            except CredentialsError as found:
                return f"{found}: {found.hint}"
        error = error.__cause__
    return ""


def require_credentials(error: QueueError | StoreError) -> None:
    """Return if an error is not about our credentials. Raises CredentialsError, with what to do, if it is."""
    hint = _hint(error.code, str(error).lower())
    if hint:
        what = f"AWS refuses the credentials: {error.code}: {error}"
        if error.code == "NoCredentialsError":
            what = "no AWS credentials found"
        raise CredentialsError(what[:500], hint=hint) from error


def _hint(code: str, message: str) -> str:
    code = code.rpartition(".")[2]
    if code in _CLOCK or (code in _SECRET and any(words in message for words in _CLOCK_WORDS)):
        return "this machine's clock is wrong by more than AWS accepts (300 s): synchronise it (chrony)"
    if code in _SECRET:
        return (
            "the secret does not belong to the access key: correct AWS_SECRET_ACCESS_KEY (is a character missing, or a quotation "
            "mark too many?)"
        )
    if code in _KEY:
        return (
            "AWS does not know this access key, or it was deactivated: correct AWS_ACCESS_KEY_ID, or create a new key"
        )
    if code in _EXPIRED:
        return (
            "the session has expired: renew it (aws sso login, or new values of all three AWS_… variables), or give the host "
            "a role"
        )
    if code in _TOKEN:
        return "AWS_SESSION_TOKEN does not belong to this access key: set it to the key's own, or unset it for a permanent key"
    if code in _NONE:
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set AWS_PROFILE, or give the host a role"
    return ""
