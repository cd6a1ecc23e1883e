"""The first half of every verb: which messages are meant, and how much of the queue was seen."""

from collections.abc import Callable
from dataclasses import dataclass

import typer

from recovery.cli.context import Desk
from recovery.cli.options import Ids
from recovery.grouping import Facts, Filter, facts_of
from recovery.hold import Hold
from recovery.letters import Letter
from recovery.scan import MAX_SEEN, Scan, scan
from worker.core.console import err, one_line, say
from worker.core.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Found:
    """The messages meant, and what was seen of the queue."""

    facts: list[Facts]
    scan: Scan
    missing: tuple[str, ...] = ()
    """Ids asked for and not seen."""

    @property
    def letters(self) -> list[Letter]:
        """The messages alone."""
        return [one.letter for one in self.facts]

    @property
    def exit_code(self) -> ExitCode:
        """NOT_FOUND where nothing was found, INCOMPLETE where some of what was named was not."""
        if not self.facts:
            return ExitCode.NOT_FOUND
        return ExitCode.INCOMPLETE if self.missing else ExitCode.OK


def find(desk: Desk, hold: Hold, which: Ids | Filter, *, at_most: int | None = None) -> Found:
    """Look through the DLQ; what is found stays held, the rest is given back. Ends the command where a signal came."""
    found: dict[str, Facts] = {}

    def wanted(letter: Letter) -> bool:
        facts = facts_of(letter, desk.types, default_bucket=desk.settings.s3_bucket)
        meant = letter.id in which.names if isinstance(which, Ids) else which.wants(facts)
        if meant:
            found[letter.id] = facts
        return meant

    if isinstance(which, Ids):
        at_most = len(which.names)
    with err.status("looking …") as status:

        def told(seen: int) -> None:
            status.update(f"looking … {seen:,} seen")

        seen = _scan(desk, hold, wanted, at_most or MAX_SEEN, told)
    hold.release_all_but(seen.letters)
    facts = [facts_of_copy(found[letter.id], letter) for letter in seen.letters]
    missing = tuple(sorted(which.names - found.keys())) if isinstance(which, Ids) else ()
    err.print(seen.coverage, highlight=False)
    for name in missing:
        say("not found", f"{one_line(name)}: not in the DLQ, or in flight elsewhere; see `dlq stats`")
    return Found(facts, seen, missing)


def facts_of_copy(facts: Facts, letter: Letter) -> Facts:
    """The same facts of a newer receipt of the same message."""
    return Facts(letter, facts.type, facts.refs, facts.about)


def _scan(
    desk: Desk, hold: Hold, wanted: Callable[[Letter], bool], at_most: int, told: Callable[[int], None]
) -> Scan:  # fmt: skip
    seen = scan(desk.dlq, hold, stop=desk.signals.stop, wanted=wanted, at_most=at_most, told=told)
    if desk.signals.exit_code is not None:
        raise typer.Exit(desk.signals.exit_code)
    return seen
