"""A manager's HTTP service that listens."""

import contextlib
from collections.abc import Iterator

import pytest

from recovery.ledger.ledger import Ledger
from recovery.manager.web.server import WebServer
from tests.support.api import Api


@contextlib.contextmanager
def serving(api: Api) -> Iterator[WebServer]:
    server = WebServer(api.app)
    server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        server.stop(5)


@pytest.fixture
def api(ledger: Ledger) -> Api:
    """Three dead letters, on either database."""
    made = Api(ledger, search_page=True)
    made.fill()
    made.operate()
    return made


@pytest.fixture
def served(api: Api) -> Iterator[WebServer]:
    """The same, listening."""
    with serving(api) as server:
        yield server
