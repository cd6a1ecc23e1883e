"""The errors of the ledger."""

from worker.core.base.errors import DependencyError, WorkerError


class LedgerError(DependencyError):
    """Raised when the database cannot be used: unreachable, locked, read-only, full, behind, or of a newer version.

    The message says which, with the ledger's URL without its password.
    """


class VersionConflictError(WorkerError):
    """Raised when a row is no longer of the version that a change was made for; somebody else has changed it."""

    def __init__(self, identity: str, *, wanted: int, found: int) -> None:
        super().__init__(
            f"the dead letter {identity} was changed meanwhile: version {wanted} was meant, it is {found} now"
        )
        self.identity = identity
        self.wanted = wanted
        self.found = found


class UnknownDeadLetterError(WorkerError):
    """Raised when a change is for a dead letter that has no row."""


class AskedWronglyError(ValueError):
    """Raised when a filter, a sort order or a cursor is wrong; has its name, its value, and what would be right."""

    def __init__(self, field: str, value: str, expected: str) -> None:
        super().__init__(f"{field}: {value!r} is wrong; it should be {expected}")
        self.field = field
        self.value = value
        self.expected = expected
