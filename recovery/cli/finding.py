"""The first half of most verbs: selects messages, and shows how much of the queue was seen and what was not found."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from recovery.cli.context import CommandContext
from recovery.operations.dead_letters.facts import Filter, Ids, facts_of
from recovery.operations.dead_letters.scan import NOWHERE
from recovery.operations.dead_letters.short_ids import MIN_CHARS, AmbiguousGroupError, AmbiguousIdError
from recovery.operations.find import FindRequest, Found, find
from recovery.operations.transfer.claims import Claims
from worker.core.base.errors import ExitCode, WorkerError
from worker.core.base.text import escaped, exact, one_line
from worker.terminal import err, say, span, tell

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
MAX_FITTING = 10
"""Number of messages that are listed where an id fits several."""


def find_and_report(
    context: CommandContext, claims: Claims, which: Ids | Filter, *, at_most: int | None = None
) -> Found:
    """Read the DLQ and `dead-letters/`. Selected messages are kept invisible, the others are released.

    Ends the command after a signal.
    """
    with ambiguous_ids_reported(context), err.status("reading the DLQ …") as status:
        found = find(
            context.clients,
            claims,
            FindRequest(which, at_most),
            stop=context.signals.stop,
            on_progress=lambda now: status.update(f"reading the DLQ … {now.done:,} seen"),
        )
    if context.signals.exit_code is not None:
        raise typer.Exit(context.signals.exit_code)
    err.print(found.scan.coverage, highlight=False)
    for name in found.missing:
        short = f". An id is found by its first {MIN_CHARS} characters or more" if len(name) < MIN_CHARS else ""
        say("not found", f"{one_line(name)}: {NOWHERE}{short}")
    if not found.facts:
        say_unmatched(which)
    return found


def say_unmatched(which: Ids | Filter) -> None:
    """Name the filters that no message matches, as they are typed; nothing without a filter."""
    if isinstance(which, Filter) and not which.is_empty:
        tell(f"no message matches {_as_typed(which)}")


def _as_typed(chosen: Filter) -> str:
    """The options that make this filter."""
    given = chosen.as_json()
    given.pop("older_than_s", None)
    if (age_s := chosen.older_than_s) is not None:
        given["older_than"] = next(f"{age_s // size}{unit}" for unit, size in _UNITS if age_s % size == 0)
    return " ".join(f"--{name.replace('_', '-')} {shlex.quote(exact(str(value)))}" for name, value in given.items())


@contextmanager
def ambiguous_ids_reported(context: CommandContext) -> Iterator[None]:
    """Within this context, an id that fits several messages is a usage error that lists them, and what tells them apart."""
    try:
        yield
    except AmbiguousGroupError as error:
        raise _ambiguous(error, error.fitting, "--group") from None
    except AmbiguousIdError as error:
        fitting = [facts_of(one, context.types) for one in error.fitting]
        lines = [f"{one.dead_letter.id}  {span(one.age_s())} old, {one.error}, {one.about}" for one in fitting]
        raise _ambiguous(error, lines, "ID") from None


def _ambiguous(error: WorkerError, fitting: Sequence[str], name: str) -> typer.BadParameter:
    """The usage error about an option or argument that fits all of these."""
    lines = [*fitting[:MAX_FITTING]]
    more = len(fitting) - len(lines)
    lines += [f"and {more:,} more"] if more else []
    return typer.BadParameter("\n".join(map(escaped, [str(error), *(f"  {one}" for one in lines)])), param_hint=name)


def found_code(found: Found) -> ExitCode:
    """NOT_FOUND if nothing was found, INCOMPLETE if some of the given ids were not found."""
    if not found.facts:
        return ExitCode.NOT_FOUND
    return ExitCode.INCOMPLETE if found.missing else ExitCode.OK
