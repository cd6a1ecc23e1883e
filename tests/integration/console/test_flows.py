"""The ways that are to be short, with a real browser and 4,000 dead letters: to a cause, and to all of it sent again.

`CONSOLE_PICTURES=FOLDER` stores what is seen at each step there.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from recovery.ledger.rows import State
from recovery.ledger.selection import Selection
from recovery.manager import ramp
from recovery.manager.roles import Role
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from tests.integration.manager.conftest import serving
from tests.support import console_flows as flows
from tests.support.console_arrivals import CAUSES, STACK, Scene
from tests.support.console_office import Office, executing, tokens_of
from tests.support.reader import Reader
from tests.support.signed_in import signed_in

pytestmark = pytest.mark.timeout(600)

PICTURES = os.environ.get("CONSOLE_PICTURES")
MAX_S = 10
"""In which a script is to be at the cause."""
MAX_CLICKS = 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("incident")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        yield flows.incident(signed_in(ledger, Mode.TOKEN))


@pytest.fixture(scope="module")
def tokens(scene: Scene) -> Mapping[Role, str]:
    return tokens_of(scene.api)


@pytest.fixture
def office(scene: Scene, tokens: Mapping[Role, str], reader_of: Callable[..., Reader]) -> Iterator[Office]:
    with serving(scene.api) as server:
        made = Office(scene.api, server.port, reader_of, tokens)
        yield made
        made.close()


@pytest.fixture
def operator(office: Office) -> Reader:
    """Somebody who is signed in, and whose clicks are counted."""
    reader = office.window(Role.OPERATOR)
    flows.count_clicks(reader)
    return reader


def walk(steps: Iterator[flows.Step]) -> None:
    """Go to the end of a way, with a picture of each step if they are wanted."""
    for name, reader in steps:
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            reader.picture(Path(PICTURES, f"{name}.png"), whole=False)


def test_a_notification_leads_to_the_cause_and_to_a_stack(scene: Scene, office: Office, operator: Reader):
    began = time.monotonic()
    walk(flows.from_a_notification(operator, flows.link_in(flows.notification(scene, office.origin))))
    took_s = time.monotonic() - began
    assert STACK.splitlines()[-1] in operator.text
    assert 1 + flows.clicks(operator) <= MAX_CLICKS
    assert took_s <= MAX_S


def test_an_alert_on_the_depth_leads_to_the_cause_and_to_a_stack(operator: Reader):
    began = time.monotonic()
    steps = flows.from_an_alert(operator)
    next(steps)
    assert "DlqDepth" in operator.page.locator("#alerts").inner_text()
    walk(steps)
    assert time.monotonic() - began <= MAX_S
    assert STACK.splitlines()[-1] in operator.text
    assert 1 + flows.clicks(operator) <= MAX_CLICKS


def test_the_cause_leads_to_all_of_it_sent_again(scene: Scene, operator: Reader, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ramp, "STEP_S", 0.3)  # each step of the ramp takes 5 s otherwise
    operator.go(f"/console/groups/{CAUSES[flows.CAUSE].fingerprint}")
    before = flows.clicks(operator)
    with executing(scene.api):
        walk(flows.to_a_redrive(operator))
    assert flows.clicks(operator) - before <= MAX_CLICKS
    [operation] = scene.api.ledger.operations.page()
    assert (operation.done, operation.failed, operation.skipped) == (flows.COUNT, 0, 0)
    assert operation.step > 0
    sent = scene.api.fakes.source.messages.values()
    assert len({one.body for one in sent}) == len(sent) == flows.COUNT
    group = Selection(states=(State.SENT,), group=CAUSES[flows.CAUSE].fingerprint)
    assert scene.api.ledger.count(group) == flows.COUNT
    assert "4,000 of 4,000" in operator.text
