"""The hierarchy of errors. Errors of libraries are wrapped once, where they occur, with the cause chained."""

from enum import IntEnum

from worker.core.base.reasons import Reason


class ExitCode(IntEnum):
    """Exit codes of every command; numbers above 63 are those of sysexits.h."""

    OK = 0
    NOT_FOUND = 1
    """Nothing was found that matches the request. `doctor`: a check failed."""
    INCOMPLETE = 3
    """Partly done: some messages were kept, refused, or in flight elsewhere. `reconcile_index`: something is not accounted for."""
    USAGE = 64
    """EX_USAGE: an option or argument is wrong."""
    DEPENDENCY = 69
    """EX_UNAVAILABLE: a service that is needed (queue, bucket, index) cannot be reached."""
    INTERNAL = 70
    """EX_SOFTWARE: a thread died or a message was stuck; systemd restarts the worker."""
    PAUSED = 75
    """EX_TEMPFAIL: the fleet is paused; with `--while-paused`, the command runs nevertheless."""
    CONFIG = 78
    """EX_CONFIG: a setting is wrong, which a restart cannot correct."""
    INTERRUPTED = 130
    """SIGINT: messages in flight were finished, the rest was released; or nothing had been begun yet."""
    TERMINATED = 143
    """SIGTERM: messages in flight were finished, the rest was released."""


class WorkerError(Exception):
    """Raised when an expected kind of error occurs; the base class of all errors of this system."""

    reason: str = ""
    """A code for the cause: a Reason, or the code of S3 or SQS; empty if the error's type says enough."""


class ConfigError(WorkerError):
    """Raised when a setting is wrong; the message gives its name, its value, and what would be correct."""


class DependencyError(WorkerError):
    """Raised when a service that is needed (queue, bucket, index) cannot be used."""


class PausedError(WorkerError):
    """Raised when the fleet is paused and the command would cause work on messages; the message says by whom, and why.

    It also says what whoever gave the command can do.
    """

    def __init__(self, by: str, reason: str) -> None:
        super().__init__(f"by {by}: {reason}. Run `s3-index-worker resume` first, or use --while-paused")
        self.fact = f"the fleet is paused by {by}: {reason}"
        """What is so, for work that goes on by itself once the fleet is resumed."""

    @property
    def sentence(self) -> str:
        """The message as a sentence of its own."""
        return f"the fleet is paused {self}"


class MalformedEventError(WorkerError):
    """Raised when a message body is not a known kind of event; the message says what is wrong with it."""

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason = reason or ""


class UnreadableFileError(WorkerError):
    """Raised when a file is encrypted or corrupt, or makes its parser hang or run out of memory: the file is at fault."""

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason = reason or ""


class ObjectGoneError(WorkerError):
    """Raised when a GET returned NoSuchKey: the object does not exist at present."""


class StoreError(WorkerError):
    """Raised when a request to S3 fails; has S3's error code, by which failures are classified."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = self.reason = code


class IndexUnavailableError(WorkerError):
    """Raised when the index as a whole accepts no writes at present: unreachable, refusing, blocked or misconfigured."""


class QueueError(WorkerError):
    """Raised when a call to SQS fails; has SQS's error code."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = self.reason = code


class ExtractionStoppedError(WorkerError):
    """Raised when the worker stops while a file is being parsed; the message is released."""


class BudgetError(WorkerError):
    """Raised when a cap of the day is used up, before an object is read or its text extracted."""

    def __init__(self, message: str, *, scope: str) -> None:
        """`scope` is that of the cap: s3://BUCKET/PREFIX, or empty for one on everything."""
        super().__init__(message)
        self.scope = scope


class OutageError(WorkerError):
    """Raised when S3, or the record of the budgets, stays unavailable until a deadline, or until the worker stops."""
