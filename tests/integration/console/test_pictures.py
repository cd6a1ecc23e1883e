"""The pictures of docs/console.md are taken from the console as it is."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.support import console_pictures as pictures

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(600)

TYPED = 1_001
"""The smallest number of messages that has to be typed."""


def taken(folder: Path, wanted: Iterable[pictures.Picture]) -> None:
    """Each picture is there, as wide as its window, and shows something."""
    found = {path.stem: path for path in folder.glob("*.png")}
    assert set(found) == {one.name for one in wanted}
    for one in wanted:
        with Image.open(found[one.name]) as seen:
            assert seen.width == one.width, one.name
            assert len(seen.convert("RGB").getcolors(1 << 24) or ()) > 2, f"{one.name} is blank"


def test_every_page_has_its_picture(browser: "Browser", tmp_path: Path):
    pictures.take_pages(browser, tmp_path, lambda _pages: pictures.PAGES)
    taken(tmp_path, pictures.PAGES)


def test_a_state_has_its_picture(browser: "Browser", tmp_path: Path):
    wanted = [one for one in pictures.STATES if one.shows in {"empty", "denied"}]  # test_states.py is in each of them
    pictures.take_states(browser, tmp_path, wanted)
    taken(tmp_path, wanted)


def test_every_step_of_the_short_ways_has_its_picture(browser: "Browser", tmp_path: Path):
    pictures.take_steps(browser, tmp_path, TYPED)
    taken(tmp_path, pictures.STEPS)
