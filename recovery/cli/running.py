"""Runs a verb from within another one that asks for it, with the queue, region and account of that one."""

import contextlib
import sys
from collections.abc import Sequence

import typer

from recovery.cli.choosing import plain
from recovery.cli.context import CommandContext
from recovery.cli.verb import app
from worker.core.base.errors import ExitCode, WorkerError
from worker.terminal import say

QUIT = frozenset({"q", "quit", "exit"})
"""What ends a command that asks."""


def require_terminal(verb: str) -> None:
    """Raises a usage error where nobody can be asked."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("requires a terminal; in scripts, use the other verbs", param_hint=verb)


def ask(context: CommandContext, question: str) -> str:
    """What is typed, without the space around it; `q` ends the command, whatever is asked."""
    typed = context.ask(question).strip()
    if plain(typed).casefold() in QUIT:
        raise typer.Exit(ExitCode.OK)
    return typed


def run_verb(context: CommandContext, command: Sequence[str]) -> None:
    """Run one verb. Its errors do not end the one that asked."""
    try:
        with contextlib.suppress(SystemExit):
            app([*command, *context.options.as_arguments()])
    except WorkerError as error:
        say("failed", str(error))
