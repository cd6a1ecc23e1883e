"""Messages and Archive: the box of the filter, columns and order, and what is offered to be done."""

import contextlib
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from lxml import html

from recovery.ledger.refusals import Verb
from recovery.ledger.rows import State
from recovery.ledger.selection import FILTERS, parse_query
from recovery.manager.console.messages import COLUMNS, SORTS, verbs_for
from recovery.manager.console.overview import PLACES
from recovery.manager.roles import Principal, Role
from testing.ledgers import new_ledger
from tests.support.api import Api

PAGES = ("/console/messages", "/console/archive", "/console/groups", "/console/schedule")
FORM = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path_factory.mktemp('lists')}/ledger.sqlite")) as ledger:
        made = Api(ledger)
        made.fill()
        made.add("gone", stored=False, state=State.ARCHIVED, object_key="state:x/契約.pdf")
        yield made


def get(api, path, status=200, **headers):
    answer = api.ask(path, **headers)
    assert answer.status_code == status, answer.text
    return html.fromstring(answer.text)


def said(node):
    return " ".join(node.text_content().split())


# -- the box --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    ("q", "wanted"),
    [
        ("kind:x", "kind cannot be “x”. It can be: RECOVERABLE USER_ERROR SYSTEM_ERROR UNKNOWN"),
        ("hold:maybe", "hold cannot be “maybe”. It can be: yes no"),
        ("older:soon", "older cannot be “soon”. It can be, for example: 1h 1d 1w"),
        ("error:", "error needs a text behind the colon: type of the error"),
        ("colour:red", "There is no such filter here: colour. There are: kind: error:"),
        ("key:a key:b", "A filter can be given once only: key"),
        ("契約 2026", 'This is no filter: 契約 2026 Write name:value, or name:"a value" where it has spaces'),
        ('text:"a', 'This is no filter: text:"a'),
        ("key:" + "x" * 2_100, "This is too long for a filter:"),
        ("key:" + "x" * 1_100, "This is too long for a filter:"),
        ("<script>alert(1)</script>:x", "There is no such filter here: <script>alert(1)</script>."),
    ],
)
def test_a_wrong_filter_is_kept_and_what_would_be_right_stands_at_the_box(api, path, q, wanted):
    page = get(api, f"{path}?q={quote(q)}", 400)
    box = page.get_element_by_id("q")
    assert (box.get("value"), box.get("aria-invalid")) == (q, "true")
    assert said(page.get_element_by_id(box.get("aria-describedby"))).startswith(wanted)
    assert page.xpath("//main//script") == []


def test_what_is_scheduled_has_no_other_state(api):
    page = get(api, "/console/schedule?q=state:open", 400)
    assert said(page.get_element_by_id("q-wrong")).startswith("There is no such filter here: state. There are: kind:")
    assert "state:" not in page.xpath("//datalist/option/@value")


def test_a_mistake_is_said_in_japanese(api):
    page = get(api, "/console/messages?q=kind:x", 400, accept_language="ja")
    assert said(page.get_element_by_id("q-wrong")).startswith("kind に「x」は指定できません。指定できる値: RECOVERABLE")


def test_the_box_offers_every_filter_with_its_meaning_and_every_value_that_is_right(api):
    page = get(api, "/console/messages")
    offers = page.xpath("//datalist[@id='offers']/option")
    assert [one.get("value") for one in offers if one.get("label")] == [f"{name}:" for name in FILTERS]
    assert {"kind:RECOVERABLE", "state:any", "hold:yes", "outcome:unconfirmed", "owner:-"} <= {
        one.get("value") for one in offers
    }
    for one in offers:
        if not one.get("value").endswith(":"):
            parse_query(one.get("value"))
    for name in FILTERS:
        get(api, f"/console/messages?q={name}:%22%22", 200 if name == "owner" else 400)


@pytest.mark.parametrize("path", PAGES[:2])
def test_a_new_filter_keeps_the_order_and_the_columns(api, path):
    page = get(api, f"{path}?sort=key&order=asc&column=key&column=owner")
    [form] = page.xpath("//form[@role='search']")
    kept = [(one.get("name"), one.get("value")) for one in form.xpath(".//input[@type='hidden']")]
    assert kept == [("sort", "key"), ("order", "asc"), ("column", "key"), ("column", "owner")]


