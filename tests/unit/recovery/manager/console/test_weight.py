"""No page is heavy, whatever is on it: at most 100 KB over the wire, with the longest texts, which hardly compress."""

import contextlib
import json
import random
import string
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from lxml import html
from sqlalchemy import text as sql

from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Arrival, State
from recovery.ledger.tokens import Token
from recovery.manager.console import groups_view, messages
from recovery.manager.console.rendering import ASSETS, VERSION
from recovery.manager.web.parameters import selected
from testing.ledgers import new_ledger, row
from testing.memory import BUCKET
from tests.support.api import Api
from tests.support.library import library
from worker.core.audit import AuditEvent, Run, write
from worker.core.index.document import Write, encode
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import take_in
from worker.core.sqs.queue import Message

MOST_BYTES = 100_000
KEY_BYTES = 1_024
GROUPS = 200
ROWS = 60
CHANCE = random.Random(7)
EMOJI = [chr(one) for one in range(0x1F300, 0x1F600)]
LONG = 60_000


def emoji(count):
    """So many characters of four bytes each."""
    return "".join(CHANCE.choices(EMOJI, k=count))


def noise(count):
    """So many characters of one byte each, some of which HTML has to escape."""
    return "".join(CHANCE.choices(string.ascii_letters + string.digits + "<>&\"'/=+ ", k=count))


