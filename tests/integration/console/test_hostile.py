"""The 87 hostile texts of the fault campaign are inert in a real browser, and do not move our own words."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from recovery.manager.web.server import WebServer
from testing.ledgers import new_ledger
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.console_hostile import HOSTILE, given_away, hostile_dead_letters
from tests.support.reader import Reader

LISTS = ("/console/messages?q=state:any", "/console/archive", "/console/schedule")


class Trap(NamedTuple):
    """A server whose dead letters are hostile."""

    server: WebServer
    ids: list[str]


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        api = Api(ledger)
        ids = hostile_dead_letters(api, now_ms=time.time_ns() // 1_000_000)
        with serving(api) as server:
            yield Trap(server, ids)


@pytest.mark.parametrize("width", [360, 1_440])
def test_no_text_does_anything_in_a_list(trap: Trap, reader_of: Callable[..., Reader], width: int):
    reader = reader_of(f"http://127.0.0.1:{trap.server.port}", width=width)
    seen = 0
    for path in LISTS:
        reader.go(path)
        while True:
            assert given_away(reader.page) == [], path
            assert reader.sideways_px == 0, path
            seen += reader.page.locator("tr[data-row]").count()
            following = reader.page.locator("a[rel=next]")
            if not following.count():
                break
            following.first.click()
            reader.page.wait_for_load_state("load")
    assert seen == len(HOSTILE) == len(set(trap.ids))
