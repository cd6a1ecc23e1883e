"""The pictures of docs/console.md are taken from the console as it is."""

from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from tests.support import console_pictures as pictures

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_every_picture_is_taken_and_all_of_them_are_small(browser: "Browser", tmp_path: Path):
    pictures.take_pages(browser, tmp_path, lambda _pages: pictures.PAGES)
    pictures.take_states(browser, tmp_path)
    pictures.take_steps(browser, tmp_path)
    taken = {path.stem: path for path in tmp_path.glob("*.png")}
    assert set(taken) == pictures.NAMES
    assert sum(path.stat().st_size for path in taken.values()) < pictures.MAX_BYTES
    for path in taken.values():
        with Image.open(path) as seen:
            assert seen.width in {pictures.DESK_PX, pictures.PHONE}, path.name
            assert len(seen.convert("RGB").getcolors(1 << 24) or ()) > 2, f"{path.name} is blank"
