"""A mail server and a web hook of the test, that accept or refuse as they are told."""

from collections.abc import Iterator

import pytest

from tests.support.hook import Hook
from tests.support.mail_server import MailServer


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.stop()


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    yield server
    server.stop()
