"""The pages of groups, as a browser gets them: in both languages, for both roles, with and without what joined since."""

import contextlib
import time
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from lxml import html

from recovery.ledger.rows import State
from recovery.ledger.selection import instant
from recovery.manager.console import groups_view
from recovery.manager.console.later import AHEAD_S
from recovery.manager.roles import Role
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.sign_in import Mode
from testing.ledgers import NOW_MS, new_ledger
from tests.support.api import Api
from tests.support.signed_in import bearer, new_token, signed_in
from worker.core.base.classify import FailureKind

JAPANESE = {"accept_language": "ja"}
GROUP = "/console/groups/5b1f2c7d90aa?error_type=ReadTimeoutError&kind=RECOVERABLE"


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


@pytest.fixture
def filled(api):
    api.fill()
    return api


def get(api, path, status=200, **headers):
    answer = api.ask(path, **headers)
    assert answer.status_code == status, answer.text
    return html.fromstring(answer.text)


def at(api, as_of_ms=NOW_MS + 60_000, **headers):
    return get(api, f"{GROUP}&as_of={instant(as_of_ms)}", **headers)


def text(found):
    return " ".join(" ".join(found.text_content().split()).split())


def test_the_list_says_of_each_group_what_is_known(filled):
    filled.ledger.change(
        "second", version=None, by="ana", action="hold", hold="legal", owner="ana", note="see ticket 7"
    )
    page = get(filled, "/console/groups")
    first, second = page.xpath("//tr[@data-row]")
    said = text(first)
    for wanted in ("ReadTimeoutError", "RECOVERABLE", "no answer in 30 s", "ana (1)", "1 held legal", "see ticket 7 (1)",
                   "Bucket: documents", "in 14 days", "not redriven in 30 days", "none: too little is known"):  # fmt: skip
        assert wanted in said
    assert first.xpath("string(td[2])") == "2"
    assert first.xpath(".//svg[@aria-hidden='true']/path[@class='bar']")
    assert "ValueError" in text(second)
    assert "Bucket" not in text(second)
    assert text(at(filled).xpath("//dt[.='Bucket']/following-sibling::dd")[0]) == "documents"
    link = urlsplit(first.xpath("string(.//a/@href)"))
    assert link.path == "/console/groups/5b1f2c7d90aa"
    assert parse_qs(link.query).keys() == {"error_type", "kind", "as_of"}
    assert get(filled, f"{link.path}?{link.query}").xpath("string(//h1)") == "ReadTimeoutError"


def test_the_list_can_be_filtered_and_says_what_is_wrong_with_a_filter(filled):
    assert len(get(filled, "/console/groups?q=kind:UNKNOWN").xpath("//tr[@data-row]")) == 1
    assert "Nothing matches this filter." in text(get(filled, "/console/groups?q=key:nothing"))
    assert "colour" in text(get(filled, "/console/groups?q=colour:red", 400))
    get(filled, "/console/groups?page=0", 400)
    assert "There are no more groups." in text(get(filled, "/console/groups?page=3"))


def test_the_list_is_ordered_from_its_header_and_from_a_form_and_keeps_that(filled, monkeypatch):
    def causes(page):
        return [one.xpath("string(td[1]//a)") for one in page.xpath("//tr[@data-row]")]

    page = get(filled, "/console/groups?q=state:any")
    assert causes(page) == ["ReadTimeoutError", "ValueError"]
    links = page.xpath("//th/a/@href")
    assert [parse_qs(urlsplit(one).query) for one in links] == [
        {"q": ["state:any"], "sort": ["count"], "order": ["asc"]},
        {"q": ["state:any"], "sort": ["first"], "order": ["desc"]},
        {"q": ["state:any"], "sort": ["last"], "order": ["desc"]},
    ]
    monkeypatch.setattr(groups_view, "PAGE", 1)
    least = get(filled, links[0])
    assert causes(least) == ["ValueError"]
    assert least.xpath("//th[@aria-sort]/@aria-sort") == ["ascending"]
    kept = [(one.get("name"), one.get("value")) for one in least.xpath("//form[@role='search']//input[@type='hidden']")]
    assert kept == [("sort", "count"), ("order", "asc")]
    assert causes(get(filled, least.xpath("string(//a[@rel='next']/@href)"))) == ["ReadTimeoutError"]
    form = least.xpath("//form[.//select[@name='sort']]")[0]
    assert form.xpath(".//option[@selected]/@value") == ["count", "asc"]
    assert form.xpath(".//input[@name='q']/@value") == ["state:any"]
    get(filled, "/console/groups?sort=colour", 400)


