"""The states that a console can be in, each on a stage of its own: tests look at it, and pictures show it.

    with STAGES["stale"](tmp_path) as stage:
        reader = Reader(browser, stage.origin, language="ja")
        stage.show(reader)
        reader.picture(path)

A stage may be shown to any number of readers, one after another. Nothing here asks an Api by `ask`, which fails beside Playwright.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from recovery.manager.roles import Role
from recovery.manager.web.server import WebServer
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from tests.support.api import Api
from tests.support.console_arrivals import Scene
from tests.support.console_scene import SEEN_AGO_MS, RunningClock, console_scene, workers
from tests.support.reader import Reader
from tests.support.signed_in import new_token, signed_in

_STOP = """() => {
  const note = document.getElementById("loading");
  const look = () => note.hidden ? setTimeout(look, 20) : window.stop();
  look();
}"""
"""Stops the page as soon as it says that it loads: Playwright looks at none that another is about to replace."""
LIVE_MS = 60_000
"""After which every page has asked for itself again."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A manager in a state, and how somebody meets it."""

    origin: str
    show: Callable[[Reader], None]
    """Brings a window into the state."""


@contextlib.contextmanager
def empty(folder: Path) -> Iterator[Stage]:
    """Nothing has failed: the overview of a new manager, whose fleet serves."""
    with _ledger_of(folder) as api:
        api.fakes.s3.clock = RunningClock()
        workers(Scene(api, api.fakes.s3.clock.now_ms()), SEEN_AGO_MS[:2])
        api.depth = 0
        with _serving(api) as origin:
            yield Stage(origin, lambda reader: _go(reader, "/console/"))


@contextlib.contextmanager
def loading(folder: Path) -> Iterator[Stage]:
    """An answer is on its way: somebody has chosen another page, and still sees the one before."""

    def show(reader: Reader) -> None:
        _go(reader, "/console/groups")
        reader.page.route("**/console/messages", lambda _route: None)
        reader.page.evaluate(_STOP)
        reader.page.locator("nav a[href='/console/messages']").click(no_wait_after=True)
        reader.page.locator("#loading").wait_for(state="visible")

    with _scene_of(folder) as scene, _serving(scene.api) as origin:
        yield Stage(origin, show)


@contextlib.contextmanager
def stale(folder: Path) -> Iterator[Stage]:
    """What the overview shows of the dead letters is what was last read: the database has stopped answering since."""
    with _scene_of(folder) as scene, _serving(scene.api) as origin:
        scene.api.service.facts.read()
        with _without_database(scene.api, folder):
            yield Stage(origin, lambda reader: _go(reader, "/console/"))


@contextlib.contextmanager
def denied(folder: Path) -> Iterator[Stage]:
    """A reader, signed in by a token, opens a page for operators."""
    with contextlib.closing(new_ledger(_url(folder))) as ledger:
        api = signed_in(ledger, Mode.TOKEN)
        secret = new_token(ledger, Role.READER)

        def show(reader: Reader) -> None:
            _go(reader, "/console/settings")
            reader.page.locator("#token").fill(secret)
            reader.page.locator("main form button").click()
            reader.page.wait_for_url("**/console/settings")

        with _serving(api) as origin:
            yield Stage(origin, show)


@contextlib.contextmanager
def manager_unavailable(folder: Path) -> Iterator[Stage]:
    """The server has stopped while somebody looks at a page of it."""
    with _scene_of(folder) as scene:
        server = _started(scene.api, 0)
        port = server.port

        def show(reader: Reader) -> None:
            nonlocal server
            if not server.is_serving:
                server = _started(scene.api, port)
            reader.page.clock.install()
            _go(reader, "/console/groups")
            server.stop(5)
            reader.page.clock.run_for(LIVE_MS)
            reader.page.locator("#stale").wait_for(state="visible")

        try:
            yield Stage(f"http://127.0.0.1:{port}", show)
        finally:
            server.stop(5)


@contextlib.contextmanager
def database_unavailable(folder: Path) -> Iterator[Stage]:
    """The database cannot be opened: a page that needs it says so."""
    with _scene_of(folder) as scene, _serving(scene.api) as origin, _without_database(scene.api, folder):
        yield Stage(origin, lambda reader: _go(reader, "/console/messages"))


STAGES: Mapping[str, Callable[[Path], AbstractContextManager[Stage]]] = {
    "empty": empty, "loading": loading, "stale": stale, "denied": denied, "manager-unavailable": manager_unavailable,
    "database-unavailable": database_unavailable,
}  # fmt: skip
"""By name. Each takes an empty folder."""


def _go(reader: Reader, path: str) -> None:
    """Open a page, whatever its status is."""
    reader.page.goto(f"{reader.origin}{path}", wait_until="load")


def _url(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.sqlite"


@contextlib.contextmanager
def _ledger_of(folder: Path) -> Iterator[Api]:
    with contextlib.closing(new_ledger(_url(folder))) as ledger:
        yield Api(ledger)


@contextlib.contextmanager
def _scene_of(folder: Path) -> Iterator[Scene]:
    with _ledger_of(folder) as api:
        yield console_scene(api)


def _started(api: Api, port: int) -> WebServer:
    server = WebServer(api.app)
    server.start("127.0.0.1", port)
    return server


@contextlib.contextmanager
def _serving(api: Api) -> Iterator[str]:
    server = _started(api, 0)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop(5)


@contextlib.contextmanager
def _without_database(api: Api, folder: Path) -> Iterator[None]:
    """A folder stands where the ledger's file was, so that it cannot be opened."""
    file, aside = folder / "ledger.sqlite", folder / "aside"
    api.ledger.close()
    aside.mkdir()
    for one in folder.glob("ledger.sqlite*"):
        one.rename(aside / one.name)
    file.mkdir()
    api.service.facts.forget_waiting()
    try:
        yield
    finally:
        file.rmdir()
        for one in aside.iterdir():
            one.rename(folder / one.name)
