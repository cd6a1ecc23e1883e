"""The console without a mouse: its keys, the order and the sight of the focus, and what becomes of both when a page is renewed."""

from typing import TYPE_CHECKING

import pytest

from recovery.ledger.operations import OperationState
from recovery.ledger.refusals import Verb
from recovery.manager.roles import Role
from tests.support.api import Api
from tests.support.console_office import COUNT, Office, until_done, wait_until
from tests.support.reader import Reader

if TYPE_CHECKING:
    from playwright.sync_api import Keyboard

_FOCUSED = "document.activeElement.textContent.trim() || document.activeElement.name || document.activeElement.tagName"
_INVISIBLE = """() => [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")]
  .filter((one) => one.checkVisibility() && !one.disabled && one.type !== "hidden" && one.tabIndex >= 0).filter((one) => {
    one.focus({ focusVisible: true });
    const style = getComputedStyle(one);
    const isSeen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && style.outlineColor !== "transparent";
    return document.activeElement !== one || !isSeen;
  }).map((one) => one.outerHTML.slice(0, 200))"""
_RENEW = "window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"
"""As where the browser shows a page that it has kept; the page then asks for itself again."""
_MAX_TABS = 120


@pytest.fixture
def operator(office: Office) -> Reader:
    return office.window(Role.OPERATOR)


def focused(reader: Reader) -> str:
    """What has the focus."""
    return str(reader.page.evaluate(_FOCUSED))


def tab_to(reader: Reader, name: str) -> None:
    """Go on with the key Tab to what is called so."""
    for _ in range(_MAX_TABS):
        reader.page.keyboard.press("Tab")
        if focused(reader).startswith(name):
            return
    raise AssertionError(f"{name} is not reached; the focus is at {focused(reader)}")


def current(reader: Reader) -> int:
    """The number of rows that are the present one."""
    return reader.page.locator('[data-row][aria-current="true"]').count()


def sent(api: Api) -> int:
    return len(api.fakes.source.messages)


@pytest.mark.usefixtures("executing")
def test_a_redrive_from_the_filter_to_its_end_by_keys(office: Office, operator: Reader):
    keys: Keyboard = operator.page.keyboard
    operator.go("/console/messages")
    keys.press("/")
    keys.type("key:n0")
    keys.press("Enter")
    operator.page.wait_for_url("**q=key*")
    for key in ("j", "x", "j", "j", "x", "k"):
        keys.press(key)
    assert current(operator) == 1
    assert operator.page.locator("[data-selected]").first.inner_text() == "2"
    keys.press("a")
    assert operator.page.evaluate("document.activeElement.name") == "verb"
    tab_to(operator, "Only those that are selected")
    keys.press("Enter")
    operator.page.wait_for_url("**/console/plans/*")
    keys.press("a")
    assert focused(operator) == "Redrive 2 messages"
    keys.press("Enter")
    operator.page.wait_for_url("**/console/operations/*")
    until_done(operator)
    assert sent(office.api) == 2
    keys.press("j")
    keys.press("Enter")
    operator.page.wait_for_url("**/console/messages/n0*")


@pytest.mark.usefixtures("executing")
def test_a_redrive_without_scripts_by_tab_and_space(office: Office):
    reader = office.window(Role.OPERATOR, scripts=False)
    keys = reader.page.keyboard
    reader.go("/console/groups")
    keys.press("Tab")
    assert focused(reader) == "Skip to the content"
    keys.press("Enter")
    tab_to(reader, "ReadTimeoutError")
    keys.press("Enter")
    reader.page.wait_for_url("**/console/groups/*")
    tab_to(reader, "Redrive, slowly at first")
    keys.press("Space")
    reader.page.wait_for_url("**/console/plans/*")
    tab_to(reader, "Change how it is done")
    keys.press("Enter")
    tab_to(reader, "ramp")
    keys.press("ArrowDown")
    tab_to(reader, "Plan it in this way")
    keys.press("Enter")
    reader.page.get_by_text("As fast as possible, from the beginning").wait_for()
    tab_to(reader, f"Redrive {COUNT} messages")
    keys.press("Enter")
    reader.page.wait_for_url("**/console/operations/*")
    until_done(reader)
    assert sent(office.api) == COUNT


def test_the_focus_is_seen_wherever_it_is(office: Office, operator: Reader):
    ledger = office.api.ledger
    plan = office.plan(operator, Verb.REDRIVE)
    group = f"/console/groups/{ledger.get('n00').fingerprint}"  # type: ignore[union-attr]
    for path in ("/console/", "/console/groups", group, "/console/messages", "/console/messages/n00", plan,
                 "/console/operations", "/console/schedule", "/console/archive", "/console/audit",
                 "/console/settings", "/console/why-not"):  # fmt: skip
        operator.go(path)
        assert operator.page.evaluate(_INVISIBLE) == [], path
        assert operator.page.locator('[tabindex]:not([tabindex="0"], [tabindex="-1"])').count() == 0, path
        operator.page.keyboard.press("Home")
    operator.go("/console/messages")
    operator.page.keyboard.press("Tab")
    assert focused(operator) == "Skip to the content"
    assert operator.page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    operator.page.keyboard.press("Enter")
    operator.page.keyboard.press("Tab")
    assert focused(operator) == "q"


