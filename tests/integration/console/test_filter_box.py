"""The box of a filter in a real browser: words are completed from the keyboard, and without scripts it is a box like any other."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from testing.ledgers import new_ledger
from tests.integration.manager.conftest import serving
from tests.support.api import Api
from tests.support.reader import Reader

ReaderOf = Callable[..., Reader]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("box")
    with contextlib.closing(new_ledger(f"sqlite:///{folder}/ledger.sqlite")) as ledger:
        api = Api(ledger)
        api.fill()
        with serving(api) as server:
            yield f"http://127.0.0.1:{server.port}"


class Box:
    """The box, as a reader with a screen reader meets it."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.input = reader.page.get_by_role("combobox", name="Filter")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.reader.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.reader.page.keyboard.type(text)

    @property
    def value(self) -> str:
        return self.input.input_value()

    @property
    def options(self) -> list[str]:
        return self.reader.page.get_by_role("option").locator("code").all_inner_texts()

    @property
    def active(self) -> str | None:
        """What a screen reader says is chosen."""
        name = self.input.get_attribute("aria-activedescendant")
        return name and self.reader.page.locator(f"#{name}[aria-selected=true] code").inner_text()


@pytest.fixture
def box(origin: str, reader_of: ReaderOf) -> Box:
    reader = reader_of(origin)
    reader.go("/console/messages?sort=key&order=asc&column=key&column=kind")
    found = Box(reader)
    found.press("/")
    return found


def test_a_name_and_a_value_are_completed_by_arrows_and_enter(box: Box):
    box.type("ki")
    assert (box.options, box.active, box.input.get_attribute("aria-expanded")) == (["kind:"], None, "true")
    box.press("ArrowDown")
    assert box.active == "kind:"
    box.press("Enter")
    assert (box.value, box.options[:2]) == ("kind:", ["RECOVERABLE", "USER_ERROR"])
    box.press("ArrowUp")
    assert box.active == "UNKNOWN"
    box.press("ArrowDown", "Enter")
    assert (box.value, box.options) == ("kind:RECOVERABLE ", [])
    box.type("state:op")
    box.press("ArrowDown", "Enter")
    assert box.value == "kind:RECOVERABLE state:open "
    box.press("Enter")
    box.reader.page.wait_for_url("**q=kind**")
    asked = parse_qs(urlsplit(box.reader.page.url).query)
    assert asked == {
        "q": ["kind:RECOVERABLE state:open "],
        "sort": ["key"],
        "order": ["asc"],
        "column": ["key", "kind"],
    }


def test_a_word_in_the_middle_a_list_and_a_quoted_text_are_completed_as_they_should(box: Box):
    box.input.fill("state: key:契約")
    for _ in "key:契約 ":
        box.press("ArrowLeft")
    box.type("sent,o")
    assert box.options == ["open"]
    box.press("ArrowDown", "Enter")
    assert box.value == "state:sent,open key:契約"
    box.input.fill('text:"k')
    assert box.options == []
    box.input.fill("hold:yes")
    assert box.options == []


def test_escape_closes_the_list_first_and_a_mouse_chooses_too(box: Box):
    box.press("ArrowDown")
    assert len(box.options) == 18
    box.press("Escape")
    assert (box.options, box.input.get_attribute("aria-expanded")) == ([], "false")
    assert box.input.evaluate("one => one === document.activeElement")
    box.type("own")
    box.reader.page.get_by_role("option").first.click()
    assert (box.value, box.options) == ("owner:", ["-"])
    box.press("Tab")
    assert box.options == []


def test_an_open_list_keeps_nobody_out(box: Box):
    box.type("state:")
    box.press("ArrowDown")
    found = Axe().run(box.reader.page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def test_the_list_fits_a_phone(origin: str, reader_of: ReaderOf):
    reader = reader_of(origin, width=360, language="ja")
    reader.go("/console/messages")
    reader.page.locator("#q").press("ArrowDown")
    assert reader.page.locator("#completions li").count() == 18
    assert reader.sideways_px == 0


def test_without_scripts_it_is_a_box_and_what_is_wrong_stands_below_it(origin: str, reader_of: ReaderOf):
    reader = reader_of(origin, scripts=False)
    reader.go("/console/messages")
    reader.page.get_by_label("Filter").fill("kind:x")
    reader.page.get_by_role("button", name="Show", exact=True).click()
    reader.page.wait_for_url("**q=kind**")
    assert "kind cannot be “x”. It can be: RECOVERABLE" in reader.text
    assert reader.page.locator("#q").input_value() == "kind:x"


def test_what_is_selected_is_counted_while_it_is_ticked(origin: str, reader_of: ReaderOf):
    reader = reader_of(origin)
    reader.go("/console/messages?q=state:any")
    button = reader.page.locator("#act button").first
    assert button.inner_text() == "Only those that are selected: 0"
    reader.page.get_by_label("Select all of this page").check()
    assert button.inner_text() == "Only those that are selected: 3"
    reader.page.locator("tr[data-row] input").first.uncheck()
    assert button.inner_text() == "Only those that are selected: 2"
    button.click()
    reader.page.wait_for_url("**/console/plans/*")
    assert "2 messages" in reader.page.locator("h1").inner_text()
