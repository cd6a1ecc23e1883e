"""What can be wrong with a file: errors that the parsing modules raise. The callers of `extract` see a status instead."""

from worker.core.base.reasons import Reason

NO_MEMORY = ("memory allocation of", "out of memory", "bad_alloc", "MemoryError", "annot allocate memory")
"""What parsers and their runtimes say when they get no memory; glibc begins its sentence with a small c in places."""


class CorruptError(ValueError):
    """Raised when a file is broken or is not of the kind that it claims to be; the message says what is wrong."""

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        """Without a `reason`, it is the one for a broken file of this format."""
        super().__init__(message)
        self.reason = reason


class EncryptedError(ValueError):
    """Raised when a file cannot be read without a password."""

    def __init__(self, message: str, reason: Reason = Reason.PASSWORD) -> None:
        super().__init__(message)
        self.reason = reason


class MachineError(OSError):
    """Raised when the machine, not the file, is at fault: a full or read-only disk, or no file descriptors left."""
