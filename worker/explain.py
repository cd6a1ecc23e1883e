"""What a program says of itself: `help`, `--help` and `--version`, without loading anything that only running it needs.

`python -m tools.docs --write` makes the texts from the commands, as it makes the reference pages; they are in `worker/help/`.
"""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from worker import __version__

FOLDER = Path(__file__).parent / "help"
MAX_WIDTH = 100
"""Number of columns beyond which help does not get wider, because long lines are hard to read."""
HELP, FLAGS, VERSION = "help", frozenset({"-h", "--help"}), "--version"
USAGE = 64
"""The exit code for a wrong argument (EX_USAGE), as in `ExitCode`, which is not loaded here."""
_LEFT = 26
"""Number of columns for what stands to the left of an explanation; what is longer gets a line of its own."""

Page = Mapping[str, Any]
"""`usage`, `about` (paragraphs), `sections` (title and rows of two cells), `examples`."""


def start(program: str, module: str) -> None:
    """Answer `help`, `--help` and `--version`; otherwise, run `main` of a module, which is imported only then."""
    if not answered(program, sys.argv[1:]):
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # we have none, and looking for them takes 30 ms
        import_module(module).main()


def answered(program: str, arguments: Sequence[str]) -> bool:
    """Print the help or the version if the arguments ask for it; whether they did. Ends the program if they ask wrongly."""
    path = FOLDER / f"{program}.json"
    if not path.exists():
        return False
    pages: dict[str, Page] = json.loads(path.read_text())
    typed = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    if typed[-1:] == [VERSION] and " ".join(typed[:-1]) in pages:
        _print(f"{__version__}\n")
        return True
    asked = _asked(pages, typed)
    if asked is None:
        return False
    if asked not in pages:
        show_every_character()
        sys.stderr.write(f"{_unknown(program, pages, asked)}\n")
        sys.exit(USAGE)
    _print(page_text(pages[asked], min(MAX_WIDTH, shutil.get_terminal_size().columns)))
    if asked == " ".join(typed):  # a command with verbs, of which none was given
        sys.exit(USAGE)
    return True


def page_text(page: Page, width: int) -> str:
    """One page of help at this width. Examples are never wrapped, because what was wrapped cannot be copied."""
    blocks = [[f"Usage: {page['usage']}"]]
    blocks += [_wrapped(paragraph, width) for paragraph in page["about"]]
    for title, rows in page["sections"]:
        left = min(max(len(name) for name, _ in rows) + 4, _LEFT if width >= 3 * _LEFT else _LEFT // 2)
        blocks.append([f"{title}:", *(line for name, text in rows for line in _row(name, text, left, width))])
    examples = page["examples"]
    if examples:
        blocks.append([f"Example{'s' if len(examples) > 1 else ''}:", *(f"  {one}" for one in examples)])
    return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"


def show_every_character() -> None:
    """Let a terminal that cannot show a character get its escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _asked(pages: Mapping[str, Page], typed: Sequence[str]) -> str | None:
    """The words of the command whose help is asked for; None if none is."""
    given = " ".join(typed)
    if given in pages and pages[given]["sections"][0][0] == "Commands":
        return given
    if typed[:1] == [HELP]:
        return " ".join(one for one in typed[1:] if one not in FLAGS)
    if FLAGS.isdisjoint(typed):
        words = " ".join(typed[:-1])
        return words if typed[-1:] == [HELP] and words in pages and _takes_no_text(pages[words]) else None
    words, found = "", ""
    for one in typed:
        words = f"{words} {one}".strip()
        if words not in pages:
            break
        found = words
    is_mistyped = not found and len(pages) > 1 and not typed[0].startswith("-")
    return None if is_mistyped else found


def _takes_no_text(page: Page) -> bool:
    """Whether the word `help` cannot be one of its arguments: it is no id, but may be a file's name or a search."""
    arguments = [rows for title, rows in page["sections"] if title == "Arguments"]
    return not arguments or [name for name, _ in arguments[0]] == ["ID"]


def _unknown(program: str, pages: Mapping[str, Page], words: str) -> str:
    from difflib import get_close_matches

    names = [name for name in pages if name]
    near = get_close_matches(words, names, n=1)
    right = f"did you mean `{program} {HELP} {near[0]}`?" if near else f"there are: {', '.join(names) or 'none'}"
    return f"{program} has no command {words!r}; {right}"


def _row(name: str, text: str, left: int, width: int) -> list[str]:
    """A name and its explanation, which begins in the column `left`: beside the name, or below it where that is long."""
    lines = textwrap.wrap(text, max(20, width - left - 2), break_long_words=False, break_on_hyphens=False) or [""]
    beside = len(name) + 4 <= left
    first = [f"  {name.ljust(left - 2)}{lines[0]}"] if beside else [f"  {name}", " " * left + lines[0]]
    return [line.rstrip() for line in (*first, *(" " * left + line for line in lines[1:]))]


def _wrapped(paragraph: str, width: int) -> list[str]:
    return textwrap.wrap(
        paragraph, width, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _print(text: str) -> None:
    show_every_character()
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # its reader has seen enough; nothing is said about it at the end either
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
