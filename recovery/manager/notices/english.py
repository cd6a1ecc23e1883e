"""The English words of notifications."""

from datetime import datetime

PREFIX = "[dlq-manager] "
ERROR, EXAMPLE, FIRST, LAST, GROUP = "Error", "Example", "First", "Latest", "Group"
NO_ERROR = "unknown reason"
KINDS = {
    "USER_ERROR": "caused by the file or message",
    "SYSTEM_ERROR": "caused by the system",
    "UNKNOWN": "to be reviewed",
    "RECOVERABLE": "temporary",
    "retries": "retries used up",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def fact(name: str, value: str) -> str:
    """One line of facts."""
    return f"{name}: {value}"


def time(at: datetime, zone: str) -> str:
    """A time with its zone."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} {zone}"


def duration(seconds: int) -> str:
    """A duration in its two largest units."""
    parts = []
    for size, name in _UNITS:
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(_number(number, name))
    return " ".join(parts[:2]) or "0 seconds"


def user_error(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    messages, fail = _number(count, "message"), "fails" if count == 1 else "fail"
    return (
        f"{messages} cannot be processed: {error}",
        (
            f"{messages} failed because of the file or the message itself, and {fail} again however often it is retried. "
            "Please correct the file, or tell the operators that it is not needed."
        ),
    )


def system_error(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    messages = _number(count, "message")
    return (
        f"System error: {messages} failed with {error}",
        (
            f"{messages} failed because of a fault in the system, and nothing retries such a failure. Find the cause, then "
            "redrive the group."
        ),
    )


def not_retried(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    messages, wait = _number(count, "message"), "waits" if count == 1 else "wait"
    return (
        f"Not retried: {messages} failed with {error}",
        (
            f"{messages} failed for a reason that should pass, and {wait} for somebody to act, because nothing retries "
            f"{'it' if count == 1 else 'them'}. Once the cause is gone, redrive the group."
        ),
    )


def retries_used_up(count: int, error: str) -> tuple[str, str]:
    """Subject and opening."""
    messages, wait = _number(count, "message"), "waits" if count == 1 else "wait"
    return (
        f"Retries used up: {messages}, {error}",
        f"{messages} failed at each scheduled retry and now {wait} for somebody to act.",
    )


def more_later(every: str) -> str:
    """The closing."""
    return f"If there are more, a digest follows in {every} at the earliest."


def digest(count: int, groups: int, first: str, last: str) -> tuple[str, str]:
    """Subject and opening."""
    failures, of = _number(count, "failure"), _number(groups, "group")
    return f"Digest: {failures} in {of}", f"{failures} in {of}, from {first} to {last}, that you have not heard of yet:"


def entry(count: int, total: int, error: str, kind: str) -> str:
    """The first line of a group in a digest."""
    in_all = f", {total:,} in all" if total > count else ""
    return f"{count:,} × {error} ({kind}){in_all}"


def others(groups: int, count: int) -> str:
    """The last line of a digest that is too long."""
    return f"and {_number(groups, 'more group')} with {_number(count, 'failure')}."


def test(link: str) -> tuple[str, str]:
    """Subject and text."""
    return "Test", f"This is a test: notifications of the dlq-manager at {link} arrive here."


def _number(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"
