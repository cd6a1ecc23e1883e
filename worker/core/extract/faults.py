"""What can be wrong with a file, between the modules that read it; the callers of `extract` see a status instead."""


class CorruptError(ValueError):
    """Raised when a file is broken, or not what it says it is; the sentence says what is wrong."""


class EncryptedError(ValueError):
    """Raised when a file wants a password."""


class MachineError(OSError):
    """Raised when the machine and not the file is at fault: a full or read-only disk, descriptors used up."""
