"""The page Schedule: what a reader sees, in both languages, and which forms an operator has."""

import contextlib
from urllib.parse import quote

import pytest
from lxml import html

from recovery.ledger.rows import State
from recovery.manager.console import schedule_view as module
from recovery.manager.roles import Role
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from testing.memory import DOWN, NOW_MS
from tests.support.api import Api
from tests.support.signed_in import bearer, new_token, signed_in
from worker.core.s3.workers import WorkerRecord, write_worker

HOUR_MS = 3_600_000
HOSTILE = '<script>alert(1)</script>\u202e"><img src=x>'


@pytest.fixture
def ledger(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as opened:
        yield opened


@pytest.fixture
def api(ledger):
    return Api(ledger)


def fill(api):
    api.add("due", state=State.SCHEDULED, retry_at_ms=NOW_MS - HOUR_MS, retries=7, object_key=HOSTILE)
    api.add("mine", state=State.SCHEDULED, retry_at_ms=NOW_MS + HOUR_MS * 3 // 2, retry_by="<b>ana</b>", retries=8)
    api.add("held", state=State.SCHEDULED, retry_at_ms=NOW_MS + 3 * HOUR_MS, object_key="契約.pdf", hold="legal")
    api.add("open")


def page(api, query="", **headers):
    answer = api.ask(f"/console/schedule{query}", **headers)
    assert answer.status_code == 200, answer.text
    return html.fromstring(answer.text)


def said(node):
    return " ".join(node.text_content().split())


def test_what_is_scheduled_is_listed_the_soonest_first_with_the_retry_and_who_wants_it(api):
    fill(api)
    found = page(api)
    rows = [[said(cell) for cell in row.findall("td")[2:]] for row in found.iterfind(".//tr[@data-row]")]
    assert [row[1] for row in rows] == ["8 of 8", "9", "1 of 8"]
    assert [row[2] for row in rows] == ["the rules", "<b>ana</b>", "the rules"]
    assert (rows[0][0], rows[2][0]) == (HOSTILE.replace("\u202e", r"\u202e"), "契約.pdf")
    assert found.findall(".//script")[0].get("src").startswith("/console/static/")
    assert len(found.findall(".//script")) == 1
    assert found.findall(".//main//img") == []
    now = said(found.get_element_by_id("schedule-now"))
    assert "2 dead letters will be sent again by themselves. Due now: 1. The next: " in now
    assert "Held, and not sent until they are released: 1." in now
    assert [said(one) for one in found.xpath("//table[@id='hours-table']//td[@class='number']")][:3] == ["0", "1", "0"]
    assert len(found.findall(".//svg/path")) == 1


def test_it_says_what_keeps_retries_from_being_sent_or_that_nothing_does(api):
    fill(api)
    assert "Nothing is sent now: no worker has reported" in said(page(api).get_element_by_id("schedule-now"))
    write_worker(api.fakes.state, WorkerRecord("w1", state="serving", written_at_ms=NOW_MS))
    api.service.facts.forget_pause()
    assert "All is well: what is due is sent." in said(page(api).get_element_by_id("schedule-now"))


def test_where_that_is_not_known_it_says_so(api):
    for call in ("state.get", "state.list"):
        api.fakes.faults.add(call, DOWN)
    assert "It is not known whether anything keeps retries" in said(page(api).get_element_by_id("schedule-now"))


def test_the_forms_plan_the_selected_ones_or_all_that_match(api):
    fill(api)
    chosen, every = page(api, f"?q={quote('key:契約')}").xpath("//form[@action='/console/plans']")
    assert [one.get("value") for one in chosen.xpath(".//input[@name='id']")] == ["held"]
    [query] = every.xpath(".//input[@name='q']/@value")
    assert query.startswith("key:契約 state:scheduled until:")
    assert "With all 1 that match" in said(every)
    for form in (chosen, every):
        assert {one.get("value") for one in form.xpath(".//button[@name='verb']")} == {
            "redrive",
            "unschedule",
            "schedule",
        }
        assert [one.get("value") for one in form.xpath(".//select[@name='in_s']/option")][-1] == "1209600"


def test_a_reader_sees_everything_and_has_no_form(ledger):
    fill(Api(ledger))
    api = signed_in(ledger, Mode.TOKEN)
    found = page(api, **bearer(new_token(ledger, Role.READER)))
    assert len(found.findall(".//tr[@data-row]")) == 3
    assert found.xpath("//form[@action='/console/plans'][.//button]") == []
    assert found.xpath("//input[@type='checkbox']") == []


def test_nothing_scheduled_and_nothing_that_matches_are_said(api):
    assert "Nothing is scheduled" in said(page(api))
    fill(api)
    assert "Nothing that is scheduled matches this filter." in said(page(api, "?q=key:none"))


def test_pages_follow_each_other_with_their_filter(api, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 1)
    fill(api)
    [link] = page(api, "?q=bucket:documents").xpath("//a[@rel='next']/@href")
    assert link.startswith("/console/schedule?q=bucket%3Adocuments&after=")
    following = page(api, link.removeprefix("/console/schedule"))
    assert [one.get("value") for one in following.xpath("//input[@name='id']")] == ["mine"]


def test_a_state_in_the_filter_is_refused_with_a_sentence(api):
    answer = api.ask("/console/schedule?q=state:open")
    assert answer.status_code == 400
    assert "There is no such filter here: " in answer.text


def test_in_japanese_every_text_of_the_page_is(api):
    fill(api)
    found = page(api, accept_language="ja,en;q=0.5")
    main = said(found.get_element_by_id("main"))
    assert found.get("lang") == "ja"
    for text in (
        "予約",
        "2 件のデッドレターが自動で再送されます。",
        "8 回中 8 回目",
        "今すぐ再投入",
        "予約を取り消す",
        "これから 24 時間",
    ):
        assert text in main
    for text in ("Schedule", "scheduled", "Redrive", "rules", "dead letter"):
        assert text not in main
