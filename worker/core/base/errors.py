"""The one error tree. Outside errors are wrapped once, at the edge where they happen, with their cause chained."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; numbers above 63 are those of sysexits.h."""

    OK = 0
    NOT_FOUND = 1
    """Nothing of what was asked for; `doctor`: something is wrong."""
    INCOMPLETE = 3
    """Done in part: some messages were kept, refused, or are in flight elsewhere."""
    USAGE = 64
    """EX_USAGE: a wrong option or argument."""
    DEPENDENCY = 69
    """EX_UNAVAILABLE: something outside that is needed cannot be reached."""
    INTERNAL = 70
    """EX_SOFTWARE: a thread died, a message was stuck; systemd restarts the worker."""
    PAUSED = 75
    """EX_TEMPFAIL: the fleet is paused; `--while-paused` works all the same."""
    CONFIG = 78
    """EX_CONFIG: a setting is wrong; a restart cannot mend it."""
    INTERRUPTED = 130
    """SIGINT: what was in hand is finished, the rest is released."""
    TERMINATED = 143
    """SIGTERM: what was in hand is finished, the rest is released."""


class WorkerError(Exception):
    """Raised when something went wrong that this system has a name for; the root of the tree."""


class ConfigError(WorkerError):
    """Raised when a setting is wrong: the sentence names it, its value, and what would be right."""


class DependencyError(WorkerError):
    """Raised when something outside that is needed (queue, bucket, index) cannot be used."""


class PausedError(WorkerError):
    """Raised when the fleet is paused and the command would put messages to work."""


class MalformedEventError(WorkerError):
    """Raised when a message body is not an event we know; the sentence says what is wrong with it."""


class UnreadableFileError(WorkerError):
    """Raised when a file is encrypted, corrupt, or hangs or exhausts its parser: the file's own fault."""


class ObjectGoneError(WorkerError):
    """Raised when a GET answered NoSuchKey: the object is not there now."""


class StoreError(WorkerError):
    """Raised when S3 refuses a request; carries S3's error code, on which classification rests."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class IndexUnavailableError(WorkerError):
    """Raised when the index as a whole cannot take writes now: unreachable, refusing, blocked or misconfigured."""


class QueueError(WorkerError):
    """Raised when SQS refuses a call; carries SQS's error code."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class ExtractionStoppedError(WorkerError):
    """Raised when the worker stops while a file is being parsed: the message goes back to the queue."""


class OutageError(WorkerError):
    """Raised when S3 stays away until a message's deadline, or until the worker stops."""
