"""The overview, the audit, the settings and the runbook in the browser's form: what they say, in both languages, and forms."""

import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from recovery.ledger.tokens import Token
from recovery.manager import system_facts, watched
from recovery.manager.console import overview
from recovery.manager.console.languages import Language
from recovery.manager.console.reader import Reader
from recovery.manager.console.rendering import _environment
from recovery.manager.roles import Role
from recovery.manager.thresholds import THRESHOLDS, Exceeded
from recovery.manager.verdict import Do, Part, Says, Step
from recovery.manager.verdict_words import STEPS, WORDS
from recovery.manager.web.sign_in import Mode
from testing.ledgers import new_ledger
from testing.memory import NOW_MS
from tests.support.api import Api
from tests.support.signed_in import bearer, new_token, signed_in
from worker.core.audit import AuditEvent, write
from worker.core.base.errors import StoreError
from worker.core.s3.brakes import BrakeRecord, Cause
from worker.core.s3.pause import pause_fleet
from worker.core.s3.workers import WorkerRecord, write_worker

FORM = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.setattr(
        system_facts, "FIGURES_PATIENCE_S", 5.0
    )  # so that a page has its figures on a busy machine, too
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        made = Api(ledger)
        worker = WorkerRecord("host-1:1", "serving", written_at_ms=NOW_MS, started_at_ms=NOW_MS, last_poll_at_ms=NOW_MS)
        write_worker(made.fakes.state, worker)
        yield made


def shown(api, path, status=200, **headers):
    """A page, without white space that does not matter, and its tree."""
    answer = api.ask(path, **headers)
    assert answer.status_code == status, answer.text
    assert "style=" not in answer.text
    tree = html.fromstring(answer.text)
    return re.sub(r"\s+", " ", "".join(map(str, next(tree.iter("main")).itertext()))), tree


def post(api, path, status=303, **fields):
    answer = api.ask(path, method="POST", content=urlencode(fields).encode(), **FORM)
    assert answer.status_code == status, answer.text
    return answer


def test_nothing_has_failed(api):
    text, _ = shown(api, "/console/")
    assert "nothing has failed; index reachable; fleet serving (1 worker)" in text
    assert "Nothing has failed; last checked" in text
    assert "Nothing has to be done." in text
    japanese, tree = shown(api, "/console/", accept_language="ja")
    assert tree.get("lang") == "ja"
    assert "失敗はありません" in japanese
    assert "Nothing" not in japanese


def test_from_the_overview_to_the_cause_in_one_click(api):
    api.fill()
    text, tree = shown(api, "/console/")
    assert "2 causes, 3 messages" in text
    [link] = tree.xpath("//section[@id='verdict']//a[contains(., 'ReadTimeoutError')]/@href")
    assert link.startswith("/console/groups/5b1f2c7d90aa?")
    assert tree.xpath("//section[@id='alerts']//a[@href='/console/runbook/dlq-pending']")
    assert len(tree.xpath("//svg/path[@class='bar'] | //svg/path[@class='line']")) == 4
    assert len(tree.xpath("//figure//table")) == 4


def test_the_tiles_count_arrivals_alone_and_ages_to_the_same_moment(api):
    api.fill()
    said, _ = shown(api, "/console/")
    counted = re.search(r"(\d+) arrived in 24 hours, returns included; (\d+) of them since \d+:00", said)
    assert counted is not None, said
    assert "median age" in said
    assert "99%" not in said, "of three, that is the oldest, which has a tile of its own"


def test_texts_of_others_are_inert(api):
    api.fill()
    api.add("bad", error_type=HOSTILE, message=HOSTILE, fingerprint="66")
    write_worker(api.fakes.state, WorkerRecord(HOSTILE, "serving", written_at_ms=NOW_MS, breakers={"index": HOSTILE}))
    post(api, "/console/fleet/pause", reason="<b>x</b>")
    page = api.ask("/console/").text
    assert "<script>alert" not in page
    assert "<b>x</b>" not in page
    assert len(page.encode()) < 100_000


def test_operators_pause_and_resume_the_fleet(api):
    text, tree = shown(api, "/console/")
    assert tree.xpath("//form[@action='/console/fleet/pause']")
    assert (
        post(api, "/console/fleet/pause", reason=" index upgrade ", for_s="900").headers["location"]
        == "/console/#fleet"
    )
    text, tree = shown(api, "/console/")
    assert "Paused by api@host: index upgrade" in text
    assert not tree.xpath("//form[@action='/console/fleet/pause']")
    post(api, "/console/fleet/resume", seen=seen(tree))
    assert "Paused by" not in shown(api, "/console/")[0]
    actions = [one["action"] for one in api.fakes.under("s3-index-worker/audit/").values()]
    assert actions == ["pause", "resume"]


