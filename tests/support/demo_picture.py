"""`python -m tests.support.demo_picture`: types `make demo` on a terminal, and draws the parts that README shows as docs/demo.svg.

Whatever the picture shows is in what the demo says now, but for numbers and times: tests/acceptance/test_demo.py compares them.
"""

import html
import re
from collections.abc import Mapping

from rich.text import Text

from testing.worker import base_env
from tests.support import terminal
from tests.support.operators_hour import DOCS, picture

PATH = DOCS / "demo.svg"
COLUMNS = 100
LEFT_OUT = "  ⋮"
_PARTS = (
    (r"\d+ files of ", 1), ("S3 and SQS run", 2), (" file  ", 1), (" legal/NDA", 3), (" 経理/", 5), ("All ", 2),
    ("Then the index", 3), (r"\$ s3-index-worker search '深夜", 6), ("The dead-letter queue has", 3),
    ("The worker received", 3), (r"\$ recover_dlq", 3), (r"\d+ handled", 1),
)  # fmt: skip
"""What is shown: the beginning of a line, and how many lines from there on."""


def typed(env: Mapping[str, str]) -> tuple[int, str]:
    """The exit code of the demo and what it leaves on a terminal of CI, in its colours but without its bar of progress."""
    code, said = terminal.typed("worker", {**env, "CI": "true"}, "demo", columns=COLUMNS)
    return code, re.sub(r"\x1b\[\?25l.*\x1b\[\?25h(?:\r?\x1b\[1A|\x1b\[2K|\r)*", "", said, flags=re.DOTALL)


def shown(said: str) -> str:
    """The parts that the picture shows."""
    lines = [(line, Text.from_ansi(line).plain) for line in said.splitlines()]
    found: list[str] = []
    end = 0
    for begins, count in _PARTS:
        start = next(at for at in range(end, len(lines)) if re.match(begins, lines[at][1]))
        found += (
            [LEFT_OUT] if any(plain.strip() for _, plain in lines[end:start]) else [""] * bool(found and start > end)
        )
        end = start + count
        found += [line for line, _ in lines[start:end]]
    return "\n".join(found)


def pictured() -> list[str]:
    """The lines of the picture, as plain text without numbers, but for the command and what stands for what is left out."""
    texts = re.findall(r'<text [^>]*y="([\d.]+)"[^>]*clip-path[^>]*>(.*?)</text>', PATH.read_text())
    rows: dict[float, str] = {}
    for place, text in texts:
        rows[float(place)] = rows.get(float(place), "") + html.unescape(text)
    lines = [without_numbers(rows[place]) for place in sorted(rows)]
    return [line for line in lines[1:] if line and line != without_numbers(LEFT_OUT)]


def without_numbers(line: str) -> str:
    """A line in which figures, times and white space do not matter."""
    return re.sub(r"\s+", "", re.sub(r"/tmp/\S+|\bvm:\d+|worker\s\S+:\d+|\d+", "", line))


def main() -> None:
    """Draw the picture."""
    code, said = typed(base_env())
    if code:
        raise SystemExit(said)
    picture("make demo", re.sub(r"/\S+/samples", "samples", shown(said)), PATH, title="make demo", columns=COLUMNS)


if __name__ == "__main__":
    main()
