"""How lines are laid out: what is wrapped, where, and how ids are shortened. The rule for tables is in tables.py.

Widths are those of a terminal: East Asian wide characters take two columns. In a pipe, no line is wrapped, and no id
shortened.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

SHORT_ID = 8
"""Characters of a short id, or more if that many do not tell the shown ids apart."""
_WORDS = re.compile(r"[^ ]* |[^ ]+")
_PARTS = re.compile(r"[^/]*/|[^/]+")
_ARGUMENTS = re.compile(r"""(?:'[^']*'|"[^"]*"|[^ '"])+ *|.""")
_MARKED = re.compile("(?s:.)[\u0300-\u036f\u3099\u309a\ufe00-\ufe0f]*")
"""A character with the marks on it."""


def short_ids(names: Iterable[str]) -> dict[str, str]:
    """The shortest beginning of each id, of SHORT_ID characters or more, that no other of these ids has."""
    every = sorted(set(names))
    short = {}
    for before, name, after in zip(["", *every], every, [*every[1:], ""], strict=False):
        length = max(SHORT_ID, _shared(before, name) + 1, _shared(name, after) + 1)
        short[name] = name[:length]
    return short


def _shared(one: str, other: str) -> int:
    """Number of characters with which both begin."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def fold(text: Text, width: int) -> list[Text]:
    """The text in lines of this display width; nothing but spaces at their ends is outside it."""
    lines = []
    for line in text.split("\n", allow_blank=True):
        begin = end = used = 0
        for piece in _pieces(line.plain, width):
            if used + cell_len(piece.rstrip(" ")) > width and used:
                lines.append(line[begin:end])
                begin, used = end, 0
            end += len(piece)
            used += cell_len(piece)
        lines.append(line[begin:end])
    return lines


def _pieces(line: str, width: int) -> Iterator[str]:
    """What a line may be broken into: words; of a longer word the parts of its path; of a longer part its characters."""
    for word in _WORDS.findall(line):
        if cell_len(word.rstrip(" ")) <= width:
            yield word
            continue
        for part in _PARTS.findall(word):
            yield from [part] if cell_len(part.rstrip(" ")) <= width else _MARKED.findall(part)


def is_listing(out: Console, *, is_wide: bool = False) -> bool:
    """Whether each row of a table is one line, with complete ids: in a pipe, or because that was asked for."""
    return is_wide or not out.is_terminal


def fixed(line: Text) -> Text:
    """A line that rich leaves as it is; without spaces at its end."""
    line.rstrip()
    line.no_wrap, line.overflow = True, "ignore"
    return line


def indented(text: Text, width: int, indent: str) -> Iterator[Text]:
    """The text in lines of this display width, all of which begin with `indent`."""
    for line in fold(text, width - len(indent)):
        yield fixed(Text.assemble(indent, line))


def wrapped(out: Console, text: str, *, then: str = "  ") -> list[str]:
    """A text in the lines that it takes there, for what prints by itself."""
    lines = fold(Text(text), out.width - len(then)) if out.is_terminal else [Text(text)]
    return [f"{then if number else ''}{line.plain.rstrip(' ')}" for number, line in enumerate(lines)]


class Sentence:
    """A sentence: on a terminal, it is wrapped between words, and ids are short; in a pipe, it is one line."""

    def __init__(self, text: Text | str, *, ids: Mapping[str, str] | None = None, then: str = "  ") -> None:
        """`ids`: what to write instead of each id on a terminal; `then`: what the second line and all others begin with."""
        self._text = Text(text) if isinstance(text, str) else text
        self._ids = ids or {}
        self._then = then

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, for rich; to be printed with `show`, which crops none."""
        if not console.is_terminal:
            yield self._text
            return
        text = self._text
        for name, short in self._ids.items():
            text = Text(short).join(text.split(name, allow_blank=True))
        for each in text.split("\n", allow_blank=True):
            for number, line in enumerate(fold(each, options.max_width - len(self._then))):
                yield fixed(Text.assemble(self._then, line) if number else line)


class Command:
    """A command to copy: on a terminal, it is continued on further lines as a shell allows."""

    def __init__(self, command: str, *, before: str = "") -> None:
        """`before`: what shows that it is a command, and is not part of it."""
        self._command = command
        self._before = before

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines, for rich; to be printed with `show`, which crops none."""
        indent, lines = " " * cell_len(self._before), [""]
        for argument in _ARGUMENTS.findall(self._command):
            if lines[-1] and console.is_terminal and cell_len(f"{indent}{lines[-1]}{argument} \\") > options.max_width:
                lines.append("")
            lines[-1] += argument
        for number, line in enumerate(lines):
            end = "" if number == len(lines) - 1 else "\\"
            yield fixed(Text(f"{indent if number else self._before}{line}{end}", "bold"))


def show(out: Console, *results: RenderableType) -> None:
    """Print what was laid out: no line is wrapped or cropped again."""
    for one in results:
        out.print(one, soft_wrap=True, markup=False, highlight=False)
