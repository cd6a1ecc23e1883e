"""The ids that an operator types: whole, or their first characters, if these belong to one dead letter alone."""

import re
import shlex
from collections.abc import Iterable, Sequence

from recovery.operations.dead_letters.facts import Ids
from worker.core.base.errors import WorkerError
from worker.core.sqs.dead_letter import DeadLetter

MIN_CHARS = 6
"""The fewest characters of an id that are accepted: with 10,000 messages, two share six with a chance of 1 in 1,700 each."""
_WHOLE = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""An id as SQS makes them; it is never looked for as the beginning of another."""
_SHORTENED = ("…", "...")
"""What stands at the end of an id that was copied from a table with shortened ones."""


class AmbiguousIdError(WorkerError):
    """Raised when the beginning of an id fits several dead letters."""

    def __init__(self, given: str, fitting: Sequence[DeadLetter]) -> None:
        super().__init__(f"{given!r} fits {len(fitting)} messages; give more characters of the id")
        self.fitting = fitting


def ids_of(given: Iterable[str], also: Iterable[str] = ()) -> Ids:
    """What was typed. `also` may contain whole ids that are shorter than a beginning, as other services make them.

    Raises ValueError, with the value and what would be correct, for one of the others that is too short.
    """
    ids = [_typed(one) for one in given]
    for one in ids:
        if len(one) < MIN_CHARS:
            raise ValueError(
                f"{one!r} is too short: it should be an id, or at least its first {MIN_CHARS} characters "
                "(a whole id as short as this: --message-id)"
            )
    ids += [_typed(one) for one in also]
    names = frozenset(one for one in ids if len(one) < MIN_CHARS or _WHOLE.fullmatch(one))
    return Ids(names, frozenset(ids) - names)


def as_argument(name: str) -> str:
    """How an id is typed: as an argument, or with the option where it could be taken for something else."""
    return name if _WHOLE.fullmatch(name) else f"--message-id {shlex.quote(name)}"


def _typed(text: str) -> str:
    one = text.strip()
    for ending in _SHORTENED:
        one = one.removesuffix(ending)
    return one


def whole(which: Ids, seen: Sequence[DeadLetter]) -> Ids:
    """The same dead letters by whole ids alone; what fits nothing stays as it was given. Raises AmbiguousIdError.

    `seen` must contain every dead letter that `which` fits.
    """
    return Ids(which.names.union(*(_meant(one, seen) for one in which.beginnings)))


def _meant(beginning: str, seen: Sequence[DeadLetter]) -> set[str]:
    """The ids that it stands for: those that SQS gave count first, because others stand in records that anyone can forge."""
    if any(beginning in one.names for one in seen):
        return {beginning}
    found = {name for one in seen for name in (one.id, *one.known_as) if name.startswith(beginning)}
    found = found or {name for one in seen for name in one.names if name.startswith(beginning)}
    fitting = {one.id: one for one in seen if not found.isdisjoint(one.names)}
    if len(found) > 1 and len(fitting) > 1:
        raise AmbiguousIdError(beginning, list(fitting.values()))
    return found or {beginning}
