"""A manager that people sign in to with browsers, and what carries its operations out meanwhile."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from recovery.manager.figures import Figures
from recovery.manager.metrics import ManagerMetrics
from recovery.manager.operations import Operations
from recovery.manager.roles import Role
from tests.support.api import Api
from tests.support.reader import Reader
from tests.support.signed_in import new_token
from worker.core.base.liveness import Liveness

COUNT = 24
"""Dead letters of the office of most tests."""
PATIENCE_S = 15
REST_S = 0.05


class Office:
    """A manager with dead letters, a token of each role, and windows of browsers at it."""

    def __init__(
        self, api: Api, port: int, reader_of: Callable[..., Reader], tokens: Mapping[Role, str] | None = None
    ) -> None:
        """`tokens`: those that a test before has made, if any."""
        self.api, self.origin, self._reader_of = api, f"http://127.0.0.1:{port}", reader_of
        self._windows: list[Reader] = []
        self.tokens = tokens or tokens_of(api)

    def window(self, role: Role | None = None, path: str = "/console/operations", **who: object) -> Reader:
        """A window; of somebody who signs in by pasting a token."""
        reader = self._reader_of(self.origin, **who)
        self._windows.append(reader)
        if role is not None:
            reader.go(path)
            reader.page.get_by_label("Token").fill(self.tokens[role])
            reader.page.get_by_role("button", name="Sign in").click()
            reader.page.wait_for_url(f"{self.origin}{path}")
        return reader

    def close(self) -> None:
        """Close all windows: a manager that stops would wait for those that follow an operation."""
        for one in self._windows:
            one.close()

    def plan(self, reader: Reader, verb: str) -> str:
        """The path of a plan of everything that waits, which somebody makes at the page of messages."""
        reader.go("/console/messages")
        reader.page.get_by_label("What to do").select_option(verb)
        reader.page.get_by_role("button", name="that match, on every page").click()
        reader.page.wait_for_url("**/console/plans/*")
        return reader.path.partition("?")[0]


def tokens_of(api: Api) -> Mapping[Role, str]:
    """A token of each role; their names are `readers`, `operators`, `admins`."""
    return {role: new_token(api.ledger, role) for role in Role}


def wait_until(is_so: Callable[[], bool], reader: Reader, *, patience_s: float = PATIENCE_S) -> None:
    """Look again and again; the window goes on meanwhile."""
    until = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until, reader.text
        reader.page.wait_for_timeout(100)


def says(reader: Reader) -> str:
    """The state of the operation that somebody looks at."""
    return reader.page.locator(".verdict").inner_text()


def until_done(reader: Reader, *, patience_s: float = PATIENCE_S) -> None:
    """Wait at the page of an operation for its end; without scripts, by its link Refresh."""
    refresh = reader.page.get_by_role("link", name="Refresh")

    def is_done() -> bool:
        if not reader.scripts and refresh.count():
            refresh.click()
        return says(reader).startswith("Done")

    wait_until(is_done, reader, patience_s=patience_s)


@contextlib.contextmanager
def executing(api: Api) -> Iterator[None]:
    """A manager's thread that carries operations out."""
    executor = Operations(api.ledger, api.service.verbs, ManagerMetrics(Figures), stop=api.stopping)

    def run() -> None:
        while not api.stopping.is_set():
            if not executor.once("one", Liveness(60)):
                api.stopping.wait(REST_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        api.stopping.set()
        thread.join(PATIENCE_S)
