"""The matrix of roles in the browser: whatever any page offers, it offers to whoever may do it, and refuses it to all others."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from recovery.manager.roles import Role
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from tests.integration.manager.conftest import serving
from tests.support.api import console_of
from tests.support.console_arrivals import Scene
from tests.support.console_offers import Offer, all_pages, changing_routes, look, send
from tests.support.console_office import Office
from tests.support.console_scene import console_scene
from tests.support.library import library
from tests.support.reader import Reader
from tests.support.signed_in import signed_in

FORBIDDEN = 403
Name = tuple[str, tuple[str, str, str]]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        index = library(tmp_path / "index.sqlite")
        yield console_scene(signed_in(ledger, Mode.TOKEN, index=index, search_page=True), paused=False)


@pytest.fixture
def office(scene: Scene, reader_of: Callable[..., Reader]) -> Iterator[Office]:
    with serving(scene.api) as server:
        made = Office(scene.api, server.port, reader_of)
        yield made
        made.close()


def everything_offered(pages: Mapping[str, str], reader: Reader) -> dict[Name, Offer]:
    """The offers of all pages; also of the one that shows a body, which is the answer to a form."""
    found: dict[Name, Offer] = {}
    for name, path in pages.items():
        seen = look(reader, path)
        assert seen.status in {200, FORBIDDEN}, (name, seen.status)
        found |= {(name, one.name): one for one in seen.offers}
    if ("message foreign", ("/console/messages/ID", "body", "")) in found:
        found |= {("body", one.name): one for one in look(reader, pages["message foreign"], "do=body").offers}
    return found


def done(scene: Scene) -> Any:
    """What was done so far, as far as anything can be."""
    ledger, fakes = scene.api.ledger, scene.api.fakes
    rows = {name: ledger.get(identity) for name, identity in scene.ids.items()}
    return (
        rows,
        [(one.id, one.state) for one in ledger.operations.page()],
        len(fakes.source.messages),
        fakes.under("pause"),
    )


def test_what_is_offered_is_what_is_permitted(scene: Scene, office: Office):
    windows, pages = {role: office.window(role) for role in Role}, all_pages(scene)
    offered = {role: everything_offered(pages, window) for role, window in windows.items()}
    every, before = offered[Role.ADMIN], done(scene)
    wrong: list[str] = []
    named = {name: offer for (_, name), offer in every.items()}
    may = {role: {name for _, name in offers} for role, offers in offered.items()}
    for role in Role:
        assert offered[role].keys() == {(page, name) for page, name in every if name in may[role]}, role
    for role in Role:
        refused = {name: send(windows[role], named[name]) for name in named.keys() - may[role]}
        wrong += [f"{role} is not offered {name}: {status}" for name, status in refused.items() if status != FORBIDDEN]
    assert done(scene) == before
    for role in Role:
        taken = {name: send(windows[role], named[name]) for name in may[role]}
        wrong += [f"{role} is offered {name}: {status}" for name, status in taken.items() if status in {401, FORBIDDEN}]
    assert wrong == []
    routes = changing_routes(console_of(scene.api.app))
    reached = {path for path, pattern in routes.items() if any(pattern.match(one.action) for one in named.values())}
    assert routes.keys() - reached == {
        "/console/preferences",
        "/console/fleet/resume",
    }  # for everybody; of a fleet that rests


def test_a_stranger_is_offered_the_way_in_and_nothing_else(scene: Scene, office: Office):
    stranger, admin, pages = office.window(), office.window(Role.ADMIN), all_pages(scene)
    every = everything_offered(pages, admin)
    before, offered = done(scene), set()
    stranger.go("/auth/login")
    for path in pages.values():
        seen = look(stranger, path)
        assert (seen.status, seen.path) == (200, "/auth/login"), path
        offered |= {one.action for one in seen.offers}
    assert offered == {"/auth/login"}
    assert {send(stranger, one) for one in {one.name: one for one in every.values()}.values()} == {401}
    assert done(scene) == before