# -- the list -------------------------------------------------------------------------------------------------------


def test_the_archive_has_another_state_only_where_the_filter_says_so(api):
    for q, count in (("", 1), ("key:state:x", 1), ('text:"state:open"', 0), ("state:open", 3)):
        assert len(get(api, f"/console/archive?{urlencode({'q': q})}").xpath("//tr[@data-row]")) == count, q


def test_the_archive_says_when_by_whom_and_why_each_was_given_up(api):
    api.add("broken", object_key="broken.pdf")
    api.ledger.change(
        "broken", version=None, by="ana", action="abandon", state=State.ABANDONED, details={"reason": "as agreed, 契約"}
    )
    result = "archived: recovery would archive it"
    api.add("by rule", object_key="rule.pdf")
    api.ledger.change(
        "by rule", version=None, by="bo", action="recover", state=State.ARCHIVED, details={"result": result}
    )
    page = get(api, "/console/archive")
    names = [said(one) for one in page.xpath("//th[@scope='col']")][1:]
    assert names == ["Key", "Error", "State", "Last seen", "When archived", "Archived by", "Why archived"]
    cells = {
        said(row.xpath("./td[2]")[0]): [said(one) for one in row.xpath("./td")[-2:]]
        for row in page.xpath("//tr[@data-row]")
    }
    assert cells == {
        "broken.pdf": ["ana", "as agreed, 契約"],
        "rule.pdf": ["bo", result],
        "state:x/契約.pdf": ["–", "–"],
    }
    for name in ("broken", "by rule"):
        api.ledger.change(name, version=None, by="ana", action="restore", state=State.RECOVERED)


def test_columns_and_order_can_be_chosen_without_scripts_and_without_a_header(api):
    page = get(api, "/console/messages?q=state:any&sort=error&order=asc&column=owner&column=key")
    assert [said(one) for one in page.xpath("//th[@scope='col']")][1:] == ["Key", "Owner"]
    [form] = page.xpath("//form[.//select[@name='sort']]")
    assert form.get("method") == "get"
    assert form.xpath(".//select[@name='sort']/option[@selected]/@value") == ["error"]
    assert form.xpath(".//select[@name='sort']/option/@value") == ["key", "error", "last", "first", "sent"]
    assert form.xpath(".//select[@name='order']/option[@selected]/@value") == ["asc"]
    assert form.xpath(".//input[@name='q']/@value") == ["state:any"]
    assert form.xpath(".//input[@name='column']/@value") == list(COLUMNS)
    assert form.xpath(".//input[@name='column'][@checked]/@value") == ["key", "owner"]
    [turned] = page.xpath("//th/a/@href")
    wanted = {"q": ["state:any"], "sort": ["key"], "order": ["desc"], "column": ["key", "owner"]}
    assert parse_qs(urlsplit(turned).query) == wanted
    [language] = page.xpath("//form[@action='/console/preferences']/input[@name='next']/@value")
    assert parse_qs(urlsplit(language).query)["column"] == ["owner", "key"]
    get(api, "/console/messages?column=colour", 400)
    get(api, "/console/messages?sort=colour", 400)


@pytest.mark.parametrize("path", [path for path in PLACES.values() if path])
def test_what_an_alert_leads_to_is_a_page(api, path):
    get(api, path)


def test_what_a_list_is_ordered_by_is_shown(api):
    names = [said(one) for one in get(api, "/console/messages?sort=sent&order=asc").xpath("//th[@scope='col']")]
    assert names[1:] == ["Key", "Error", "What it says", "State", "Last seen", "Received by SQS", "Arrivals"]


def test_every_column_and_order_can_be_shown(api):
    asked = urlencode({"q": "state:any", "column": COLUMNS}, doseq=True)
    for sort in SORTS:
        page = get(api, f"/console/messages?{asked}&sort={sort}")
        assert len(page.xpath("//th[@scope='col']")) == len(COLUMNS) + 1
        assert len(page.xpath("//th[@aria-sort]")) == 1