def seen(tree):
    """What the page's form says of the pause that the page shows."""
    [mark] = tree.xpath("//section[@id='fleet']//div[@id='pause' and @data-live]//input[@name='seen']/@value")
    return mark


def test_from_an_old_page_nobody_replaces_or_ends_a_pause_of_somebody_else(api):
    unpaused = seen(shown(api, "/console/")[1])
    pause_fleet(api.fakes.state, reason="index upgrade", by="alice", lasting_s=None)
    refused = post(api, "/console/fleet/pause", status=409, reason="mine", for_s="900", seen=unpaused).text
    assert "Nothing was done: the fleet has been paused or resumed since the page was made." in refused
    assert "Paused by" in refused
    assert "index upgrade" in refused
    first = seen(html.fromstring(refused))
    pause_fleet(api.fakes.state, reason="restore", by="bob", lasting_s=None)
    assert "restore" in post(api, "/console/fleet/resume", status=409, seen=first).text
    assert api.fakes.state.pause_record()["reason"] == "restore"
    second = seen(shown(api, "/console/")[1])
    post(api, "/console/fleet/resume", seen=second)
    kept = post(api, "/console/fleet/resume", status=409, seen=second).text
    assert api.fakes.state.pause_record() is None
    assert "Paused by" not in kept
    assert 'value="mine"' in post(api, "/console/fleet/pause", status=409, reason="mine", seen=second).text


def test_a_pause_needs_a_reason_and_keeps_what_was_typed(api):
    said = post(api, "/console/fleet/pause", status=400, reason=" ").text
    assert "others will want to know" in said
    kept = post(api, "/console/fleet/pause", status=400, reason="an upgrade", for_s="7").text
    assert 'value="an upgrade"' in kept
    assert api.fakes.state.pause_record() is None


def test_ended_brakes_lead_to_what_had_failed(api):
    brake = BrakeRecord(
        "host-1", "31 of 31 failed", at="2026-11-01", of=31, causes={Cause("5b1f2c7d90aa", "x", ""): 31}
    )
    api.fakes.state.put(brake.key, brake.as_json())
    done = post(api, "/console/fleet/resume", status=200).text
    assert "31 of 31 failed" in done
    assert "/console/messages?q=group%3A%3D5b1f2c7d90aa" in done


def test_readers_see_no_forms_and_may_not_pause(api):
    asked = signed_in(api.ledger, Mode.TOKEN)
    token = bearer(new_token(api.ledger, Role.READER))
    _, tree = shown(asked, "/console/", **token)
    assert not tree.xpath("//main//form")
    assert not tree.xpath("//a[starts-with(@href, '/console/settings')]")
    for path in ("/console/fleet/pause", "/console/fleet/resume"):
        assert asked.ask(path, method="POST", content=b"reason=x", **FORM, **token).status_code == 403
    assert asked.ask("/console/settings", **token).status_code == 403
    assert asked.ask("/console/audit", **token).status_code == 200


def test_what_does_not_answer_is_unknown_since_a_time(api, monkeypatch):
    def refuse(*_):
        raise StoreError("AccessDenied for the state bucket", code="AccessDenied")

    monkeypatch.setattr(watched, "PATIENCE_S", 0.5)
    monkeypatch.setattr(api.fakes.state, "keys", refuse)
    monkeypatch.setattr(api.fakes.state, "modified", refuse)
    text, _ = shown(api, "/console/")
    assert text.count("AccessDenied for the state bucket") == 4
    assert "Unknown since" in text


def test_the_audit_has_filters_pages_and_exports(api):
    for number in range(60):
        at = datetime(2026, 11, 1, 9, number % 60, tzinfo=UTC)
        write(
            api.fakes.state,
            AuditEvent("view", f"r{number}", "ana@host", (f"m{number}",), {"viewed": 1}, {"q": HOSTILE}, at=at),
        )
    _, tree = shown(api, "/console/audit?day=2026-11-01")
    assert len(tree.xpath("//tr[@data-row]")) == 50
    [following] = tree.xpath("//a[@rel='next']/@href")
    assert len(shown(api, following)[1].xpath("//tr[@data-row]")) == 10
    span = urlencode({"from": "2026-11-01T00:00:00+00:00", "to": "2026-11-02T00:00:00+00:00"})
    assert tree.xpath(f"//a[@href='/api/v1/audit/export?{span}&format=csv']")
    assert not tree.xpath("//main//script")
    assert "Nobody has done anything that fits." in shown(api, "/console/audit?day=2026-11-01&action=purge")[0]
    assert "day: 'soon' is wrong" in shown(api, "/console/audit?day=soon", status=400)[0]
    assert "実行者" in shown(api, "/console/audit", accept_language="ja")[0]


