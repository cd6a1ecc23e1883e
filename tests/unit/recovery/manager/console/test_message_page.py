"""The pages of one dead letter and of `Why not?`, as HTML, in both languages, with hostile texts, for each role."""

import contextlib
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import html

from recovery.ledger.rows import State
from recovery.manager.roles import Role
from recovery.manager.web.sign_in import Mode
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET, DOWN, SQS_DOWN
from tests.support.api import STACK, Api
from tests.support.signed_in import bearer, new_token, signed_in

HOSTILE = "</bdi><script>alert('x')</script><img src=x onerror=alert(1)>\u202e{{ 7*7 }}\"'&"
KEY = f"経理/{HOSTILE}.pdf"
MAPS = {"type": "maps", "city": HOSTILE, "correlation_id": "c-1", "lat": 35.4, "lng": 133.0, "radius": 5, "category": "x",
        "enqueued_at": 1}  # fmt: skip


@pytest.fixture
def ledger(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/l.sqlite")) as opened:
        yield opened


@pytest.fixture
def api(ledger):
    return Api(ledger)


def add(api, name="a", **fields):
    body = s3_event(s3_record(BUCKET, KEY))
    given = {
        "type": "s3-event",
        "bucket": BUCKET,
        "object_key": KEY,
        "about": f"s3://{BUCKET}/{KEY}",
        "message": HOSTILE,
    }
    return api.add(name, body=body, **given | fields)


def get(api, path, status=200, **headers):
    answer = api.ask(path, **headers)
    assert answer.status_code == status, answer.text
    return checked(answer)


def post(api, path, status, fields=None, **headers):
    return api_post(api, path, status, fields, **{"sec_fetch_site": "same-origin", **headers})


def api_post(api, path, status, fields, **headers):
    content = urlencode(fields or {}).encode()
    answer = api.ask(path, method="POST", content=content, content_type="application/x-www-form-urlencoded", **headers)
    assert answer.status_code == status, answer.text
    return answer


def checked(answer):
    """The page, of which nothing of others has become a part."""
    document: Any = html.document_fromstring(answer.text)
    assert document.xpath("//main//script | //main//img | //main//*[@onerror] | //style") == []
    assert "49" not in [one.text for one in document.xpath("//main//bdi")]
    assert len(document.xpath("//h1")) == 1
    return document


def verbs(document):
    return document.xpath("//form[@action='/console/plans']/input[@name='verb']/@value")


def said(document):
    return " ".join(document.xpath("string(//main)").split())


def test_a_page_says_what_failed_and_offers_what_its_state_allows(api):
    add(api)
    document = get(api, "/console/messages/a")
    assert KEY in said(document)
    assert HOSTILE in said(document)
    assert "Open: it waits for somebody to act" in said(document)
    assert verbs(document) == ["redrive", "recover", "schedule", "abandon"]
    assert document.xpath("//form[@action='/console/plans']/input[@name='id']/@value") == ["a"] * 4
    assert "dlq redrive --message-id a" in document.xpath("//code[@id='copy-redrive']/bdi/text()")
    assert STACK not in said(document)
    assert api.views() == []


@pytest.mark.parametrize(
    ("fields", "offered", "text"),
    [
        ({"hold": HOSTILE}, [], "Held: nothing is done with it"),
        ({"state": State.ABANDONED}, ["restore"], "it was given up"),
        ({"state": State.RECOVERED}, [], "Nothing can be done with it in this state."),
        ({"fault": "no JSON"}, ["abandon"], "no JSON"),
    ],
)
def test_each_state_has_its_page(api, fields, offered, text):
    add(api, **fields)
    document = get(api, "/console/messages/a")
    assert verbs(document) == offered
    assert text in said(document)


def test_what_is_there_now_is_asked_for_alone(api):
    add(api)
    [now] = get(api, "/console/messages/a").xpath("//section[@id='now']")
    assert now.xpath(".//a/@href") == [now.get("data-part")] == ["/console/messages/a?now=yes"]
    api.fakes.s3.bodies[KEY] = b"text"
    text = said(get(api, "/console/messages/a?now=yes"))
    assert "recovery would index it: its object can be read" in text
    assert "dlq recover --message-id a" in text
    api.fakes.faults.add("s3.read", DOWN)
    assert "cannot be asked: down" in said(get(api, "/console/messages/a?now=yes"))


def test_a_body_is_shown_after_its_view_is_recorded_and_never_by_a_link(api):
    add(api)
    document = checked(post(api, "/console/messages/a", 200, {"do": "body"}))
    assert '"Records": [' in document.xpath("string(//pre[@class='body'])")
    assert STACK in said(document)
    assert "is not edited" in said(document)
    assert [view["by"] for view in api.views()] == ["api@host"]
    for path in ("/console/messages/a/body", "/console/messages/a?do=body"):
        api.ask(path)
    assert len(api.views()) == 1
    api.fakes.faults.add("state.put", DOWN)
    assert "Records" not in post(api, "/console/messages/a", 503, {"do": "body"}).text


def test_what_is_wrapped_in_a_body_is_shown_under_its_name(api):
    api.add(
        "w", body=json.dumps({"Type": "Notification", "Message": s3_event(s3_record(BUCKET, KEY))}), type="s3-event"
    )
    document = checked(post(api, "/console/messages/w", 200, {"do": "body"}))
    assert "Message, decoded from JSON" in said(document)
    [_stack, body, event] = document.xpath("//pre/text()")
    assert ('"Records": [' in body, '"Records": [' in event) == (False, True)


def test_what_is_said_is_done_or_the_page_says_why_not_and_keeps_what_was_typed(api):
    add(api)
    post(api, "/console/messages/a", 303, {"do": "hold", "version": "1", "reason": "legal"})
    assert api.ledger.get("a").hold == "legal"
    document = checked(post(api, "/console/messages/a", 409, {"do": "owner", "version": "1", "owner": HOSTILE}))
    assert document.xpath("//*[@role='alert']")
    assert "Nothing was done. It has changed since you looked at it" in said(document)
    assert document.xpath("//input[@name='owner']/@value") == [HOSTILE]
    post(api, "/console/messages/a", 303, {"do": "release", "version": "2"})
    assert api.ledger.get("a").hold is None


def test_a_change_from_elsewhere_is_refused(api):
    add(api)
    api_post(api, "/console/messages/a", 403, {"do": "note", "version": "1", "note": "x"}, sec_fetch_site="cross-site")
    assert api.ledger.get("a").version == 1


def test_copy_edit_send_works_once_and_names_the_copy(api):
    api.add("m", body=json.dumps({**MAPS, "radius": 0}), type="maps")
    document = checked(post(api, "/console/messages/m", 200, {"do": "body"}))
    [edited] = document.xpath("//textarea[@name='body']")
    assert json.loads(edited.text) == {**MAPS, "radius": 0}
    wrong = checked(
        post(api, "/console/messages/m", 409, {"do": "copy", "version": "1", "body": json.dumps({**MAPS, "lat": 91})})
    )
    assert "lat: does not fit maximum: 90" in said(wrong)
    [kept] = wrong.xpath("//form//textarea[@name='body']")
    assert json.loads(kept.text) == {**MAPS, "lat": 91}
    fields = {"do": "copy", "version": "1", "body": json.dumps(MAPS)}
    post(api, "/console/messages/m", 303, fields)
    post(api, "/console/messages/m", 409, fields)
    [message] = api.fakes.source.messages.values()
    assert json.loads(message.body) == MAPS
    copy = json.loads(message.attributes["failure"]["StringValue"])["dead_letter_id"]
    assert f"/console/messages/{copy}" in get(api, "/console/messages/m").xpath("//a/@href")


@pytest.mark.parametrize("fault", [{"to": "no queue"}, {"version": "7"}, {}])
def test_an_edit_that_was_not_sent_is_not_lost(api, fault):
    api.add("m", body=json.dumps({**MAPS, "radius": 0}), type="maps")
    if not fault:
        api.fakes.faults.add("state.get", DOWN)
    edited = {"do": "copy", "version": "1", "body": f"{HOSTILE}\r\n edited", "to": "https://sqs/1/q", **fault}
    document = checked(post(api, "/console/messages/m", 409 if fault else 503, edited))
    assert document.xpath("string(//textarea[@name='body'])").strip().replace("\r", "") == f"{HOSTILE}\n edited"
    assert document.xpath("//input[@name='to']/@value") == [edited["to"]]
    assert document.xpath("//form[.//textarea[@name='body']]/input[@name='version']/@value") == ["1"]
    assert "Nothing was done" in said(document)
    assert api.views() == []


def test_an_edit_of_what_cannot_be_copied_any_more_is_still_shown(api):
    api.add("m", body=json.dumps({**MAPS, "radius": 0}), type="maps", hold="legal")
    document = checked(post(api, "/console/messages/m", 409, {"do": "copy", "version": "1", "body": "edited"}))
    assert document.xpath("string(//textarea[@readonly])").strip() == "edited"
    assert not document.xpath("//textarea[@name='body']")


def test_while_the_fleet_is_paused_an_edit_is_kept_and_the_sentence_says_why(api):
    api.add("m", body=json.dumps({**MAPS, "radius": 0}), type="maps")
    api.post("/api/v1/fleet/pause", {"reason": HOSTILE})
    document = checked(post(api, "/console/messages/m", 409, {"do": "copy", "version": "1", "body": json.dumps(MAPS)}))
    assert "Nothing was done. The fleet is paused by" in said(document)
    assert json.loads(document.xpath("string(//textarea[@name='body'])")) == MAPS


def test_a_copy_without_an_answer_says_that_nobody_knows(api):
    api.add("m", body=json.dumps({**MAPS, "radius": 0}), type="maps")
    api.fakes.faults.add("source.send", SQS_DOWN)
    answer = post(api, "/console/messages/m", 503, {"do": "copy", "version": "1", "body": json.dumps(MAPS)})
    text = said(checked(answer))
    assert "Nobody knows whether the copy was sent" in text
    assert "Nothing was done" not in text


def test_readers_see_no_body_and_no_form_and_admins_may_delete(ledger):
    api = signed_in(ledger, Mode.TOKEN)
    add(api)
    reader, admin = (bearer(new_token(ledger, role)) for role in (Role.READER, Role.ADMIN))
    document = get(api, "/console/messages/a", **reader)
    assert document.xpath("//main//form") == []
    assert "Acting needs the role operator" in said(document)
    for do in ("body", "note", "copy"):
        post(api, "/console/messages/a", 403, {"do": do, "version": "1"}, **reader)
    assert verbs(get(api, "/console/messages/a", **admin))[-1] == "delete"
    assert api.views() == []


def test_an_unknown_one_is_a_page_that_says_so(api):
    assert "no dead letter with this id" in said(get(api, "/console/messages/nobody", 404))


@pytest.mark.parametrize(("language", "text"), [("en", "Where is my file?"), ("ja", "ファイルの所在")])
def test_where_a_file_is_is_said_in_the_readers_language(api, language, text):
    add(api)
    api.fakes.s3.bodies[KEY] = b"text"
    empty = get(api, "/console/why-not", accept_language=language)
    assert empty.xpath("string(//h1)") == text
    assert empty.xpath("//input[@name='bucket']/@value") == [BUCKET]
    found = get(api, f"/console/why-not?{urlencode({'bucket': BUCKET, 'key': KEY})}", accept_language=language)
    [answer] = found.xpath("//p[@class='lead']")
    sentence = answer.text_content()
    assert (
        "has been a dead letter since" if language == "en" else "デッドレターとなり、対応を待っています"
    ) in sentence
    assert "ReadTimeoutError" in sentence
    assert "/console/messages/a" in found.xpath("//main//a/@href")
    assert [name for name in ("{there}", "{at}", "{why}", "\u202e") if name in sentence] == []


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "the index holds it by its name alone (it is damaged), and its message"),
        ("ja", "名前だけが登録されており"),
    ],
)
def test_of_a_dead_letter_the_answer_says_what_the_index_holds_too(api, language, text):
    add(api)
    api.fakes.s3.bodies[KEY] = b"text"
    path = f"/console/why-not?{urlencode({'bucket': BUCKET, 'key': KEY})}"
    assert "the index does not hold it, and its message has been a dead letter" in said(get(api, path))
    api.fakes.indexed(KEY, status="corrupt")
    assert text in said(get(api, path, accept_language=language))
    api.fakes.s3.bodies[KEY] = b"another text"
    assert "the index holds it as it was before, and its message" in said(get(api, path))


