"""`interactive`: a menu over the verbs, for who does not know them; it shows each command that it runs."""

import contextlib
import shlex
import sys
from dataclasses import dataclass

import typer

from recovery.cli.context import CommandContext
from recovery.cli.options import app, verb
from worker.core.base.errors import ExitCode, WorkerError
from worker.terminal import err, say


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the menu."""

    what: str
    command: tuple[str, ...]
    asks: tuple[tuple[str, str], ...] = ()
    """(option, question) of what is asked first; an answer left empty leaves the option out."""


_ID = ("--message-id", "Message id:")
_REASON = ("--reason", "Why:")
MENU = (
    Choice("How deep is the DLQ, and why?", ("stats",)),
    Choice("What failed for one cause?", ("groups",)),
    Choice("Which messages are there?", ("list",), (("--match", "With this text in a key or body (empty: all):"),)),
    Choice("Show one message, and what to do about it", ("inspect",), (_ID,)),
    Choice("Recover one: index it, or skip or archive it", ("recover",), (_ID,)),
    Choice("Send one back to its queue", ("redrive",), (_ID,)),
    Choice(
        "Send back all of one cause: first show which", ("redrive-all", "--dry-run"), (("--group", "Fingerprint:"),)
    ),
    Choice("Send back all of one cause", ("redrive-all",), (("--group", "Fingerprint:"),)),
    Choice("Delete one, archived first", ("delete",), (_ID, _REASON)),
    Choice("Abandon all of one cause to the archive", ("abandon",), (("--group", "Fingerprint:"), _REASON)),
    Choice("What is in the archive?", ("list", "--archive")),
    Choice("Bring back one from the archive", ("restore",), (_ID,)),
    Choice("Write everything to a file", ("export",), (("", "Name of the new file:"),)),
    Choice("Empty the DLQ into a file", ("purge",), (("--backup", "Name of the new file:"),)),
)


@verb(epilog="Example: dlq interactive")
def interactive(context: CommandContext) -> ExitCode:
    """Choose from a menu; every change asks first, as its verb does. Needs a terminal."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("needs a terminal; in scripts use the verbs themselves", param_hint="interactive")
    while True:
        err.print(f"\n{context.dlq.url}", markup=False, highlight=False, soft_wrap=True)
        for number, choice in enumerate(MENU, start=1):
            err.print(f"{number:>3}  {choice.what}", markup=False, highlight=False)
        answer = context.ask("  q  Quit\n\nWhich?").strip().lower()
        if answer in {"q", "quit", "exit"}:
            return ExitCode.OK
        if answer.isdecimal() and 1 <= int(answer) <= len(MENU):
            _run(context, MENU[int(answer) - 1])
        elif answer:
            say("no", f"{answer!r}: it must be 1 to {len(MENU)}, or q")


def _run(context: CommandContext, choice: Choice) -> None:
    """Run one verb, told the same options as this one; what goes wrong with it does not end the menu."""
    command = list(choice.command)
    for option, question in choice.asks:
        given = context.ask(question).strip()
        command += [each for each in (option, given) if given and each]
    command += context.options.as_arguments()
    err.print(f"$ dlq {shlex.join(command)}", style="bold", markup=False, highlight=False, soft_wrap=True)
    try:
        with contextlib.suppress(SystemExit):
            app(command)
    except WorkerError as error:
        say("failed", str(error))
