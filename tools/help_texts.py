"""Make the texts of `help` and `--help` (worker/help/) from the commands, so that showing them loads none of these."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import typer

from tools.reference import COMMAND_LINES, examples_of, is_argument, meaning, spelling, usage_of

FOLDER = "worker/help"
_HELP = ("-h, --help", "Show this, and do nothing.")
_VERSION = ("--version", "Print the version.")


def help_files(root: Path) -> dict[Path, str]:
    """The file of each program, and what it should contain."""
    return {root / FOLDER / f"{program}.json": _text(_pages(program, app)) for program, app in COMMAND_LINES.items()}


def _text(pages: dict[str, Any]) -> str:
    return json.dumps(pages, ensure_ascii=False, indent=1) + "\n"


def _pages(program: str, app: typer.Typer) -> dict[str, Any]:
    """By the words behind the program's name, in the order of the help; the program's own page first."""
    found: dict[str, Any] = {}
    _add(found, typer.main.get_command(app), typer.Context(typer.main.get_command(app)), [program])
    return found


def _add(found: dict[str, Any], command: Any, context: typer.Context, words: list[str]) -> None:
    name = " ".join(words[1:])
    found[name] = {}
    verbs = []
    for verb in command.list_commands(context) if hasattr(command, "list_commands") else ():
        one = command.get_command(context, verb)
        verbs.append([verb, summary(one.help or "")])
        _add(found, one, context, [*words, verb])
    found[name] = _page(command, words, verbs)


def _page(command: Any, words: list[str], verbs: list[list[str]]) -> dict[str, Any]:
    arguments = [_row(one) for one in command.params if is_argument(one)]
    options = [_row(one) for one in command.params if not is_argument(one)]
    options += [list(_HELP), *([list(_VERSION)] if len(words) == 1 else [])]
    sections = [("Commands", verbs), ("Arguments", arguments), ("Options", options)]
    typed = " ".join(words)
    more = [f"{typed} help COMMAND"] if len(words) == 1 and verbs else []
    return {
        "usage": usage_of(typed, command) + (" COMMAND" if verbs else ""),
        "about": [
            " ".join(part.split()) for part in inspect.cleandoc(command.help or "").split("\n\n") if part.strip()
        ],
        "sections": [[title, rows] for title, rows in sections if rows],
        "examples": examples_of(command) or more,
    }


def summary(text: str) -> str:
    """The first sentence of a help text, whole."""
    return re.split(r"(?<=\.)\s", " ".join(text.split()))[0]


def _row(parameter: Any) -> list[str]:
    plain = re.sub(r"`(\w+)`(?=[,.])", r"\1", meaning(parameter))
    return [spelling(parameter).strip("`"), plain]