def test_the_help_says_the_keys_and_leaves_the_focus_where_it_was(operator: Reader):
    operator.go("/console/messages")
    keys = operator.page.keyboard
    keys.press("j")
    before = focused(operator)
    keys.press("?")
    assert operator.page.get_by_role("dialog").is_visible()
    keys.press("j")
    keys.press("Escape")
    assert operator.page.get_by_role("dialog").count() == 0
    assert focused(operator) == before
    assert current(operator) == 1


def test_keys_do_nothing_while_somebody_types_or_means_something_else(operator: Reader):
    operator.go("/console/messages")
    page, keys = operator.page, operator.page.keyboard
    box = page.locator("#q")
    box.focus()
    keys.type("jkxa/?")
    assert (box.input_value(), current(operator)) == ("jkxa/?", 0)
    session = page.context.new_cdp_session(page)
    box.fill("")
    session.send("Input.imeSetComposition", {"text": "けいやk", "selectionStart": 4, "selectionEnd": 4})
    assert current(operator) == 0
    session.send("Input.insertText", {"text": "契約"})
    assert box.input_value() == "契約"
    composing = "new KeyboardEvent('keydown', {{ key: '{}', bubbles: true, isComposing: true }})"
    box.evaluate(f"one => one.dispatchEvent({composing.format('Escape')})")
    assert page.evaluate("document.activeElement.id") == "q"
    keys.press("Escape")
    assert page.evaluate("document.activeElement.id") == ""
    page.evaluate(f"document.body.dispatchEvent({composing.format('j')})")
    for key in ("Control+j", "Alt+j", "Meta+j", "Control+x", "Alt+?", "J"):
        keys.press(key)
    assert (current(operator), page.get_by_role("dialog").count()) == (0, 0)
    keys.press("j")
    assert current(operator) == 1


def test_what_is_chosen_typed_and_focused_stays_when_a_page_is_renewed(office: Office, operator: Reader):
    page = operator.page
    operator.go("/console/messages")
    boxes = page.locator("input[name=id]")
    for number in (1, 3):
        boxes.nth(number).check()
    page.get_by_label("Reason").fill("because")
    count = page.locator("#count").inner_text()
    office.api.add("another")
    page.evaluate(_RENEW)
    wait_until(lambda: page.locator("#count").inner_text() != count, operator)
    assert [boxes.nth(number).is_checked() for number in range(4)] == [False, True, False, True]
    assert page.get_by_label("Reason").input_value() == "because"

    operator.go("/console/groups")
    page.keyboard.press("j")
    before = page.locator("#groups").inner_text()
    office.api.add("yet another")
    page.evaluate(_RENEW)
    wait_until(lambda: page.locator("#groups").inner_text() != before, operator)
    assert (focused(operator), current(operator)) == ("ReadTimeoutError", 1)

    page.keyboard.press("Enter")
    page.wait_for_url("**/console/groups/*")
    page.get_by_text("As a table").click()
    before = page.locator("#facts").inner_text()
    office.api.ledger.change("n00", version=None, by="ana", action="assign", owner="ana")
    page.evaluate(_RENEW)
    wait_until(lambda: "ana" in page.locator("#facts").inner_text(), operator)
    assert page.locator("#facts details").evaluate("one => one.open") is True
    assert focused(operator) == "As a table"


def test_a_button_that_is_gone_leaves_the_focus_near_by(office: Office, operator: Reader):
    page = operator.page
    office.plan(operator, Verb.REDRIVE)
    page.get_by_role("button", name=f"Redrive {COUNT} messages").click()
    page.wait_for_url("**/console/operations/*")
    page.get_by_role("button", name="Cancel").focus()
    [operation] = office.api.ledger.operations.page()
    office.api.ledger.operations.move(operation.id, OperationState.CANCELLED)
    page.get_by_role("button", name="Cancel").wait_for(state="detached")
    assert page.evaluate("document.activeElement.id") == "moves"


def test_going_back_shows_what_is_so_now(office: Office, operator: Reader):
    operator.go("/console/messages/n00")
    page = operator.page
    page.get_by_role("textbox", name="Note").fill("looked into")
    page.get_by_role("button", name="Save the note").click()
    page.get_by_text("note written").wait_for()
    operator.go("/console/groups")
    page.go_back()
    wait_until(lambda: page.get_by_role("textbox", name="Note").input_value() == "looked into", operator)
    office.api.ledger.change("n00", version=None, by="ana", action="hold", hold="legal")
    page.go_forward()
    page.go_back()
    wait_until(lambda: "Held" in operator.text, operator)


def test_a_form_that_is_pressed_twice_is_sent_once(office: Office, operator: Reader):
    page = operator.page
    plan = office.plan(operator, Verb.REDRIVE)
    page.get_by_role("button", name=f"Redrive {COUNT} messages").dblclick()
    page.wait_for_url("**/console/operations/*")
    assert len(office.api.ledger.operations.page()) == 1
    operator.go(plan)
    operator.go("/console/messages/n00")
    page.get_by_label("Why it is held").fill("legal")
    page.get_by_role("button", name="Hold", exact=True).dblclick()
    page.get_by_text("Held").first.wait_for()
    assert "it has changed" not in operator.text
