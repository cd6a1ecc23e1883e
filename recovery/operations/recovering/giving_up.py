"""The rule by which recovery gives up on a dead letter, that is, archives it: only what is at fault itself.

Whatever else it failed for is to be corrected by an operator, and the dead letter then recovers: a bucket that is missing, a
permission, a bug of ours. An operator may ask to give these up as well (`--archive-system-errors`).
"""

from worker.core.base.classify import FailureKind


def may_give_up(*, failed: FailureKind, fails: FailureKind, asked: bool) -> bool:
    """Whether a dead letter that `failed` for one kind of reason, and `fails` for another now, may be archived."""
    return asked or (fails is FailureKind.USER_ERROR and failed is not FailureKind.SYSTEM_ERROR)
