"""The ids that an operator types: whole, or their first characters, if these belong to one dead letter alone."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

from recovery.operations.dead_letters.facts import Facts, Filter, Ids
from worker.core.base.errors import DependencyError, WorkerError
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


class AmbiguousGroupError(WorkerError):
    """Raised when the beginning of a fingerprint fits several."""

    def __init__(self, given: str, fitting: Iterable[str]) -> None:
        self.fitting = sorted(fitting)
        super().__init__(f"{given!r} fits {len(self.fitting)} groups; give more characters of the fingerprint")


class PartlyReadError(DependencyError):
    """Raised when the beginning of an id cannot be said to be that of one dead letter alone, because not all were read."""

    def __init__(self, beginnings: Iterable[str], why: str) -> None:
        given = ", ".join(map(repr, sorted(beginnings)))
        super().__init__(f"{given}: give the whole id; whether others begin like this is not known: {why}")


def ids_of(given: Iterable[str], also: Iterable[str] = ()) -> Ids:
    """What was typed. `also` may contain whole ids that are shorter than a beginning, as other services make them.

    Raises ValueError, with the value and what would be correct, for one of the others that is too short.
    """
    ids = [typed(one) for one in given]
    for one in ids:
        if len(one) < MIN_CHARS:
            raise ValueError(
                f"{one!r} is too short: it should be an id, or at least its first {MIN_CHARS} characters "
                "(a whole id as short as this: --message-id)"
            )
    ids += [typed(one) for one in also]
    names = frozenset(one for one in ids if len(one) < MIN_CHARS or _WHOLE.fullmatch(one))
    return Ids(names, frozenset(ids) - names)


def as_argument(name: str) -> str:
    """How an id is typed: as an argument, or with the option where it could be taken for something else."""
    return name if _WHOLE.fullmatch(name) else f"--message-id {shlex.quote(name)}"


def typed(text: str) -> str:
    """What was typed, without what a table puts after a shortened text."""
    one = text.strip()
    for ending in _SHORTENED:
        one = one.removesuffix(ending)
    return one


def whole(which: Ids, seen: Sequence[DeadLetter]) -> Ids:
    """The same dead letters by whole ids alone; what fits nothing stays as it was given. Raises AmbiguousIdError.

    `seen` must contain every dead letter that `which` fits.
    """
    return Ids(which.names.union(*(_meant(one, seen) for one in which.beginnings)))


def whole_group(which: Filter, selected: Iterable[Facts]) -> Filter:
    """The same filter with a whole fingerprint, given all that it selects. Raises AmbiguousGroupError.

    A failure record may be forged, so none counts before another.
    """
    if which.group is None or which.has_whole_group:
        return which
    fitting = {one.fingerprint for one in selected}
    if len(fitting) > 1:
        raise AmbiguousGroupError(which.group, fitting)
    return replace(which, group=fitting.pop()) if fitting else which


def _meant(beginning: str, seen: Sequence[DeadLetter]) -> set[str]:
    """The ids that it stands for. Those that SQS or a worker gave count first: others stand in records that anyone can forge."""
    ours = [(one, {one.id, *one.known_as}) for one in seen]
    said = [(one, set(one.names)) for one in seen]
    for names_of in (ours, said):
        found = _fitting(beginning, {name for _, names in names_of for name in names})
        fitting = {one.id: one for one, names in names_of if not found.isdisjoint(names)}
        if len(found) > 1 and len(fitting) > 1:
            raise AmbiguousIdError(beginning, list(fitting.values()))
        if found:
            return found
    return {beginning}


def _fitting(beginning: str, names: set[str]) -> set[str]:
    """The id itself, if it is one; otherwise those that it begins."""
    return {beginning} if beginning in names else {name for name in names if name.startswith(beginning)}
