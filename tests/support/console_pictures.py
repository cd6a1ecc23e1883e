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
from tests.support.console_flows import CAUSE, COUNT, from_an_alert, incident, to_a_redrive
from tests.support.console_office import executing
from tests.support.console_pages import messages_path, pages_of
from tests.support.console_scene import console_scene
from tests.support.console_states import STAGES
from tests.support.library import library
from tests.support.reader import LANGUAGES, WIDTHS, Reader, Scheme
from worker.core.index.document import Write, encode
from worker.core.index.sqlite import SqliteIndex

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "console"
MAX_BYTES = 3_000_000
"""Of all pictures of the docs together."""
COLOURS = 256
"""Of one picture: a palette, which takes a third of the bytes."""
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
DESK_PX = 1_200
"""How wide a window of the docs is."""
WINDOW_PX, TALL_PX = 720, 1_150
"""How tall it is, and how much of a longer page a picture shows."""
PHONE = WIDTHS["phone"]
MAX_TALL_PX = 16_000
"""Of any page: Chromium draws no larger picture."""
_SEARCHED = 12
"""Files of the scene that the index finds."""
COLUMNS = ("key", "error", "message", "state", "kind", "last", "first", "attempts", "redrives", "owner", "note", "size")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: of which page or state, and who looks at it."""

    name: str
    shows: str
    """The name of a page, of a state, or of a step of a way through the console."""
    language: str = "en"
    scheme: Scheme = "light"
    width: int = DESK_PX
    whole: bool = True
    """The page from its beginning; otherwise the window, as far as it was scrolled."""
    tall: int = TALL_PX
    """How much is shown, at most."""
    before: Callable[["Page"], None] | None = None
    """What they do before the picture is taken."""


def _view(page: "Page") -> None:
    page.locator("#message form button").click()
    page.wait_for_url("**#message")


def _keys(page: "Page") -> None:
    page.keyboard.press("?")
    page.locator("#keys").wait_for(state="visible")


PAGES = (
    Picture("overview", "overview"),
    Picture("overview-dark-ja", "overview", "ja", "dark"),
    Picture("overview-phone", "overview", "ja", width=PHONE),
    Picture("groups", "groups"),
    Picture("group", "group timeout", "ja"),
    Picture("messages", "messages filtered"),
    Picture("messages-phone", "messages", "en", "dark", width=PHONE),
    Picture("message", "message timeout", "ja", "dark"),
    Picture("message-copy", "message foreign", whole=False, before=_view),
    Picture("plan", "plan"),
    Picture("plan-role", "plan to delete"),
    Picture("plan-phone", "plan", "ja", width=PHONE),
    Picture("operation", "operation failed", "ja"),
    Picture("operations", "operations", scheme="dark"),
    Picture("schedule", "schedule", "ja", "dark"),
    Picture("archive", "archive"),
    Picture("audit", "audit", scheme="dark"),
    Picture("settings", "settings", "ja"),
    Picture("search", "search", "ja"),
    Picture("why-not", "why not"),
    Picture("runbook", "runbook section", scheme="dark"),
    Picture("keys", "messages", whole=False, before=_keys),
)
STATES = (
    Picture("state-empty", "empty"),
    Picture("state-loading", "loading", scheme="dark"),
    Picture("state-stale", "stale"),
    Picture("state-denied", "denied", "ja"),
    Picture("state-manager-unavailable", "manager-unavailable"),
    Picture("state-database-unavailable", "database-unavailable", "ja", "dark"),
)
STEPS = tuple(
    Picture(name, name, whole=False)
    for name in (
        "depth-1-overview", "depth-2-cause", "depth-3-stack", "redrive-1-plan", "redrive-2-typed", "redrive-3-running",
    )
)  # fmt: skip
NAMES = frozenset(one.name for one in (*PAGES, *STATES, *STEPS))
"""Of all pictures that the docs may show."""


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
        "messages, any column": messages_path(q="state:any") + "".join(f"&column={one}" for one in COLUMNS),
        "messages, a mistake": messages_path(q="colour:blue"),
        "search": f"/console/search?q={quote('契約')}",
        "search none": f"/console/search?q={quote('存在しない')}",
        "search, a mistake": f"/console/search?q={quote('size:>many')}",
        "why not": where(key_of(CAUSES["timeout"], 4)),
        "why not, nothing": where("no/such/file.pdf"),
        "why not, asked": "/console/why-not",
        "runbook section": "/console/runbook/dlq-depth",
        "not found": "/console/nowhere",
    }


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


def take_pages(browser: "Browser", folder: Path, pictures: Callable[[Iterable[str]], Iterable[Picture]]) -> None:
    """Take those pictures that this makes of the names of all pages."""
    with stage() as (origin, scene):
        paths = paths_of(scene)
        scene.api.service.facts.read()  # figures that need longer than a page waits for them
        for one in pictures(paths):
            with _window(browser, origin, one) as reader:
                reader.page.goto(f"{origin}{paths[one.shows]}", wait_until="load")
                reader.page.locator("[data-asking]").wait_for(state="hidden")
                _store(reader, one, folder)


def take_states(browser: "Browser", folder: Path, pictures: Iterable[Picture] = STATES) -> None:
    """Take the pictures of the states in which a console can be, each of a manager of its own."""
    for one in pictures:
        with (
            tempfile.TemporaryDirectory() as place,
            STAGES[one.shows](Path(place)) as made,
            _window(browser, made.origin, one) as reader,
        ):
            made.show(reader)
            _store(reader, one, folder)


def take_steps(browser: "Browser", folder: Path, count: int = COUNT) -> None:
    """Take the pictures of the ways from an alert to its cause, and from there to a redrive of so many that is under way."""
    by_name = {one.name: one for one in STEPS}
    with (
        tempfile.TemporaryDirectory() as place,
        contextlib.closing(new_ledger(f"sqlite:///{place}/l.sqlite")) as ledger,
    ):
        scene = incident(Api(ledger), count)
        with (
            serving(scene.api) as server,
            executing(scene.api),
            _window(browser, f"http://127.0.0.1:{server.port}", STEPS[0]) as reader,
        ):
            for name, _ in _ways(reader, count):
                if name in by_name:
                    _store(reader, by_name[name], folder)
                if name == STEPS[-1].name:
                    break


def _ways(reader: Reader, count: int) -> Iterator[tuple[str, Reader]]:
    yield from from_an_alert(reader)
    reader.go(f"/console/groups/{CAUSES[CAUSE].fingerprint}")
    yield from to_a_redrive(reader, count)


@contextlib.contextmanager
def _window(browser: "Browser", origin: str, one: Picture) -> Iterator[Reader]:
    reader = Reader(browser, origin, language=one.language, scheme=one.scheme, width=one.width, height=WINDOW_PX)
    try:
        yield reader
    finally:
        reader.close()


def _store(reader: Reader, one: Picture, folder: Path) -> None:
    """Store what is seen, cut to its first part, with a palette."""
    if one.before is not None:
        one.before(reader.page)
    path = folder / f"{one.name}.png"
    reader.picture(path, whole=one.whole)
    with Image.open(path) as seen:
        shown = seen.convert("RGB").crop((0, 0, seen.width, min(seen.height, one.tall)))
    shown.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)


def every(pages: Iterable[str]) -> Iterator[Picture]:
    """Every page in each language, colour scheme and width."""
    for page, language, scheme, width in itertools.product(pages, LANGUAGES, SCHEMES, WIDTHS):
        name = page.replace(",", "").replace(" ", "-")
        yield Picture(f"{name}.{language}.{scheme}.{width}", page, language, scheme, WIDTHS[width], tall=MAX_TALL_PX)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--all", type=Path, metavar="DIR", help="every page and state in every manner, into this folder"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="those that have this in their names")
    given = parser.parse_args()
    folder: Path = given.all or FOLDER
    folder.mkdir(parents=True, exist_ok=True)

    def wanted(pictures: Iterable[Picture]) -> list[Picture]:
        return [one for one in pictures if given.only in one.name]

    with browsing() as browser:
        if given.all:
            take_pages(browser, folder, lambda pages: wanted(every(pages)))
            take_states(browser, folder, wanted(every(STAGES)))
            return
        take_pages(browser, folder, lambda _pages: wanted(PAGES))
        take_states(browser, folder, wanted(STATES))
        if wanted(STEPS):
            take_steps(browser, folder)


if __name__ == "__main__":
    main()
