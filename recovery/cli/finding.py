"""The first half of every verb: which messages are meant, and how much of the queue was seen."""

from collections.abc import Callable
from dataclasses import dataclass

import typer

from recovery.cli.context import CommandContext
from recovery.cli.options import Ids
from recovery.operations.dead_letters import DeadLetter
from recovery.operations.grouping import Facts, Filter, facts_of
from recovery.operations.scan import MAX_SEEN, Scan, scan
from worker.core.base.errors import ExitCode
from worker.core.base.text import one_line
from worker.core.sqs.visibility import VisibilityExtender
from worker.terminal import err, say


@dataclass(frozen=True, slots=True)
class Found:
    """The messages meant, and what was seen of the queue."""

    facts: list[Facts]
    scan: Scan
    missing: tuple[str, ...] = ()
    """Ids asked for and not seen."""

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """The messages alone."""
        return [one.dead_letter for one in self.facts]

    @property
    def exit_code(self) -> ExitCode:
        """NOT_FOUND where nothing was found, INCOMPLETE where some of what was named was not."""
        if not self.facts:
            return ExitCode.NOT_FOUND
        return ExitCode.INCOMPLETE if self.missing else ExitCode.OK


def find(
    context: CommandContext, extender: VisibilityExtender, which: Ids | Filter, *, at_most: int | None = None
) -> Found:
    """Look through the DLQ; what is found stays held, the rest is given back. Ends the command where a signal came."""
    found: dict[str, Facts] = {}

    def wanted(dead_letter: DeadLetter) -> bool:
        facts = facts_of(dead_letter, context.types, default_bucket=context.settings.s3_bucket)
        meant = dead_letter.id in which.names if isinstance(which, Ids) else which.wants(facts)
        if meant:
            found[dead_letter.id] = facts
        return meant

    if isinstance(which, Ids):
        at_most = len(which.names)
    with err.status("looking …") as status:

        def told(seen: int) -> None:
            status.update(f"looking … {seen:,} seen")

        seen = _scan(context, extender, wanted, at_most or MAX_SEEN, told)
    extender.release_all_but(seen.dead_letters)
    facts = [facts_of_copy(found[dead_letter.id], dead_letter) for dead_letter in seen.dead_letters]
    missing = tuple(sorted(which.names - found.keys())) if isinstance(which, Ids) else ()
    err.print(seen.coverage, highlight=False)
    for name in missing:
        say("not found", f"{one_line(name)}: not in the DLQ, or in flight elsewhere; see `dlq stats`")
    return Found(facts, seen, missing)


def facts_of_copy(facts: Facts, dead_letter: DeadLetter) -> Facts:
    """The same facts of a newer receipt of the same message."""
    return Facts(dead_letter, facts.type, facts.refs, facts.about)


def _scan(
    context: CommandContext, extender: VisibilityExtender, wanted: Callable[[DeadLetter], bool], at_most: int,
    told: Callable[[int], None],
) -> Scan:  # fmt: skip
    seen = scan(context.dlq, extender, stop=context.signals.stop, wanted=wanted, at_most=at_most, told=told)
    if context.signals.exit_code is not None:
        raise typer.Exit(context.signals.exit_code)
    return seen
