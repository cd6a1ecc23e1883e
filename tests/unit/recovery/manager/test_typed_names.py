"""Which object is meant by what people type and paste, and where the page says that it is."""

import contextlib
import unicodedata
from urllib.parse import quote, urlencode

import pytest
from lxml import html

from recovery.ledger.rows import State
from recovery.manager.typed_names import MAX_READINGS, Form, readings, where_typed
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from tests.support.api import Api

KEY = "経理/ガイド 50%+税.pdf"
NFD = unicodedata.normalize("NFD", KEY)
assert NFD != KEY
QUOTED = quote(KEY)


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


WAYS = [
    (KEY, Form.EXACT),
    (NFD, Form.UNICODE),
    (f"s3://{BUCKET}/{KEY}", Form.ADDRESS),
    (f" s3://{BUCKET}/{KEY}\n", Form.ADDRESS),
    (f'"s3://{BUCKET}/{KEY}"', Form.ADDRESS),
    (f"S3A://{BUCKET}/{KEY}", Form.ADDRESS),
    (f"arn:aws:s3:::{BUCKET}/{KEY}", Form.ADDRESS),
    (f"arn:aws-cn:s3:::{BUCKET}/{KEY}", Form.ADDRESS),
    (f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/{QUOTED}", Form.ADDRESS),
    (f"https://{BUCKET}.s3.amazonaws.com/{QUOTED}?versionId=x", Form.ADDRESS),
    (f"https://s3.eu-central-1.amazonaws.com/{BUCKET}/{QUOTED}", Form.ADDRESS),
    (
        f"https://eu-central-1.console.aws.amazon.com/s3/object/{BUCKET}?region=eu-central-1&prefix={quote(KEY, safe='')}",
        Form.ADDRESS,
    ),
    (f"https://s3.console.aws.amazon.com/s3/buckets/{BUCKET}?prefix={quote(KEY, safe='')}&tab=x", Form.ADDRESS),
    (f"  {KEY} ", Form.TRIMMED),
    (f'"{KEY}"', Form.TRIMMED),
    (f"「{KEY}」", Form.TRIMMED),
    (f"/{KEY}", Form.SLASH),
    (f' "/{KEY}"', Form.SLASH),
    (KEY.replace("/", "\\"), Form.BACKSLASH),
    (QUOTED, Form.ENCODED),
    (quote(KEY, safe="").replace("%20", "+"), Form.ENCODED),
    (f"/{QUOTED}", Form.ENCODED),
    (quote(NFD), Form.UNICODE),
    (f"s3://{BUCKET}/{QUOTED}", Form.ENCODED),
]


@pytest.mark.parametrize(("typed", "form"), WAYS)
def test_what_is_meant_is_found_in_whatever_way_it_is_written(api, typed, form):
    api.fakes.s3.bodies[KEY] = b"text"
    found, read_as = where_typed(api.sources, api.ledger, readings(typed, BUCKET))
    assert (found.bucket, found.key, found.s3.size, read_as) == (BUCKET, KEY, 4, form)


@pytest.mark.parametrize("key", [f"/{KEY}", QUOTED, f'"{KEY}"', f" {KEY} ", NFD, "a\\b", "https://example.com/x"])
def test_a_key_that_is_there_as_it_is_written_is_not_taken_for_another(api, key):
    api.fakes.s3.bodies |= {KEY: b"text", key: b"another"}
    found, form = where_typed(api.sources, api.ledger, readings(key, BUCKET))
    assert (found.key, found.s3.size, form) == (key, 7, Form.EXACT)


def test_what_only_the_index_or_a_dead_letter_knows_is_found_too(api):
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.indexed(KEY)
    del api.fakes.s3.bodies[KEY]
    assert where_typed(api.sources, api.ledger, readings(f"/{KEY}", BUCKET))[0].key == KEY
    body = s3_event(s3_record(BUCKET, "lost.pdf"))
    api.add("a", body=body, bucket=BUCKET, object_key="lost.pdf", type="s3-event", state=State.OPEN)
    assert where_typed(api.sources, api.ledger, readings("/lost.pdf ", BUCKET))[0].key == "lost.pdf"


def test_an_address_names_its_own_bucket_and_what_is_no_address_does_not():
    assert readings("s3://other-bucket/a/b", BUCKET)[0][:2] == ("other-bucket", "a/b")
    for typed in ("s3://other-bucket", "s3://other-bucket/", "https://example.com/x", "https://[x", "arn:aws:s3:::b"):
        assert {one.bucket for one in readings(typed, BUCKET)} == {BUCKET}, typed


@pytest.mark.parametrize("typed", ["k" * 1_025, "\ud800", "s3://no bucket/x", ""])
def test_what_cannot_be_a_key_has_no_readings(typed):
    assert readings(typed, BUCKET) == []


def test_what_is_too_long_only_because_it_is_encoded_is_read():
    typed = quote("契" * 300)
    assert [one.key for one in readings(typed, BUCKET)] == ["契" * 300]


def test_not_too_much_is_asked():
    assert len(readings(f' "/\\%2F{QUOTED}+ガ" ', BUCKET)) <= MAX_READINGS


# -- the page --------------------------------------------------------------------------------------------------------


def page(api, key, status=200, **headers):
    answer = api.ask(f"/console/why-not?{urlencode({'key': key})}", **headers)
    assert answer.status_code == status, answer.text
    return html.fromstring(answer.text)


def said(node):
    return " ".join(node.text_content().split())


@pytest.mark.parametrize(
    ("typed", "note"),
    [
        (KEY, ""),
        (f"s3://{BUCKET}/{KEY}", ""),
        (f"'{KEY}'", "It was found without the spaces or quotes"),
        (f"/{KEY}", "It was found without the slash"),
        (QUOTED, "It was found with the characters for which"),
        (NFD, "It was found under a name in another Unicode form"),
    ],
)
def test_the_page_answers_in_one_sentence_and_says_how_the_name_differs(api, typed, note):
    api.fakes.s3.bodies[KEY] = b"text"
    found = page(api, typed)
    assert said(found.get_element_by_id("answer")) == f"s3://{BUCKET}/{KEY}"
    assert said(found.xpath("//p[@class='lead']")[0]).startswith("It has been in S3 since")
    assert " ".join(said(one) for one in found.xpath("//p[@class='note']")).startswith(note)
    assert found.xpath("//input[@name='key']/@value") == [typed]


def test_of_what_is_nowhere_the_page_lists_the_names_that_it_has_tried(api):
    found = page(api, "/nowhere.pdf")
    assert "Nothing is known under these names either: s3://files/nowhere.pdf" in said(found)
    assert "names either" not in said(page(api, "nowhere.pdf"))
    assert "written in another Unicode form, NFC or NFD" in said(page(api, "ガ.pdf"))
    assert "次の名前でも何も見つかりませんでした" in said(page(api, "/nowhere.pdf", accept_language="ja"))


@pytest.mark.parametrize(
    ("status", "text", "japanese"),
    [
        ("too_large", "by name, size and date alone since", "大きすぎるため"),
        ("metadata_only", "no text is read from files of its kind.", "この種類のファイル"),
        ("encrypted", "its text could not be read, because it is protected by a password.", "パスワードで保護"),
    ],
)
def test_why_there_is_no_text_is_said_in_words(api, status, text, japanese):
    api.fakes.s3.bodies[KEY] = b"text"
    api.fakes.indexed(KEY, status=status)
    assert text in said(page(api, KEY))
    assert japanese in said(page(api, KEY, accept_language="ja"))


def test_a_key_that_is_too_long_is_said_on_the_form(api):
    assert "1,024 bytes" in said(page(api, "k" * 1_025, 400))
    assert page(api, "   ").xpath("//p[@class='lead']") == []
