"""A browser that looks at the console of a manager, and what it must never meet there."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from testing.binaries import do_without
from testing.chromium import browsing
from testing.process import UnavailableError
from tests.support.reader import Reader

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