def test_an_empty_ledger_says_that_nothing_has_failed(api):
    assert "Nothing has failed. Last checked:" in text(get(api, "/console/groups"))
    assert "失敗したものはありません。" in text(get(api, "/console/groups", **JAPANESE))


def test_the_list_goes_on_on_the_next_page_with_its_filter(filled, monkeypatch):
    monkeypatch.setattr(groups_view, "PAGE", 1)
    link = get(filled, "/console/groups?q=state:open").xpath("string(//a[@rel='next']/@href)")
    assert link == "/console/groups?q=state%3Aopen&page=2"
    page = get(filled, link)
    assert "ValueError" in text(page.xpath("//tr[@data-row]")[0])
    assert not page.xpath("//a[@rel='next']")


def test_the_address_of_a_group_gets_the_moment_of_its_first_look(filled):
    answer = filled.ask(GROUP)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(GROUP + "&as_of=")
    assert filled.ask("/console/groups/5b1f2c7d90aa").headers["location"].startswith(GROUP + "&as_of=")


def test_each_action_is_a_form_that_plans_what_had_come_by_the_moment(filled):
    page = at(filled, NOW_MS)
    forms = {
        one.xpath("string(input[@name='verb']/@value)"): one
        for one in page.xpath("//main//form[@action='/console/plans']")
    }
    assert list(forms) == ["redrive", "recover", "schedule", "hold", "assign", "note", "abandon"]
    for one in forms.values():
        assert one.get("method") == "post"
        assert one.xpath("string(input[@name='q']/@value)") == (
            "group:=5b1f2c7d90aa error:=ReadTimeoutError kind:RECOVERABLE until:2026-09-21T14:13:20.000Z"
        )
    assert forms["hold"].xpath(".//input[@name='reason']/@required")
    offered = forms["schedule"].xpath(".//select[@name='in_s']")[0]
    assert offered.xpath("option/@value") == [str(one) for one in AHEAD_S]
    assert offered.xpath("option[@selected]/@value") == ["3600"]


def test_what_joined_since_is_said_and_can_be_seen(filled):
    page = at(filled, NOW_MS)
    note = page.get_element_by_id("joined")
    assert "1 joined since 9/21/26, 2:13 PM; an action on this page does not include it." in text(note).replace(
        "\u202f", " "
    )
    assert "1 waits, as of" in text(page)
    joined, fresh = note.xpath(".//a/@href")
    assert urlsplit(joined).query == "q=" + quote(
        "group:=5b1f2c7d90aa error:=ReadTimeoutError kind:RECOVERABLE since:2026-09-21T14:13:20.000Z", safe="/"
    )
    assert fresh == GROUP
    assert text(at(filled).get_element_by_id("joined")) == ""
    assert [one.get("href") for one in page.xpath("//tr[@data-row]//a")] == [f"/console/messages/{EXAMPLE_ID}"]


def test_a_group_is_shown_in_japanese(filled):
    page = at(filled, NOW_MS, **JAPANESE)
    assert "1 件加わりました。このページの操作には含まれません。" in text(page)
    assert "再投入（はじめはゆっくり）" in [text(one) for one in page.xpath("//button")]
    assert page.get("lang") == "ja"


