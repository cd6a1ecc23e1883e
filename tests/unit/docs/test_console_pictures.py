"""docs/console.md shows what `python -m tests.support.console_pictures` takes, and nothing else."""

import re
from pathlib import Path

from tests.support.console_pictures import FOLDER, MAX_BYTES, NAMES

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_every_picture_is_shown_and_every_picture_shown_is_there() -> None:
    shown = re.findall(r"!\[[^\]]+\]\(console/([\w-]+)\.png\)", (DOCS / "console.md").read_text())
    assert set(shown) == NAMES
    assert {path.stem for path in FOLDER.iterdir()} == NAMES


def test_the_pictures_are_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MAX_BYTES