def test_an_address_is_understood_in_either_box(api):
    api.fakes.s3.bodies["a.pdf"] = b"text"
    for asked in ({"bucket": f"s3://{BUCKET}/a.pdf", "key": ""}, {"bucket": f"s3://{BUCKET}/", "key": "a.pdf"},
                  {"bucket": "", "key": f"s3://{BUCKET}/a.pdf"}):  # fmt: skip
        document = get(api, f"/console/why-not?{urlencode(asked)}")
        assert document.xpath("string(//h2[@id='answer'])") == f"s3://{BUCKET}/a.pdf", asked


def test_what_is_missing_on_the_form_is_said(api):
    document = get(api, f"/console/why-not?{urlencode({'bucket': BUCKET, 'key': ''})}", 400)
    assert "The key is missing" in said(document)
    assert document.xpath("//input[@required]") == []
    for typed in ("s3://demo-files/", "s3://demo-files", "arn:aws:s3:::demo-files"):
        answer = get(api, f"/console/why-not?{urlencode({'bucket': BUCKET, 'key': typed})}", 400)
        assert "This names the bucket demo-files, not a file in it" in said(answer), typed
        assert answer.xpath("//h2[@id='answer']") == []


def test_a_file_that_could_not_be_read_is_not_called_another_state(api):
    add(api)
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.indexed(KEY, status="corrupt")
    text = said(get(api, "/console/messages/a?now=yes"))
    assert "This object, by its name only, because it could not be read (corrupt)" in text
    assert "Another state of it" not in text
    api.fakes.s3.bodies[KEY] = b"another text"
    assert "Another state of it" in said(get(api, "/console/messages/a?now=yes"))


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR, Role.ADMIN])
def test_each_role_finds_it_in_the_navigation(ledger, role):
    api = signed_in(ledger, Mode.TOKEN)
    document = get(api, "/console/why-not", **bearer(new_token(ledger, role)))
    assert document.xpath("//header//nav/a[@aria-current]/@href") == ["/console/why-not"]


def test_a_name_that_cannot_be_one_is_said_on_the_form(api):
    document = get(api, "/console/why-not?bucket=https://x&key=a", 400)
    assert "a bucket's name, not a URL or an ARN" in said(document)
    assert document.xpath("//input[@name='key']/@value") == ["a"]


def test_the_page_of_one_message_is_in_japanese_too(api):
    add(api, hold="x")
    text = said(get(api, "/console/messages/a", accept_language="ja"))
    assert "保留中: 解除されるまで何も行われません" in text
    assert "この状態でできる操作はありません" in text


def test_the_overview_leads_to_it(api):
    assert "/console/why-not" in get(api, "/console/").xpath("//main//a/@href")
