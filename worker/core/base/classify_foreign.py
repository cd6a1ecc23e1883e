"""Classify the failures of other services, of which only a type, a message and perhaps an HTTP status are known.

Our own are classified by their error code (core/base/classify.py). Here words have to do: first those of the error type,
which somebody chose as a name, then the status, then those of the message, of which only unmistakable ones count.
"""

import re

from worker.core.base.classify import FailureKind

_R, _U, _S = FailureKind.RECOVERABLE, FailureKind.USER_ERROR, FailureKind.SYSTEM_ERROR

STATUS_KINDS = {
    400: _U, 404: _U, 410: _U, 413: _U, 415: _U, 422: _U, 408: _R, 425: _R, 429: _R, 503: _R, 504: _R, 401: _S, 403: _S,
    500: _S, 502: _S,
}  # fmt: skip
"""By HTTP status (RFC 9110, RFC 6585)."""
TYPE_WORDS = (
    (_S, "accessdenied|denied|forbidden|permission|unauthori[sz]ed|notauthori[sz]ed"),
    (_R, "time_?-?out|timedout|deadline|throttl|toomanyrequests|ratelimit|limitexceeded|slowdown|unavailable|overload"),
    (_R, "credential|expiredtoken|tokenexpired|tokenrefresh|invalidtoken|invalidaccesskey|signaturedoesnotmatch"),
    (_R, "connect|disconnect|network|socket|dnserror|gaierror|brokenpipe|unreachable|hostnotfound|unknownhost"),
    (_U, "malformed|validat|invalid|pars(?:e|ing)|decod|jsonerror|syntax|schema|unreadable|corrupt|unsupported"),
    (_U, "badrequest|notfound|doesnotexist|nosuchkey|unprocessable"),
    (_S, "internalserver|internalfailure|internalerror|badgateway"),
)
"""Words in the name of an error type, in lower case without separators; the first row that has one decides."""
MESSAGE_WORDS = (
    (_S, r"access ?denied|permission denied|forbidden|not authori[sz]ed|unauthori[sz]ed"),
    (
        _R,
        r"timed? ?-?out|deadline exceeded|throttl|too many requests|rate ?limit|slow ?down|(?:service|temporarily) unavailable",
    ),
    (
        _R,
        r"connection (?:was |is )?(?:refused|reset|closed|aborted|lost|error)|network is unreachable|could not connect",
    ),
    (_R, r"cannot connect|failed to connect|name resolution|no route to host|broken pipe|gateway time"),
    (_R, r"expired ?token|token (?:has |is )?expired|credentials"),
    (_U, r"malformed|validation (?:error|failed)|bad request|not valid json|invalid json|unreadable|cannot be parsed"),
    (_S, r"internal server error|bad gateway"),
)
"""Words in a message; the first row that has one decides."""
_STATUS = re.compile(
    r"\b(?:http(?:/[\d.]+)?|status(?:[ _]?code)?|response(?: code)?|code)\W{0,4}([1-5]\d\d)\b", re.IGNORECASE
)
_LEADING = re.compile(r"\A\W{0,3}([1-5]\d\d)\b(?=\W{0,3}(?:[A-Za-z]|\Z))")
_READ_CHARS = 2_000
"""How much of a text is searched for words."""


def kind_of_foreign(error_type: str, message: str, status: int | None = None) -> FailureKind:
    """The kind of another service's failure. Without a status, one that type or message mention is taken."""
    name = re.sub(r"[\s_.:/-]+", "", error_type[:_READ_CHARS].casefold().rpartition(".")[2])
    text = message[:_READ_CHARS].casefold()
    found = _by_words(TYPE_WORDS, name)
    if found is None:
        found = STATUS_KINDS.get(status or status_in(error_type) or status_in(message) or 0)
    return found or _by_words(MESSAGE_WORDS, text) or FailureKind.UNKNOWN


def status_in(text: str) -> int | None:
    """The HTTP status that a text mentions as such: `HTTP 503`, `status code: 404`, `502 Bad Gateway`; None if it does not."""
    found = _LEADING.search(text[:_READ_CHARS]) or _STATUS.search(text[:_READ_CHARS])
    return int(found[1]) if found else None


def _by_words(rows: tuple[tuple[FailureKind, str], ...], text: str) -> FailureKind | None:
    return next((kind for kind, words in rows if re.search(words, text)), None)
