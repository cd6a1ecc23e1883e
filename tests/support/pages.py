"""What a page asks its reader to type: its indented lines, by section."""

from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Typed:
    """One line to be typed."""

    section: str
    line: str

    @property
    def program(self) -> str:
        return self.line.split()[0]


def typed(name: str) -> list[Typed]:
    """Every line of docs/NAME that is to be typed, in order."""
    found: list[Typed] = []
    section = ""
    for line in (DOCS / name).read_text().splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif line.startswith("    ") and line.strip():
            found.append(Typed(section, line.strip()))
    return found


def sections(name: str) -> list[str]:
    """The headings of docs/NAME."""
    return [line.lstrip("# ") for line in (DOCS / name).read_text().splitlines() if line.startswith("#")]
