"""`dlq interactive`: a menu of the verbs for those who do not know them. It shows each command that it runs."""

import shlex
from dataclasses import dataclass

from recovery.cli.context import CommandContext
from recovery.cli.running import ask, require_terminal, run_verb
from recovery.cli.verb import verb
from worker.core.base.errors import ExitCode
from worker.layout import Command, Sentence, show
from worker.terminal import err, say


@dataclass(frozen=True, slots=True)
class Choice:
    """One entry of the menu."""

    what: str
    command: tuple[str, ...]
    asks: tuple[tuple[str, str], ...] = ()
    """Pairs (option, question) to ask first. If the answer is empty, the option is left out."""


_ID = ("", "Message id, or its first 6 characters:")
_REASON = ("--reason", "Why:")
MENU = (
    Choice("How many messages are in the DLQ, and why?", ("stats",)),
    Choice("Which failures have the same cause?", ("groups",)),
    Choice("List the messages", ("list",), (("--match", "With this text in a key or body (empty: all):"),)),
    Choice("Show one message, and what to do", ("inspect",), (_ID,)),
    Choice("Recover one message: index, skip or archive it", ("recover",), (_ID,)),
    Choice("Send one message to its queue again", ("redrive",), (_ID,)),
    Choice(
        "Send all messages with one cause to their queue again (dry run)",
        ("redrive-all", "--dry-run"),
        (("--group", "Fingerprint:"),),
    ),
    Choice("Send all messages with one cause to their queue again", ("redrive-all",), (("--group", "Fingerprint:"),)),
    Choice("Archive and delete one message", ("delete",), (_ID, _REASON)),
    Choice("Archive and delete all messages with one cause", ("abandon",), (("--group", "Fingerprint:"), _REASON)),
    Choice("List the archive", ("list", "--archive")),
    Choice("Restore one message from the archive", ("restore",), (_ID,)),
    Choice("Export all messages to a file", ("export",), (("", "Name of the new file:"),)),
    Choice("Export all messages to a file, then delete them", ("purge",), (("--backup", "Name of the new file:"),)),
    Choice("Pick messages from a list, and what to do with them", ("pick",)),
    Choice("Watch the DLQ until Ctrl-C", ("watch",)),
)


@verb(epilog="Example: dlq interactive")
def interactive(context: CommandContext) -> ExitCode:
    """Choose verbs from a menu; a change to more than one message is confirmed first. Requires a terminal."""
    require_terminal("interactive")
    while True:
        err.print(f"\n{context.dlq.url}", markup=False, highlight=False, soft_wrap=True)
        for number, choice in enumerate(MENU, start=1):
            show(err, Sentence(f"{number:>3}  {choice.what}", then="     "))
        answer = ask(context, "  q  Quit\n\nWhich?").lower()
        if answer.isdecimal() and 1 <= int(answer) <= len(MENU):
            _run(context, MENU[int(answer) - 1])
        elif answer:
            say("no", f"{answer!r}: it must be 1 to {len(MENU)}, or q")


def _run(context: CommandContext, choice: Choice) -> None:
    """Ask for what a verb needs, and run it."""
    command = list(choice.command)
    for option, question in choice.asks:
        given = ask(context, question)
        command += [each for each in (option, given) if given and each]
    told = shlex.join([*command, *context.options.as_arguments()])
    show(err, Command(f"dlq {told}", before="$ "))
    run_verb(context, command)
