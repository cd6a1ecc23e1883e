"""`dlq pick`: choose messages from a numbered list, and then what to do with them. No id is typed or pasted."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from recovery.cli.choosing import EVERY, plain, rows_of
from recovery.cli.context import CommandContext
from recovery.cli.finding import find_and_report, found_code
from recovery.cli.running import ask, require_terminal, run_verb
from recovery.cli.verb import verb
from recovery.cli.view.tables import shown
from recovery.operations.dead_letters.facts import Facts, Filter
from worker.core.base.errors import ExitCode
from worker.core.base.text import one_line
from worker.layout import short_ids
from worker.terminal import err, say, span

MAX_ROWS = 30
"""Number of messages that are listed at once: more than that is found faster by typing a part of the key."""
MAX_SHOWN_IDS = 3
"""Number of ids in the command that is shown before it is run."""


@dataclass(frozen=True, slots=True)
class _Action:
    key: str
    what: str
    verb: str
    changes: bool = True
    question: tuple[str, str] = ("", "")
    """An option (empty for an argument before the ids), and what to ask for it."""


ACTIONS = (
    _Action("i", "inspect: show everything, and what to do", "inspect", changes=False),
    _Action("r", "redrive: send to the queue again", "redrive"),
    _Action("c", "recover: index, skip or archive now", "recover"),
    _Action("a", "abandon: give up; `dlq restore` sends it again", "abandon", question=("--reason", "Why:")),
    _Action("d", "delete: archive, and delete from the DLQ", "delete", question=("--reason", "Why:")),
    _Action("e", "export: write to a new file", "export", changes=False, question=("", "Name of the new file:")),
)


@verb(epilog="Examples: dlq pick | dlq pick --error TimeoutError | dlq pick --match 契約")
def pick(
    context: CommandContext,
    chosen: Filter,
    max_messages: Annotated[int, typer.Option(min=1, help="Maximum number of messages to choose from.")] = 1_000,
) -> ExitCode:
    """Choose messages by number from a list, and what to do with them; a change is confirmed first. Requires a terminal.

    Ctrl-C and Ctrl-D end it, as q does. Exit codes: 0, 1 no messages, 130.
    """
    require_terminal("pick")
    while True:
        with context.claiming() as claims:
            found = find_and_report(context, claims, chosen, at_most=max_messages)
        if not found.facts:
            return found_code(found)
        selected = _choose(context, found.facts)
        action = _action(context, len(selected))
        if action is not None:
            _act(context, action, selected)


def _choose(context: CommandContext, every: Sequence[Facts]) -> list[Facts]:
    """The chosen messages."""
    listed, searched = list(every), ""
    _show(listed, searched)
    while True:
        typed = ask(context, f"Which? (1,3-5; {EVERY}; a text to search for; empty: the whole list; q: quit)")
        try:
            rows = rows_of(typed, len(listed))
        except ValueError as error:
            say("no", str(error))
            continue
        if rows is not None:
            return [listed[row] for row in rows]
        searched = plain(typed).removeprefix("/").casefold()
        found = [one for one in every if searched in _searchable(one)]
        if not found:
            say("no", f"no message has {searched!r} in its key, error, kind or id")
            continue
        listed = found
        _show(listed, searched)


def _searchable(facts: Facts) -> str:
    refs = " ".join(f"{ref.bucket}/{ref.key}" for ref in facts.refs)
    text = f"{facts.about} {refs} {facts.error} {facts.dead_letter.kind} {facts.fingerprint} {facts.dead_letter.id}"
    return plain(text).casefold()


def _show(listed: Sequence[Facts], searched: str) -> None:
    """Number, key, error, age and short id; a long key goes on in the next line, as the terminal breaks it."""
    err.print()
    short = short_ids(one.dead_letter.id for one in listed)
    for number, facts in enumerate(listed[:MAX_ROWS], start=1):
        more = f" (and {len(facts.refs) - 1} more)" if len(facts.refs) > 1 else ""
        about = shown(facts.about or facts.type) + more
        err.print(Text.assemble((f"{number:>4}  ", "bold"), about), soft_wrap=True)
        name = one_line(short.get(facts.dead_letter.id, facts.dead_letter.id))
        err.print(Text(f"      {shown(facts.error)}, {span(facts.age_s())} old, {name}", "dim"), soft_wrap=True)
    if len(listed) > MAX_ROWS:
        err.print(
            f"      … {MAX_ROWS + 1} to {len(listed):,} are not shown: type a part of a key or error", highlight=False
        )
    if searched:
        err.print(Text(f"      {len(listed):,} with {shown(searched)!r}"), soft_wrap=True)


def _action(context: CommandContext, count: int) -> _Action | None:
    """What to do with the chosen messages; None to go back to the list."""
    for action in ACTIONS:
        err.print(f"  {action.key}  {action.what}", markup=False, highlight=False)
    while True:
        typed = plain(
            ask(context, f"What to do with {count} message{'s' * (count > 1)}? (empty: back to the list; q: quit)")
        ).casefold()
        if not typed:
            return None
        for action in ACTIONS:
            if typed in {action.key, action.verb}:
                return action
        say("no", f"{typed!r}: it must be one of {', '.join(one.key for one in ACTIONS)}, or q")


def _act(context: CommandContext, action: _Action, selected: Sequence[Facts]) -> None:
    """Run a verb once it is confirmed."""
    option, question = action.question
    given = ask(context, f"{question} (empty: back to the list; q: quit)") if question else ""
    if question and not given:
        return
    asked = [option, given] if option else [given] if given else []
    ids = [facts.dead_letter.id for facts in selected]
    told = [*ids[:MAX_SHOWN_IDS], *([f"… ({len(ids)} ids)"] if len(ids) > MAX_SHOWN_IDS else [])]
    what = f"dlq {action.verb} {' '.join([shlex.join(asked), *told]).strip()}"
    err.print(f"$ {one_line(what)}", style="bold", markup=False, highlight=False, soft_wrap=True)
    if action.changes:
        answer = ask(context, f"{action.verb} {len(ids)} message{'s' * (len(ids) > 1)}? [y/N] (q: quit)")
        if plain(answer).lower() not in {"y", "yes"}:
            err.print("nothing was done")
            return
        asked.append("--yes")
    run_verb(context, [action.verb, *asked, *(f"--message-id={one}" for one in ids)])  # an id may begin with a dash
