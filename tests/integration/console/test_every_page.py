"""Every page in either language and colour scheme, on a phone and at a desk: nobody is kept out, nothing is too wide or large."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recovery.manager.roles import Role
from recovery.manager.web.server import WebServer
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.axe import COLOUR_RULES, Inspector
from tests.support.console_arrivals import Scene
from tests.support.console_pages import View, views_of
from tests.support.console_scene import console_scene
from tests.support.library import library
from tests.support.reader import LANGUAGES, SCHEMES, WIDTHS, Reader
from tests.support.signed_in import new_token, signed_in

pytestmark = pytest.mark.timeout(600)

MAX_BYTES = 100_000
"""Of a page over the wire."""
FEW_ROWS = "document.querySelectorAll('tbody > tr:nth-child(n + 9)').forEach((one) => one.remove())"
"""axe looks at eight rows of each table: the others are made in the same way, and take it half a minute on the longest page."""
SIGNING_IN = "signed in by an unknown token"
ALONE = {
    "sign in": View("/auth/login"),
    SIGNING_IN: View("/auth/login", {"token": "dlqm_" + "a" * 43, "next": "/console/"}, 401),
    "search is off": View("/console/search", status=404),
    "denied": View("/console/settings", status=403),
    "signed out": View("/auth/logout", {}),
}
"""Pages of people who are not signed in, or of a reader, in the order in which somebody meets them."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("scene")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        made = console_scene(Api(ledger, index=library(folder / "index.sqlite"), search_page=True))
        made.api.problems.append("the DLQ has a retention of 4 days")
        for name, more in (("reporting", {}), ("経理", {"revoked_ms": made.now_ms, "revoked_by": "ana@ops-1"})):
            new_token(ledger, Role.READER, name, **more)
        yield made


@pytest.fixture(scope="module")
def served(scene: Scene) -> Iterator[WebServer]:
    with serving(scene.api) as server:
        yield server


@pytest.fixture(scope="module")
def views(scene: Scene) -> dict[str, View]:
    return views_of(scene)


def looked_at(reader: Reader, name: str, inspector: Inspector) -> list[str]:
    """What is wrong with the page that is open, with all its details, at each width and in each colour scheme.

    It is not loaded again: the server knows neither. All rules are applied at each width, and those of colours in each scheme.
    """
    wrong = []
    reader.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    for width in WIDTHS.values():
        reader.page.set_viewport_size({"width": width, "height": 900})
        if reader.sideways_px:
            wrong.append(f"{name}, {width}: {reader.sideways_px} px too wide")
    reader.page.evaluate(FEW_ROWS)
    for width in WIDTHS.values():
        reader.page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            reader.page.emulate_media(color_scheme=scheme)
            found = inspector.violations(reader.page, only=() if scheme == SCHEMES[0] else COLOUR_RULES)
            wrong += [f"{name}, {width}, {scheme}: {one}" for one in found]
    return wrong


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_keeps_anybody_out_or_is_too_wide_or_large(
    views: dict[str, View], served: WebServer, reader_of: Callable[..., Reader], language: str
):
    reader, inspector, wrong, largest = reader_of(origin_of(served), language=language), Inspector(), [], 0
    for name, view in views.items():
        size = view.visit(reader)
        largest = max(largest, size)
        if size > MAX_BYTES:
            wrong.append(f"{name}: {size} bytes")
        wrong += looked_at(reader, name, inspector)
    assert wrong == []
    assert inspector.looks == len(views) * len(WIDTHS) * len(SCHEMES)
    print(
        f"{language}: {len(views)} pages, {inspector.looks} looks, {len(inspector.rules)} rules, at most {largest:,} bytes"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_of_those_who_may_not_see_more_keeps_anybody_out(
    tmp_path: Path, reader_of: Callable[..., Reader], language: str
):
    inspector = Inspector()
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        secret = new_token(ledger, Role.READER)
        with serving(signed_in(ledger, Mode.TOKEN)) as server:
            reader, wrong = reader_of(origin_of(server), language=language), []
            for name, view in ALONE.items():
                view.visit(reader)
                wrong += looked_at(reader, name, inspector)
                if name == SIGNING_IN:
                    reader.page.locator("#token").fill(secret)
                    reader.page.locator("main form button").click()
                    reader.page.wait_for_url("**/console/")
        with serving(signed_in(ledger, Mode.PROXY)) as server:
            reader = reader_of(origin_of(server), language=language)
            View("/console/", status=401).visit(reader)
            wrong += looked_at(reader, "visitor", inspector)
    assert wrong == []
    assert inspector.looks == (len(ALONE) + 1) * len(WIDTHS) * len(SCHEMES)


def origin_of(server: WebServer) -> str:
    return f"http://127.0.0.1:{server.port}"
