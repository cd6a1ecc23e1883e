"""The page of one message in a real browser: what is there now comes later, ids and commands are copied, names kept apart."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recovery.manager.console.addresses import message_path
from recovery.manager.web.server import WebServer
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.reader import Reader

NAMES = ["..", ".", "a/../b", "%2e%2e", "a%2Fb", "a/b", "a/now", "a?now=yes#x", "a b+c", "\\", "//evil.example"]
KEY = "契約/1.pdf"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        made = Api(ledger)
        for name in ("m", *NAMES):
            made.add(name, body=s3_event(s3_record(BUCKET, KEY)), type="s3-event", about=f"about {name}")
        yield made


@pytest.fixture
def served(api: Api) -> Iterator[WebServer]:
    with serving(api) as server:
        yield server


@pytest.fixture
def open_one(served: WebServer, reader_of: Callable[..., Reader]) -> Callable[..., Reader]:
    return lambda **who: reader_of(f"http://127.0.0.1:{served.port}", **who)


def slow(api: Api, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let S3 answer only once this is set."""
    answers, read = threading.Event(), api.fakes.s3.read

    def late(bucket: str, key: str) -> object:
        answers.wait(30)
        return read(bucket, key)

    monkeypatch.setattr(api.fakes.s3, "read", late)
    return answers


def test_a_slow_s3_does_not_hold_the_page_and_what_it_says_comes_later(
    api: Api, open_one: Callable[..., Reader], monkeypatch: pytest.MonkeyPatch
):
    answers, reader = slow(api, monkeypatch), open_one()
    reader.go("/console/messages/m")
    now = reader.page.locator("#now")
    assert "S3 and the index are being asked" in now.inner_text()
    assert reader.page.get_by_role("button", name="Redrive …").is_visible()
    answers.set()
    now.get_by_text("Looked at:").wait_for()
    assert "It is gone." in now.inner_text()
    assert reader.page.locator("#said").inner_text() == "S3 and the index were looked at."
    api.fakes.s3.bodies[KEY] = b"text"
    now.get_by_role("link", name="Look again").click()
    now.get_by_text("4 B, written").wait_for()
    assert reader.page.evaluate("document.activeElement.textContent") == "Look again"
    assert reader.path == "/console/messages/m"


def test_where_nothing_answers_the_page_says_so_and_can_ask_again(open_one: Callable[..., Reader]):
    reader = open_one()
    reader.page.route("**/messages/m?now=yes", lambda route: route.abort())
    reader.go("/console/messages/m")
    now = reader.page.locator("#now")
    now.get_by_text("have not answered in time").wait_for()
    reader.page.unroute("**/messages/m?now=yes")
    now.get_by_role("link", name="See what S3 and the index hold now").click()
    now.get_by_text("Looked at:").wait_for()
    assert "have not answered" not in now.inner_text()


def test_ids_keys_and_commands_are_copied_and_that_is_said(open_one: Callable[..., Reader]):
    reader = open_one()
    reader.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reader.go(message_path("a b+c"))
    reader.page.locator("#now").get_by_text("Looked at:").wait_for()
    for name, text in (
        ("id", "a b+c"), ("redrive", "dlq redrive --message-id 'a b+c'"), ("advised", "dlq recover --message-id 'a b+c'"),
    ):  # fmt: skip
        button = reader.page.locator(f"button[data-copy='copy-{name}']")
        button.click()
        reader.page.locator("#said", has_text="Copied").wait_for(state="attached")
        assert button.inner_text() == "Copied"
        assert reader.page.evaluate("navigator.clipboard.readText()") == text
    button.get_by_text("Copy", exact=True).wait_for()
    assert reader.page.locator("#said").inner_text() == ""


def test_where_a_browser_has_no_clipboard_the_text_is_copied_all_the_same(open_one: Callable[..., Reader]):
    reader = open_one()
    reader.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    reader.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    reader.go("/console/messages/m")
    reader.page.get_by_text("It is gone.").wait_for()  # which is said where copying is
    reader.page.locator("button[data-copy='copy-id']").click()
    reader.page.locator("#said", has_text="Copied").wait_for(state="attached")
    reader.page.keyboard.press("Tab")
    owner = reader.page.get_by_label("Owner", exact=True)
    owner.focus()
    owner.press("Control+V")
    assert owner.input_value() == "m"


def test_without_scripts_everything_is_there_but_the_buttons_that_copy(api: Api, open_one: Callable[..., Reader]):
    reader = open_one(scripts=False)
    reader.go("/console/messages/m")
    assert reader.page.get_by_role("button", name="Copy").count() == 0
    reader.page.get_by_role("link", name="See what S3 and the index hold now").click()
    assert "It is gone." in reader.text
    reader.page.get_by_label("Why it is held").fill("legal")
    reader.page.get_by_role("button", name="Hold", exact=True).click()
    assert "Held: legal" in reader.text
    reader.page.get_by_role("button", name="Release").click()
    reader.page.get_by_role("button", name="Show body").click()
    assert '"Records": [' in reader.text
    reader.page.get_by_role("button", name="Schedule …").click()
    reader.page.get_by_role("button", name="Schedule 1 message").click()
    assert reader.path.startswith("/console/operations/")
    assert api.ledger.get("m").hold is None  # type: ignore[union-attr]


def test_names_that_look_like_addresses_are_kept_apart_by_a_browser(api: Api, open_one: Callable[..., Reader]):
    reader = open_one(scripts=False)
    for name in NAMES:
        reader.go("/console/messages")
        line = reader.page.locator("tr[data-row]").filter(has=reader.page.locator(f"a[href='{message_path(name)}']"))
        line.locator("a").first.click()
        assert reader.page.locator("#copy-id").inner_text() == name
        note = reader.page.locator("textarea[name=note]")
        note.fill(f"of {name}")
        reader.page.get_by_role("button", name="Save the note").click()
        assert (reader.page.locator("#copy-id").inner_text(), note.input_value()) == (name, f"of {name}")
        assert api.ledger.get(name).note == f"of {name}"  # type: ignore[union-attr]