def test_days_of_the_audit_are_those_of_a_time_zone_which_the_address_names(api):
    for name, hour in (("before", 14), ("midnight", 15), ("noon", 23)):
        at = datetime(2026, 11, 1, hour, tzinfo=UTC)
        write(api.fakes.state, AuditEvent("view", "r", f"{name}@host", ("m",), {"viewed": 1}, at=at))

    def seen(path, **headers):
        _, tree = shown(api, path, **headers)
        assert tree.xpath("//input[@name='zone']/@value") == ["Asia/Tokyo"]
        assert tree.xpath("normalize-space(//label[@for='day'])") == "Day (Asia/Tokyo)"
        assert tree.xpath("count(//a[contains(@href, 'from=2026-11-01T15%3A00%3A00%2B00%3A00')])") == 2
        return [one.text_content() for one in tree.xpath("//tr[@data-row]/td[2]")]

    by_cookie = seen("/console/audit?day=2026-11-02", cookie="console-zone=Asia/Tokyo")
    assert by_cookie == seen("/console/audit?day=2026-11-02&zone=Asia/Tokyo") == ["noon@host", "midnight@host"]
    wrong, _ = shown(api, "/console/audit?zone=Mars/Base", status=400)
    assert "zone: &#39;Mars/Base&#39; is wrong" in wrong or "zone: 'Mars/Base' is wrong" in wrong


def test_the_audit_names_the_files_of_messages_that_the_ledger_knows(api):
    api.add("known", stored=False, object_key="営業/契約.pdf")
    for ids in (("known",), ("unknown",), ("known", "unknown")):
        write(api.fakes.state, AuditEvent("view", "r", "ana@host", ids, {"viewed": len(ids)}))
    _, tree = shown(api, "/console/audit")
    links = [(one.get("href"), one.text_content()) for one in tree.xpath("//tr[@data-row]//a[@class='key']")]
    known, unknown = ("/console/messages/known", "営業/契約.pdf"), ("/console/messages/unknown", "unknown")
    assert sorted(links) == sorted([known, known, unknown, unknown])


def test_settings_and_tokens_are_shown_without_secrets(api):
    api.problems.append("intake is on hold: denied")
    api.ledger.tokens.create(Token("prometheus", "reader", "d" * 64, 1_790_000_000_000, "ana"))
    text, tree = shown(api, "/console/settings")
    for said in ("intake is on hold: denied", "nobody is notified of failures", "MANAGER_AUTH", "prometheus"):
        assert said in text
    assert "d" * 64 not in html.tostring(tree).decode()
    assert not tree.xpath("//main//form")


def test_the_runbook_leads_back_to_the_groups(api):
    _, tree = shown(api, "/console/runbook/dlq-depth")
    assert tree.xpath("//main//a[@href='/console/groups']")
    assert "dlq groups" in tree.xpath("string(//pre)")
    assert shown(api, "/console/runbook")[1].xpath("//main//a[@href='/console/runbook/braked']")
    assert api.ask("/console/runbook/nothing").status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_the_templates_say_what_the_api_says(count):
    made: Any = _environment(Language.ENGLISH).get_template("verdict_words.html")
    words: Any = made.make_module({"reader": Reader(Language.ENGLISH, "UTC", NOW_MS)})
    values = {
        "count": count, "of": count, "why": "denied", "name": "s3://a", "by": "ana", "reason": "x", "since_ms": NOW_MS,
        "left_s": 800_000.0, "within_s": 30, "error_type": "E", "group": "5b",
    }  # fmt: skip

    def same(said, template):
        expected = template.one if count == 1 or not template.many else template.many
        pattern = re.sub(r"%\\\((\w+)\\\)s", ".+", re.escape(expected))
        text = "".join(map(str, html.fromstring(f"<p>{said}</p>").itertext()))
        assert re.fullmatch(pattern, text), (text, expected)

    for says in Says:
        same(words.part(Part(says, values=values)), WORDS[says])
    for do in Do:
        same(words.step(Step(do, values)), STEPS[do])
    assert replace(Step(Do.NOTHING), section="x").section == "x"


@pytest.mark.parametrize("alert", ["DlqExpiry", "DlqIntakeStopped"])
def test_an_alert_without_a_page_of_its_own_leads_to_the_runbook_alone(api, monkeypatch, alert):
    [threshold] = [one for one in THRESHOLDS if one.alert == alert]
    monkeypatch.setattr(overview, "exceeded", lambda _facts: [Exceeded(threshold, 1.0)])
    tree = shown(api, "/console/")[1]
    assert tree.xpath("//section[@id='alerts']//a/@href") == [f"/console/runbook/{threshold.section}"]
    assert tree.xpath("//nav/a[@href='/console/settings']")
