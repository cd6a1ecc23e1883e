"""Every page in either language and colour scheme, on a phone and at a desk: nobody is kept out, nothing is too wide or large."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from recovery.manager.web.server import WebServer
from testing.ledgers import new_ledger
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.console_arrivals import Scene
from tests.support.console_pages import pages_of
from tests.support.console_scene import console_scene
from tests.support.reader import WIDTHS, Reader

MAX_BYTES = 100_000
"""Of a page over the wire."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("scene")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        yield console_scene(Api(ledger))


@pytest.fixture(scope="module")
def served(scene: Scene) -> Iterator[WebServer]:
    with serving(scene.api) as server:
        yield server


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_keeps_anybody_out_or_is_too_wide(
    scene: Scene, served: WebServer, reader_of: Callable[..., Reader], language: str, scheme: str, width: int
):
    reader, axe, wrong = (
        reader_of(f"http://127.0.0.1:{served.port}", language=language, scheme=scheme, width=width),
        Axe(),
        [],
    )
    for name, path in pages_of(scene).items():
        reader.go(path)
        if reader.sideways_px:
            wrong.append(f"{name}: {reader.sideways_px} px too wide")
        found = axe.run(reader.page, options={"resultTypes": ["violations"]})
        wrong += [f"{name}: {one}" for one in found.generate_snapshot().splitlines()]
    assert wrong == []


def test_a_page_is_small(scene: Scene, served: WebServer, reader_of: Callable[..., Reader]):
    reader = reader_of(f"http://127.0.0.1:{served.port}")
    pages = pages_of(scene)
    for path in pages.values():
        reader.go(path)
    sizes = {name: reader.sizes[f"{reader.origin}{path}"] for name, path in pages.items()}
    assert {name: size for name, size in sizes.items() if size > MAX_BYTES} == {}
