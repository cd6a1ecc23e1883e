"""What can be wrong with a file: errors that the parsing modules raise. The callers of `extract` see a status instead."""

NO_MEMORY = ("memory allocation of", "out of memory", "bad_alloc", "MemoryError", "annot allocate memory")
"""What parsers and their runtimes say when they get no memory; glibc begins its sentence with a small c in places."""


class CorruptError(ValueError):
    """Raised when a file is broken or is not of the kind that it claims to be; the message says what is wrong."""


class EncryptedError(ValueError):
    """Raised when a file cannot be read without a password."""


class MachineError(OSError):
    """Raised when the machine, not the file, is at fault: a full or read-only disk, or no file descriptors left."""
