"""A browser that looks at the console of a manager, and what it must never meet there."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recovery.manager.web.sign_in import Mode
from testing.aws import s3_event, s3_record
from testing.binaries import do_without
from testing.chromium import browsing
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from testing.process import UnavailableError
from tests.integration.manager.conftest import serving
from tests.support import console_office
from tests.support.console_office import COUNT, Office
from tests.support.reader import Reader
from tests.support.signed_in import signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Of one file: while it runs, this thread has an event loop, which other files' tests must not find."""
    try:
        with browsing() as found:
            yield found
    except UnavailableError as reason:
        do_without("chromium", reason)


@pytest.fixture
def reader_of(browser: "Browser") -> Iterator[Callable[..., Reader]]:
    """Opens a window for somebody at an address; whatever they met that must not be fails the test in the end."""
    opened: list[Reader] = []

    def open_one(origin: str, **who: object) -> Reader:
        opened.append(Reader(browser, origin, **who))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    met = [text for one in opened for text in one.met]
    for one in opened:
        one.close()
    assert met == []


@pytest.fixture
def office(tmp_path: Path, reader_of: Callable[..., Reader]) -> Iterator[Office]:
    """A manager with a few dead letters of one cause, at which people sign in by tokens."""
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        api = signed_in(ledger, Mode.TOKEN)
        for number in range(COUNT):
            api.add(f"n{number:02d}", body=s3_event(s3_record(BUCKET, f"契約/{number}.pdf")))
        with serving(api) as server:
            made = Office(api, server.port, reader_of)
            yield made
            made.close()


@pytest.fixture
def executing(office: Office) -> Iterator[None]:
    """Its operations are carried out meanwhile."""
    with console_office.executing(office.api):
        yield