def test_the_two_buttons_cannot_be_confused_and_the_second_has_none_that_come_later(api):
    page = get(api, "/console/messages?q=kind:RECOVERABLE")
    selected, everything = page.xpath("//form[@id='act']//button")
    assert (said(selected), selected.get("name")) == ("Only those that are selected: 0", None)
    assert selected.xpath("span[@data-selected-count]/@hidden") == [""]
    assert said(everything).startswith("All 2 that match, on every page, as of ")
    assert everything.get("value").startswith("kind:RECOVERABLE until:")


def test_whoever_selects_nothing_is_told_so(api):
    answer = api.ask("/console/plans", method="POST", content=b"verb=redrive&reason=", **FORM)
    assert answer.status_code == 400
    assert "Nothing is selected: tick messages first, or act on all that match." in answer.text


def sent(api, path, **fields):
    answer = api.ask(path, method="POST", content=urlencode(fields).encode(), **FORM)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@pytest.mark.parametrize("which", ["selected", "all"])
def test_filter_order_and_columns_survive_an_action(api, which):
    path = "/console/messages?q=state%3Aopen+key%3A%E5%A5%91&sort=key&order=asc&column=key&column=owner"
    page = get(api, path)
    [form] = page.xpath("//form[@id='act']")
    fields = {one.get("name"): one.get("value") for one in form.xpath("input[@type='hidden']")}
    assert fields == {"back": path}
    fields |= {"id": page.xpath("string(//input[@name='id']/@value)")} if which == "selected" else {"q": "state:open"}
    place = sent(api, "/console/plans", verb="note", note="x", **fields)
    plan = get(api, place)
    assert plan.xpath("//a[normalize-space()='Leave everything as it is']/@href") == [path]
    assert {one.get("value") for one in plan.xpath("//form//input[@name='back']")} == {path}
    again = sent(api, urlsplit(place).path + "/again", changed="yes", note="y", back=path)
    operation = sent(api, urlsplit(again).path + "/start", back=path)
    assert get(api, operation).xpath("//a[normalize-space()='Back to the list']/@href") == [path]


@pytest.mark.parametrize(
    "back",
    ["//evil.example", "https://evil.example", "/console/plans", "/api/v1/messages", "/console/messages/../../x", ""],
)
def test_one_goes_back_to_lists_alone(api, back):
    place = sent(api, "/console/plans", verb="note", note="x", q="", back=back)
    assert "?" not in place
    plan = get(api, f"{place}?{urlencode({'back': back})}")
    assert plan.xpath("//a[normalize-space()='Leave everything as it is']/@href") == ["/console/messages"]
    assert plan.xpath("//input[@name='back']") == []


ACTING = {Verb.REDRIVE, Verb.RECOVER, Verb.ABANDON}
SAYING = {Verb.HOLD, Verb.RELEASE, Verb.ASSIGN, Verb.NOTE}


@pytest.mark.parametrize(
    ("q", "wanted"),
    [
        ("", ACTING | SAYING | {Verb.SCHEDULE, Verb.UNSCHEDULE}),
        ("state:open", ACTING | SAYING | {Verb.SCHEDULE}),
        ("state:sent", ACTING | SAYING),
        ("state:sent outcome:not_returned", SAYING),
        ("state:recovered,missing", set()),
        ("state:abandoned", {Verb.RESTORE}),
        ("state:open hold:yes", SAYING),
        ("state:open hold:no", ACTING | SAYING - {Verb.RELEASE} | {Verb.SCHEDULE}),
        ("state:open type:billing", ACTING - {Verb.RECOVER} | SAYING | {Verb.SCHEDULE}),
    ],
)
def test_only_what_is_not_refused_for_all_of_them_is_offered(q, wanted):
    assert set(verbs_for(parse_query(q), Principal("ana", Role.OPERATOR))) == wanted
    admin = set(verbs_for(parse_query(q), Principal("ana", Role.ADMIN)))
    assert admin == wanted | ({Verb.DELETE} if Verb.ABANDON in wanted else set())
    assert verbs_for(parse_query(q), Principal("ana", Role.READER)) == ()
