"""The service over a ledger of SQLite and a state bucket in memory."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.ledgers import new_ledger
from tests.support.api import Api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    """Without dead letters."""
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


@pytest.fixture
def filled(api: Api) -> Api:
    """With three."""
    api.fill()
    return api


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """With three, made once, for what only asks."""
    folder = tmp_path_factory.mktemp("shared")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        made = Api(ledger, search_page=True)
        made.fill()
        yield made


@pytest.fixture
def within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock: at the end of a minute, earlier requests count less, and one more is allowed."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