def test_the_page_says_what_the_last_redrive_did_and_what_is_suggested(api):
    now_ms = time.time_ns() // 1_000_000
    sent = {"state": State.SENT, "sent_at_ms": now_ms - 14 * 3_600_000, "sent_by": "ben", "sent_run": "run-1"}
    for number in range(12):
        api.add(f"id-{number}", stored=False)
        api.ledger.change(f"id-{number}", version=None, by="ben", action="sent", **sent)
    assert "None of this group waits any more." in text(at(api))
    api.add("id-0", message_id="again", stored=False, last_seen_ms=now_ms)
    page = at(api, now_ms)
    said = text(page)
    assert "14 hours ago by ben: 12 sent, 1 of them came back; 1 came since, in all" in said
    assert "Redrive: of 12 of this group redriven in 30 days, 11 did not come back" in said
    assert page.xpath("//form[.//*[contains(@class, 'recovered')]]/input[@name='verb']/@value") == ["redrive"]
    assert "1 waits" in said
    assert "再投入: このグループで 30 日間に再投入した 12 件のうち、11 件は戻っていません" in text(
        at(api, now_ms, **JAPANESE)
    )


def test_readers_see_everything_but_actions(api):
    signed = signed_in(api.ledger, Mode.TOKEN)
    signed.add("a", stored=False)
    page = at(signed, **bearer(new_token(api.ledger, Role.READER)))
    assert not page.xpath("//form[@action='/console/plans']")
    assert "To act, you need the role operator." in text(page)
    assert signed.ask(GROUP).status_code == 303
    assert signed.ask(GROUP).headers["location"].startswith("/auth/login?next=")


def test_an_address_that_fits_several_groups_lists_them(filled):
    filled.add("other", stored=False, kind=FailureKind.UNKNOWN)
    page = get(filled, "/console/groups/5b1f2c7d90aa")
    assert len(page.xpath("//tr[@data-row]")) == 2
    assert "Which group?" in text(page)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/console/groups/unknown", 404),
        ("/console/groups/%00", 404),
        ("/console/groups/5b1f2c7d90aa?error_type=%00", 404),
        ("/console/groups/5b1f2c7d90aa?kind=NONE", 400),
        (GROUP + "&as_of=now", 400),
        (GROUP + "&colour=red", 400),
    ],
)
def test_a_wrong_address_is_answered_with_a_page(filled, path, status):
    page = get(filled, path, status)
    assert page.xpath("//p[@role='alert']")


def test_names_of_any_kind_are_texts_and_have_addresses(api):
    error, fingerprint = "<script>alert(1)</script>\u202e\"&'", "a/b?<i>"
    api.add(
        "x",
        stored=False,
        error_type=error,
        fingerprint=fingerprint,
        message="<img src=x onerror=alert(1)>",
        note="</td>",
    )
    link = get(api, "/console/groups").xpath("string(//tr[@data-row]//a/@href)")
    page = get(api, link)
    assert page.xpath("string(//h1/bdi)") == error.replace("\u202e", r"\u202e")
    assert not page.xpath("//main//script | //main//img | //main//i")
    query = urlencode({"error_type": error, "kind": "RECOVERABLE"})
    assert link.startswith(f"/console/groups/{quote(fingerprint, safe='')}?{query}&as_of=")
    q = page.xpath("string(//input[@name='q']/@value)")
    assert api.get(f"/api/v1/messages?{urlencode({'q': q})}")["count"] == 1


def test_a_form_of_the_page_makes_a_plan_without_what_joined_since(filled):
    page = at(filled, NOW_MS)
    filled.add("late", stored=False, last_seen_ms=NOW_MS + 9_000)
    fields = {one.get("name"): one.get("value") for one in page.xpath("//form[input[@value='abandon']]//input[@name]")}
    answer = filled.ask(
        "/console/plans", method="POST", content=urlencode(fields | {"reason": "no use"}).encode(),
        content_type="application/x-www-form-urlencoded", origin="http://127.0.0.1:8024", sec_fetch_site="same-origin",
    )  # fmt: skip
    assert answer.status_code == 303
    location, _, back = answer.headers["location"].partition("?")
    assert parse_qs(back)["back"] == [fields["back"]]
    plan = filled.ledger.plans.get(location.removeprefix("/console/plans/"))
    assert (plan.count, plan.verb.value, plan.options) == (1, "abandon", {"reason": "no use"})
