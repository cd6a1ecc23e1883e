"""The 87 hostile texts of the fault campaign are inert in a real browser, and do not move our own words."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from testing.ledgers import new_ledger
from tests.integration.manager.conftest import serving
from tests.support.console_hostile import HOSTILE, given_away
from tests.support.console_trap import Trap
from tests.support.reader import LANGUAGES, WIDTHS, Reader

SHARES = 4
"""Into so many tests the single pages are divided, which run beside each other."""


class Laid(NamedTuple):
    """The trap, and where it is."""

    trap: Trap
    origin: str


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laid]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        trap = Trap(ledger, folder)
        with serving(trap.api) as server:
            yield Laid(trap, f"http://127.0.0.1:{server.port}")


def everywhere(reader: Reader) -> Iterator[None]:
    """The page that is open with all its details, and those that follow it."""
    while True:
        reader.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        yield
        following = reader.page.locator("a[rel=next]")
        if not following.count():
            return
        following.first.click()
        reader.page.wait_for_load_state("load")


@pytest.mark.parametrize(("language", "width"), list(zip(LANGUAGES, WIDTHS.values(), strict=True)))
def test_no_text_does_anything_where_many_are_listed(
    laid: Laid, reader_of: Callable[..., Reader], language: str, width: int
):
    reader, wrong = reader_of(laid.origin, language=language, width=width), []
    seen: dict[str, int] = {}
    for view in laid.trap.lists():
        view.visit(reader)
        for _ in everywhere(reader):
            wrong += [f"{view.path}: {one}" for one in given_away(reader.page)]
            if reader.sideways_px:
                wrong.append(f"{view.path}: {reader.sideways_px} px too wide")
            seen[view.path] = seen.get(view.path, 0) + reader.page.locator("[data-row]").count()
    assert wrong == []
    shown = {path.partition("?")[0].rpartition("/")[2]: count for path, count in seen.items()}
    for name in ("messages", "groups", "operations", "audit", "search"):
        assert shown[name] == len(HOSTILE), shown


@pytest.mark.parametrize("share", range(SHARES))
def test_no_text_does_anything_on_a_page_of_its_own(laid: Laid, reader_of: Callable[..., Reader], share: int):
    reader, wrong, seen = reader_of(laid.origin, width=WIDTHS["phone"] if share % 2 else WIDTHS["desk"]), [], set()
    for text, view in list(laid.trap.single())[share::SHARES]:
        answer = view.open(reader)
        assert answer.status < 500, view.path
        wrong += [f"{text!r} at {view.path}: {one}" for one in given_away(reader.page)]
        if reader.sideways_px:
            wrong.append(f"{text!r} at {view.path}: {reader.sideways_px} px too wide")
        seen.add(text)
    assert wrong == []
    assert len(seen) >= len(HOSTILE) // SHARES


@pytest.mark.parametrize(
    ("markup", "said"),
    [
        ("<p>Paused by \u202eana: reason</p>", "not isolated"),
        ("<p>Paused by <b>سلام</b>: 12</p>", "not isolated"),
        ("<p dir=rtl>Paused by <bdi>ana</bdi><b>!</b></p>", "out of order"),
        ("<p><bdo dir=rtl><a href='#'>Paused</a> <b>by</b></bdo></p>", "out of order"),
        ("<p onclick='1'>x</p>", "handlers: 1"),
        ("<a href='http://evil.example/'>x</a>", "away: 1"),
        ("<img alt=x>", "foreign: 1"),
    ],
)
def test_what_a_text_achieves_is_seen(reader_of: Callable[..., Reader], laid: Laid, markup: str, said: str):
    reader = reader_of(laid.origin)
    reader.go("/console/runbook")
    reader.page.evaluate("markup => { document.body.innerHTML = markup; }", markup)
    assert any(one.startswith(said) for one in given_away(reader.page)), given_away(reader.page)
    reader.met.clear()  # the policy has refused a handler
