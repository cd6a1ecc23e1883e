"""`python -m tests.support.console_pictures [--all DIR]`: the pictures of docs/console.md, in docs/console.

`--all DIR`: every page, in both languages and colour schemes, on a phone and at a desk, to be looked at; nothing in docs changes.
"""

import argparse
import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from PIL import Image

from testing.chromium import browsing
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.console_arrivals import CAUSES, Scene, key_of
from tests.support.console_pages import messages_path, pages_of
from tests.support.console_scene import console_scene
from tests.support.library import library
from tests.support.reader import LANGUAGES, WIDTHS, Reader, Scheme
from worker.core.index.document import Write, encode
from worker.core.index.sqlite import SqliteIndex

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "console"
MAX_BYTES = 3_000_000
"""Of all pictures of the docs together."""
COLOURS = 128
"""Of one picture: letters and lines on plain ground need no more."""
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
DESK_PX, TALL_PX = 1_200, 1_000
"""How wide a window of the docs is, and how much of a long page it shows."""
_SEARCHED = 12
"""Files of the scene that the index finds."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the docs: which page, and who looks at it."""

    name: str
    page: str
    """Its name among the pages."""
    language: str = "en"
    scheme: Scheme = "light"
    width: int = DESK_PX
    height: int = TALL_PX
    before: Callable[["Page"], None] | None = None
    """What they do before the picture is taken."""


def _fill_body(page: "Page") -> None:
    page.get_by_role("button", name="Show body").click()
    page.wait_for_load_state("load")


PICTURES = (
    Picture("overview", "overview"),
    Picture("overview-dark-ja", "overview", language="ja", scheme="dark"),
    Picture("overview-phone", "overview", language="ja", width=WIDTHS["phone"]),
    Picture("groups", "groups"),
    Picture("group", "group"),
    Picture("messages", "messages"),
    Picture("messages-phone", "messages", scheme="dark", width=WIDTHS["phone"]),
    Picture("message", "message", language="ja"),
    Picture("plan", "plan"),
    Picture("operation", "operation running"),
    Picture("operations", "operations", scheme="dark"),
    Picture("schedule", "schedule", language="ja", scheme="dark"),
    Picture("archive", "archive"),
    Picture("audit", "audit", scheme="dark"),
    Picture("settings", "settings"),
    Picture("search", "search", language="ja"),
    Picture("why-not", "why not"),
    Picture("runbook", "runbook"),
)


def paths_of(scene: Scene) -> dict[str, str]:
    """The path of every page, by name."""

    def message(name: str) -> str:
        return f"/console/messages/{scene.ids[name]}"

    def where(key: str) -> str:
        return f"/console/why-not?bucket={BUCKET}&key={quote(key)}"

    ids = ("timeout", "held", "noted", "scheduled", "sent", "unconfirmed", "foreign", "unknown", "odd", "archived")
    return {
        **pages_of(scene),
        **{f"group {name}": f"/console/groups/{cause.fingerprint}" for name, cause in CAUSES.items()},
        **{f"message {name}": message(name) for name in ids},
        "message, now": f"{message('timeout')}/now",
        "messages, any column": messages_path(q="state:any") + "".join(f"&column={one}" for one in COLUMNS),
        "messages, a mistake": messages_path(q="colour:blue"),
        "search": f"/console/search?q={quote('契約')}",
        "search none": f"/console/search?q={quote('存在しない')}",
        "search, a mistake": f"/console/search?q={quote('size:>many')}",
        "why not": where(key_of(CAUSES["timeout"], 4)),
        "why not, nothing": where("no/such/file.pdf"),
        "why not, asked": "/console/why-not",
        "runbook section": "/console/runbook/dlq-high",
        "not found": "/console/nowhere",
    }


COLUMNS = ("key", "error", "message", "state", "kind", "last", "first", "attempts", "redrives", "owner", "note", "size")


@contextlib.contextmanager
def stage() -> Iterator[tuple[str, Scene]]:
    """The address of a manager with a life behind it and with its search page, and what is there."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(new_ledger(f"sqlite:///{folder}/l.sqlite")) as ledger,
    ):
        index = library(Path(folder) / "index.sqlite")
        scene = console_scene(Api(ledger, index=index, search_page=True))
        _index(scene, index)
        with serving(scene.api) as server:
            yield f"http://127.0.0.1:{server.port}", scene


def _index(scene: Scene, index: SqliteIndex) -> None:
    """Let the index find every second file of the scene."""
    fakes = scene.api.fakes
    writes = []
    for number in range(1, 2 * _SEARCHED, 2):
        key = key_of(CAUSES["timeout"], number)
        name = key.rsplit("/", 1)[-1]
        fields = fakes.document(
            key, file_name=name, file_extension=name.rpartition(".")[2], content=fakes.s3.bodies[key].decode(),
            file_size=len(fakes.s3.bodies[key]),
        )  # fmt: skip
        writes.append(Write(BUCKET, key, scene.now_ms, fields["etag"], encode(fields)))
    index.write(writes)


def take(browser: "Browser", origin: str, paths: dict[str, str], picture: Picture, path: Path, *, whole: bool) -> None:
    """Take one picture."""
    reader = Reader(
        browser, origin, language=picture.language, scheme=picture.scheme, width=picture.width, height=picture.height
    )
    try:
        reader.page.goto(f"{origin}{paths[picture.page]}", wait_until="load")
        if picture.before is not None:
            picture.before(reader.page)
        reader.picture(path, whole=whole)
    finally:
        reader.close()


def shrink(path: Path) -> None:
    """Store a picture with fewer colours, which takes a third of the bytes."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def every(paths: Iterable[str]) -> Iterator[Picture]:
    """Every page in each language, colour scheme and width."""
    for page, language, scheme, width in itertools.product(paths, LANGUAGES, SCHEMES, WIDTHS):
        name = f"{page.replace(',', '').replace(' ', '-')}.{language}.{scheme}.{width}"
        yield Picture(name, page, language, scheme, WIDTHS[width])


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="DIR", help="every page in every manner, into this folder")
    parser.add_argument("--only", default="", metavar="TEXT", help="those that have this in their names")
    given = parser.parse_args()
    folder: Path = given.all or FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with stage() as (origin, scene), browsing() as browser:
        paths = paths_of(scene)
        for picture in every(paths) if given.all else PICTURES:
            if given.only not in picture.name:
                continue
            path = folder / f"{picture.name}.png"
            take(browser, origin, paths, picture, path, whole=bool(given.all))
            if not given.all:
                shrink(path)


if __name__ == "__main__":
    main()
