"""Check the rule on sizes: no source file over 300 lines, no function over 60. Names what exceeds it and what is longest."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("worker", "recovery", "tools", "benchmarks", "testing")
"""Tests may be longer, because a table of cases is read from top to bottom, not followed like logic."""
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60


class Size(NamedTuple):
    """The number of lines of a file or function, and its location."""

    lines: int
    where: str


def main() -> int:
    """Print everything over its limit on stderr; return the number."""
    files, functions = sizes(ROOT)
    over = faults(files, functions)
    for sentence in over:
        print(sentence, file=sys.stderr)  # noqa: T201
    longest, usual = max(functions), median(one.lines for one in functions)
    print(  # noqa: T201
        f"{len(files)} files, {sum(one.lines for one in files):,} lines; functions: median {usual:.0f} lines, "
        f"longest {longest.lines} ({longest.where})"
    )
    return len(over)


def faults(files: list[Size], functions: list[Size]) -> list[str]:
    """What is over its limit, one sentence each."""
    found = [f"{one.where}: {one.lines} lines; at most {MAX_FILE_LINES}" for one in files if one.lines > MAX_FILE_LINES]
    found += [
        f"{one.where}: {one.lines} lines; at most {MAX_FUNCTION_LINES}"
        for one in functions
        if one.lines > MAX_FUNCTION_LINES
    ]
    return found


def sizes(root: Path) -> tuple[list[Size], list[Size]]:
    """All files and functions of our source."""
    files, functions = [], []
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        text, where = path.read_text(), path.relative_to(root).as_posix()
        files.append(Size(len(text.splitlines()), where))
        functions += [Size(lines, f"{where}: {name}") for name, lines in _functions(text)]
    return files, functions


def _functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


if __name__ == "__main__":
    sys.exit(main())