def worst(number, **fields):
    """A dead letter all of whose texts are as long as they can be."""
    key = emoji(KEY_BYTES // 4) if number % 2 else noise(KEY_BYTES)
    given = {
        "object_key": key, "about": f"s3://{emoji(60)}/{key}", "bucket": emoji(60), "message": emoji(500),
        "error_type": emoji(200), "fingerprint": noise(200), "source_queue": noise(1_000), "source_service": noise(200),
        "correlation_id": emoji(200), "worker": emoji(200), "owner": emoji(320), "note": emoji(4_000), "hold": emoji(500),
        "finding": emoji(500), **fields,
    }  # fmt: skip
    return row(f"{noise(100)}{number}", **given)


def fill(ledger, count, **fields):
    rows = [worst(number, **fields) for number in range(count)]
    ledger.restore_rows(rows)
    return rows


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")) as ledger:
        yield Api(ledger)


def weight(api, path, status=200, **given):
    """The bytes of a page over the wire."""
    answer = api.ask(path, accept_encoding="gzip", **given)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-encoding"] == "gzip"
    assert html.fromstring(answer.text).xpath("//main//h1")
    return answer.num_bytes_downloaded


def test_messages_with_every_column(api):
    fill(api.ledger, ROWS)
    for path in ("/console/messages", f"/console/messages?{urlencode({'column': messages.COLUMNS}, doseq=True)}"):
        assert weight(api, path) <= MOST_BYTES
        assert weight(api, path, accept_language="ja") <= MOST_BYTES


def test_groups_and_overview(api):
    rows = [
        replace(worst(number), error_type=f"{emoji(190)}{number}", fingerprint=f"{noise(190)}{number}")
        for number in range(GROUPS)
    ]
    api.ledger.take_in([Arrival(f"m-{one.identity}", one, one.last_seen_ms) for one in rows])
    for one in rows[::3]:
        api.ledger.change(one.identity, version=None, by=emoji(80), action="note", note=emoji(4_000))
    assert weight(api, "/console/groups") <= MOST_BYTES
    assert weight(api, f"/console/groups?page={GROUPS // groups_view.PAGE}") <= MOST_BYTES
    assert weight(api, "/console/") <= MOST_BYTES
    link = html.fromstring(api.ask("/console/groups").text).xpath("string(//tr[@data-row]//a/@href)")
    assert weight(api, link) <= MOST_BYTES


def test_schedule_and_archive(api):
    fill(api.ledger, ROWS, state=State.SCHEDULED, retry_at_ms=int(time.time() * 1000) + 3_600_000, retry_by=emoji(80))
    assert weight(api, "/console/schedule") <= MOST_BYTES
    fill(api.ledger, ROWS, state=State.ARCHIVED)
    assert weight(api, "/console/archive") <= MOST_BYTES


def test_plan_and_operation(api):
    fill(api.ledger, 3 * ROWS, hold=None)
    plan = api.ledger.plans.make(
        Wanted(Verb.REDRIVE, emoji(80), {"note": emoji(4_000)}, selected(""), query=noise(2_000))
    )
    assert weight(api, f"/console/plans/{plan.id}") <= MOST_BYTES
    made = api.ledger.operations.create(plan, by=emoji(80))
    with api.ledger._database.writing() as connection:
        for place in range(1, 3 * ROWS + 1):
            connection.execute(
                sql("UPDATE plan_items SET state = 'failed', result = :why WHERE place = :place"),
                {"why": emoji(1_000), "place": place},
            )
    path = f"/console/operations/{made.id}"
    assert weight(api, path) <= MOST_BYTES
    assert html.fromstring(api.ask(path).text).xpath("//tr[@data-row]")
    assert weight(api, "/console/operations") <= MOST_BYTES


def test_audit(api):
    for number in range(ROWS):
        run = Run.new("dlq hold", action="hold", by=emoji(80))
        ids = tuple(noise(128) for _ in range(100))
        details = {name: noise(3_000) for name in ("reason", "filter", "note")}
        result = {noise(60): number for number in range(50)}
        write(api.fakes.state, AuditEvent(run.action, run.name, run.by, ids, result, details))
    assert weight(api, "/console/audit") <= MOST_BYTES


@pytest.mark.parametrize(
    "text", [noise, emoji, lambda count: "".join(chr(CHANCE.randrange(0x4E00, 0x9FFF)) for _ in range(count))]
)
def test_one_message_with_its_body(api, text):
    failure = {"error_type": text(300), "message": text(500), "stack": text(64_000), "attempts": 5}
    attributes = {f"a{number}": {"DataType": "String", "StringValue": text(20_000)} for number in range(9)}
    attributes["failure"] = {"DataType": "String", "StringValue": json.dumps(failure)}
    made = Message("m-1", "r", text(256_000), {"SentTimestamp": "1"}, attributes)
    stored, _ = take_in(api.fakes.state, DeadLetter.received(made), at_ms=1)
    row_ = replace(worst(1), identity=stored.dead_letter.id, key=stored.key, body_sha256=stored.dead_letter.body_sha256)
    api.ledger.take_in([Arrival("m-1", row_, 1)])
    for _ in range(30):
        api.ledger.change(
            row_.identity, version=None, by=text(80), action="note", details={"note": text(4_000)}, note=text(4_000)
        )
    path = f"/console/messages/{row_.identity}"
    assert weight(api, path) <= MOST_BYTES
    assert weight(api, f"{path}?now=yes") <= MOST_BYTES
    form = {"content": b"do=body", "content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}
    assert weight(api, path, method="POST", **form) <= MOST_BYTES


def test_settings_with_many_tokens(api):
    for number in range(500):
        api.ledger.tokens.create(Token(f"{noise(60)}{number}", "reader", f"{number}", 1, emoji(80)))
    assert weight(api, "/console/settings") <= MOST_BYTES


def test_search(tmp_path, api):
    path = tmp_path / "index.sqlite"
    index = library(path)
    index.write([
        Write(BUCKET, key := f"{noise(500)}/{number}{emoji(100)}", 1, "e", encode({
            "bucket": BUCKET, "file_key": key, "file_name": emoji(100), "file_extension": "pdf",
            "content": f"copy {emoji(9_000)} copy",
        }))
        for number in range(ROWS)
    ])  # fmt: skip
    assert weight(Api(api.ledger, index=index, search_page=True), "/console/search?q=copy") <= MOST_BYTES
    assert weight(api, f"/console/why-not?{urlencode({'key': noise(1_000)})}") <= MOST_BYTES


def test_assets_are_small_and_kept():
    assert sum(map(len, ASSETS.values())) < 40_000


def test_an_asset_is_compressed_and_kept_for_good(api):
    answer = api.ask(f"/console/static/{VERSION}/console.css", accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"].endswith("immutable")
    assert answer.headers["etag"]
