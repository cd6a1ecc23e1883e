"""Everything that a person can have done, by scripts and without them, on either database: what became of it, not what is said.

One manager serves all tests of a database; each has a group of dead letters of its own.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from recovery.ledger.operations import OperationState
from recovery.ledger.rows import Row, State
from recovery.manager.console import confirming
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET, NOW_MS
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.console_office import executing, says, until_done, wait_until
from tests.support.reader import Reader

COUNT = 3
HOUR_MS = 3_600_000
MAPS = {"type": "maps", "city": "松江", "correlation_id": "c-1", "lat": 35.4, "lng": 133.0, "radius": 5, "category": "x",
        "enqueued_at": 1}  # fmt: skip


@dataclass(frozen=True)
class Manager:
    """A manager that serves, and carries its operations out."""

    api: Api
    origin: str
    scripts: bool
    """Whether those who look at it let scripts run."""

    def fail(self, group: str, count: int = COUNT, **fields: object) -> list[str]:
        """Dead letters of one cause, whose objects are there; their names."""
        names = [f"{group}-{number}" for number in range(count)]
        for name in names:
            key = f"契約/{name}.pdf"
            self.api.fakes.s3.bodies[key] = f"The text of {name}".encode()
            about = {"type": "s3-event", "bucket": BUCKET, "object_key": key, "about": f"s3://{BUCKET}/{key}"}
            given: dict[str, Any] = {"fingerprint": group, **about, **fields}
            self.api.add(name, body=s3_event(s3_record(BUCKET, key)), **given)
        return names

    def rows(self, names: list[str]) -> list[Row]:
        """They, as they are in the ledger now."""
        return [row for name in names if (row := self.api.ledger.get(name)) is not None]

    def record(self, name: str) -> dict[str, object]:
        """What the state bucket has of a dead letter that waits."""
        [row] = self.rows([name])
        return dict(json.loads(self.api.fakes.s3.records[row.key]))

    def sent(self, group: str) -> int:
        """How many messages of a group are in the queue."""
        return sum(f"{group}-" in one.body for one in self.api.fakes.source.messages.values())


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def manager(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """With SQLite scripts run, with PostgreSQL they do not: each pair of both would take twice as long, and show no more."""
    url = f"sqlite:///{tmp_path_factory.mktemp('actions')}/ledger.sqlite"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql").new_database()
    with contextlib.closing(new_ledger(url)) as ledger:
        api = Api(ledger)
        with serving(api) as server, executing(api):
            yield Manager(api, f"http://127.0.0.1:{server.port}", scripts=request.param == "sqlite")


@pytest.fixture
def reader(manager: Manager, reader_of: Callable[..., Reader]) -> Reader:
    return reader_of(manager.origin, scripts=manager.scripts)


def named(request: pytest.FixtureRequest, word: str) -> str:
    """The name of a group that no other test has."""
    return word + str(sum(request.node.name.encode()) % 9_973)


def start(reader: Reader) -> None:
    """Carry out the plan that is shown, and wait for its end."""
    reader.page.wait_for_url("**/console/plans/**")
    reader.page.locator("form[action$='/start'] button").click()
    reader.page.wait_for_url("**/console/operations/*")
    until_done(reader)


def of_group(reader: Reader, group: str, button: str, label: str = "", typed: str = "") -> None:
    """What a button on the page of a group does, once its plan is confirmed."""
    reader.go(f"/console/groups/{group}")
    row = reader.page.locator("form.row", has=reader.page.get_by_role("button", name=button, exact=True))
    if label:
        row.get_by_label(label).fill(typed)
    row.get_by_role("button").click()
    start(reader)


def test_what_is_done_with_a_group(request: pytest.FixtureRequest, manager: Manager, reader: Reader):
    api = manager.api
    group = named(request, "d0")
    names = manager.fail(group)
    of_group(reader, group, "Hold", "Why nobody may act on them", "訴訟")
    assert [row.hold for row in manager.rows(names)] == ["訴訟"] * COUNT
    assert "訴訟" in json.dumps(manager.record(names[0]), ensure_ascii=False)
    of_group(reader, group, "Release")
    assert [row.hold for row in manager.rows(names)] == [None] * COUNT
    of_group(reader, group, "Assign", "Owner", "ana@example.com")
    of_group(reader, group, "Note", "Note", "looked into")
    assert {(row.owner, row.note) for row in manager.rows(names)} == {("ana@example.com", "looked into")}
    of_group(reader, group, "Schedule")
    assert {(row.state, row.retry_by) for row in manager.rows(names)} == {(State.SCHEDULED, "api@host")}
    assert all(abs((row.retry_at_ms or 0) - NOW_MS - HOUR_MS) < 60_000 for row in manager.rows(names))
    of_group(reader, group, "Redrive, slowly at first")
    assert {row.state for row in manager.rows(names)} == {State.SENT}
    assert manager.sent(group) == COUNT

    recovered = named(request, "e0")
    names = manager.fail(recovered)
    of_group(reader, recovered, "Recover")
    assert {row.state for row in manager.rows(names)} == {State.RECOVERED}
    assert all((BUCKET, f"契約/{name}.pdf") in api.fakes.index.documents for name in names)
    assert manager.sent(recovered) == 0

    abandoned = named(request, "f0")
    names = manager.fail(abandoned)
    of_group(reader, abandoned, "Abandon", "Why they are given up", "duplicates")
    assert {row.state for row in manager.rows(names)} == {State.ABANDONED}
    archived = [one for one in api.fakes.under("dlq-archive/").values() if abandoned in json.dumps(one)]
    assert len(archived) == COUNT
    assert all("duplicates" in json.dumps(one) for one in archived)
    reader.go(f"/console/archive?q=group:{abandoned}")
    reader.page.locator("input[name=id]").first.check()
    reader.page.get_by_role("button", name="Only those that are selected").click()
    start(reader)
    assert manager.sent(abandoned) == 1
    assert sorted(row.state for row in manager.rows(names))[:2] == [State.ABANDONED] * 2


def test_what_is_selected_and_what_matches(request: pytest.FixtureRequest, manager: Manager, reader: Reader):
    group = named(request, "a1")
    names = manager.fail(group, 4)
    page = reader.page
    listed = f"/console/messages?q=group:{group}&sort=key&order=asc"
    reader.go(listed)
    page.get_by_role("button", name="Only those that are selected").click()
    assert "Nothing is selected" in reader.text
    reader.go(listed)
    for number in (0, 2):
        page.locator("input[name=id]").nth(number).check()
    page.get_by_label("What to do").select_option("hold")
    page.get_by_label("Reason").fill("two of them")
    page.get_by_role("button", name="Only those that are selected").click()
    start(reader)
    assert [row.hold for row in manager.rows(names)] == ["two of them", None, "two of them", None]
    reader.go(listed)
    late = manager.fail(f"{group}late", 1, fingerprint=group, last_seen_ms=NOW_MS + 10 * HOUR_MS)
    page.get_by_label("What to do").select_option("note")
    page.get_by_text("More", exact=True).click()
    page.get_by_role("textbox", name="Note").fill("all of them")
    page.get_by_role("button", name="that match").click()
    page.wait_for_url("**/console/plans/*")
    assert "Write a note on 4 messages" in reader.text
    start(reader)
    assert [row.note for row in manager.rows(names)] == ["all of them"] * 4
    assert [row.note for row in manager.rows(late)] != ["all of them"]


def test_what_is_done_with_one_message(request: pytest.FixtureRequest, manager: Manager, reader: Reader):
    api, page = manager.api, reader.page
    group = named(request, "b2")
    [name] = manager.fail(group, 1)
    reader.go(f"/console/messages/{name}")
    page.get_by_label("Why it is held").fill("legal")
    page.get_by_role("button", name="Hold", exact=True).click()
    page.get_by_role("button", name="Release").wait_for()
    assert [row.hold for row in manager.rows([name])] == ["legal"]
    page.get_by_role("button", name="Release").click()
    page.get_by_label("Why it is held").wait_for()
    page.get_by_label("Owner", exact=True).fill("ben@example.com")
    page.get_by_role("button", name="Save the owner").click()
    page.get_by_text("owner named").wait_for()
    page.get_by_role("textbox", name="Note").fill("一行目\n二行目")
    page.get_by_role("button", name="Save the note").click()
    page.get_by_text("note written").wait_for()
    [row] = manager.rows([name])
    assert (row.hold, row.owner, row.note) == (None, "ben@example.com", "一行目\n二行目")
    viewed = len(api.views())
    page.get_by_role("button", name="Show body").click()
    page.get_by_text("This view is recorded in the audit.").wait_for()
    assert len(api.views()) == viewed + 1
    reader.go(f"/console/messages/{name}")
    for button, state in (("Schedule", State.SCHEDULED), ("Abandon", State.ABANDONED), ("Restore", State.ABANDONED)):
        page.locator("form.act").get_by_role("button", name=button).click()
        start(reader)
        assert [row.state for row in manager.rows([name])] == [state], button
        reader.go(f"/console/messages/{name}")
    assert manager.sent(group) == 1


def test_a_copy_is_edited_and_sent_once(request: pytest.FixtureRequest, manager: Manager, reader: Reader):
    name, page = named(request, "copied"), reader.page
    manager.api.add(name, body=json.dumps(MAPS, ensure_ascii=False), type="maps", fingerprint=name)
    before = dict(manager.api.fakes.source.messages)
    reader.go(f"/console/messages/{name}")
    page.get_by_role("button", name="Show body").click()
    body = page.get_by_label("The body of the copy")
    assert "松江" in body.input_value()
    body.fill(json.dumps({**MAPS, "city": f"出雲 {name}"}, ensure_ascii=False))
    page.get_by_role("button", name="Send the copy").dblclick()
    page.get_by_text("edited copy sent").first.wait_for()
    sent = [one for one in manager.api.fakes.source.messages.values() if one.id not in before]
    assert [json.loads(one.body)["city"] for one in sent] == [f"出雲 {name}"]
    [original] = manager.rows([name])
    assert original.hold is not None
    assert "松江" in json.dumps(manager.record(name), ensure_ascii=False)
    page.get_by_role("button", name="Show body").click()
    assert page.get_by_role("button", name="Send the copy").count() == 0


def test_a_schedule_is_ended_or_not_waited_for(request: pytest.FixtureRequest, manager: Manager, reader: Reader):
    group, page = named(request, "c3"), reader.page
    names = manager.fail(group, 3, state=State.SCHEDULED, retry_at_ms=NOW_MS + HOUR_MS)
    for number, (button, state) in enumerate((("Unschedule", State.OPEN), ("Redrive now", State.SENT))):
        reader.go(f"/console/schedule?q=group:{group}")
        page.locator(f"input[name=id][value='{names[number]}']").check()
        page.get_by_role("button", name=button).first.click()
        start(reader)
        assert [row.state for row in manager.rows(names[number : number + 1])] == [state]
    assert (manager.sent(group), [row.state for row in manager.rows(names[2:])]) == (1, [State.SCHEDULED])


def test_a_plan_is_changed_and_confirmed_by_typing(
    request: pytest.FixtureRequest, manager: Manager, reader: Reader, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(confirming, "MANY", COUNT - 1)
    group, page = named(request, "d4"), reader.page
    names = manager.fail(group)
    reader.go(f"/console/groups/{group}")
    page.get_by_role("button", name="Redrive, slowly at first").click()
    page.get_by_text("Change how it is done").click()
    page.get_by_label("As fast as possible").check()
    page.get_by_role("button", name="Plan it in this way").click()
    page.get_by_text("As fast as possible, from the beginning.").wait_for()
    page.get_by_label("to confirm").fill("30")
    page.locator("form[action$='/start'] button").click()
    page.get_by_text("what has to be typed is something else").wait_for()
    assert manager.sent(group) == 0
    page.get_by_label("to confirm").fill(f" {COUNT} ")
    start(reader)
    assert (manager.sent(group), {row.state for row in manager.rows(names)}) == (COUNT, {State.SENT})
    [operation] = [one for one in manager.api.ledger.operations.page() if group in (one.query or "")]
    assert operation.options["ramp"] is False


def test_an_operation_is_paused_resumed_and_cancelled(request: pytest.FixtureRequest, manager: Manager, reader: Reader):
    group, page = named(request, "e5"), reader.page
    names = manager.fail(group, 12)
    reader.go(f"/console/groups/{group}")
    page.get_by_role("button", name="Redrive, slowly at first").click()
    page.locator("form[action$='/start'] button").click()
    page.wait_for_url("**/console/operations/*")
    path = reader.path

    def becomes(state: OperationState) -> None:
        def is_so() -> bool:
            [one] = [one for one in manager.api.ledger.operations.page() if one.id in path]
            return one.state is state

        wait_until(is_so, reader)
        reader.go(path)

    wait_until(lambda: manager.sent(group) > 0, reader)
    page.get_by_role("button", name="Pause").click()
    becomes(OperationState.PAUSED)
    assert says(reader).startswith("Paused")
    page.get_by_role("button", name="Resume").click()
    becomes(OperationState.RUNNING)
    page.get_by_role("button", name="Cancel").click()
    becomes(OperationState.CANCELLED)
    wait_until(lambda: manager.api.ledger.operations.page(ended=False) == [], reader)
    sent = manager.sent(group)
    assert 0 < sent < 12
    states = [row.state for row in manager.rows(names)]
    assert (states.count(State.SENT), states.count(State.OPEN)) == (sent, 12 - sent)
    reader.go(path)
    page.locator(".cards").get_by_role("link", name="left as they were").click()
    page.wait_for_url("**state=left*")
    assert page.locator("tr[data-row]").count() == 12 - sent
    assert "cancelled" in page.locator("tbody").inner_text()


def test_the_fleet_is_paused_and_resumed(manager: Manager, reader: Reader):
    page, state = reader.page, manager.api.fakes.state
    reader.go("/console/")
    page.get_by_text("Pause the fleet").first.click()
    page.get_by_label("Reason").fill("index upgrade")
    page.get_by_role("button", name="Pause the fleet").click()
    page.get_by_text("Paused by api@host: index upgrade").last.wait_for()
    assert (state.pause_record() or {})["reason"] == "index upgrade"
    page.get_by_role("button", name="Resume the fleet").click()
    page.get_by_text("Pause the fleet").first.wait_for()
    assert state.pause_record() is None


def test_a_language_is_chosen_and_kept(manager: Manager, reader: Reader):
    path = f"/console/messages?q={quote('key:契約')}"
    reader.go(path)
    reader.page.get_by_role("button", name="日本語").click()
    reader.page.wait_for_url(f"**{path}")
    assert reader.page.locator("html").get_attribute("lang") == "ja"
    reader.go("/console/groups")
    reader.page.get_by_role("button", name="English").click()
    assert (reader.path, reader.page.locator("html").get_attribute("lang")) == ("/console/groups", "en")


def test_times_are_in_the_zone_of_whoever_reads(manager: Manager, reader_of: Callable[..., Reader]):
    new = reader_of(manager.origin, zone="America/New_York", is_new=True)
    new.page.goto(f"{new.origin}/console/groups")
    new.page.get_by_text("(America/New_York)").wait_for()
    stranger = reader_of(manager.origin, zone="America/New_York", is_new=True, scripts=False)
    stranger.go("/console/groups")
    assert "(UTC)" in stranger.text
