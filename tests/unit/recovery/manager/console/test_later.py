"""The moment at which somebody lets a dead letter be sent again: typed in their time zone, and the same in the plan."""

import contextlib
import re
from datetime import datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from recovery.manager.console.languages import Language
from recovery.manager.console.reader import Reader
from testing.aws import s3_event, s3_record
from testing.ledgers import new_ledger
from testing.memory import BUCKET
from tests.support.api import Api

FORM = {"content_type": "application/x-www-form-urlencoded", "sec_fetch_site": "same-origin"}
TOKYO = {"cookie": "console-zone=Asia/Tokyo"}


@pytest.fixture
def api(tmp_path):
    with contextlib.closing(new_ledger(f"sqlite:///{tmp_path}/l.sqlite")) as ledger:
        made = Api(ledger)
        made.add("a", body=s3_event(s3_record(BUCKET, "k")), type="s3-event")
        yield made


def planned(api, at, **more):
    fields = {"verb": "schedule", "id": "a", "at": at, **more}
    return api.ask("/console/plans", method="POST", content=urlencode(fields).encode(), **FORM, **TOKYO)


def test_the_moment_that_the_page_proposes_is_the_moment_of_the_plan(api):
    page = api.ask("/console/messages/a", **TOKYO).text
    assert "When (Asia/Tokyo)" in page
    [at] = re.findall(r'name="at" required value="([^"]+)"', page)
    now_ms = api.fakes.s3.clock.now_ms()
    assert (
        3_540_000
        <= datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Asia/Tokyo")).timestamp() * 1000 - now_ms
        <= 3_600_000
    )
    answer = planned(api, at)
    plan = api.ledger.plans.get(answer.headers["location"].rpartition("/")[2])
    found = datetime.fromisoformat(str(plan.options["at"])).astimezone(ZoneInfo("Asia/Tokyo"))
    assert abs((found - datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Asia/Tokyo"))).total_seconds()) < 2


@pytest.mark.parametrize(
    ("at", "text"),
    [
        ("tomorrow", "a date and a time, such as"),
        ("9999-99-99T00:00", "a date and a time, such as"),
        ("2020-01-01T00:00", "to come, and at most"),
        ("2200-01-01T00:00", "to come, and at most"),
        ("0001-01-01T00:00", ""),
    ],
)
def test_what_is_no_moment_to_come_is_asked_for_again(api, at, text):
    answer = planned(api, at)
    assert answer.status_code == 400
    assert text in answer.text
    assert 'name="id" value="a"' in answer.text
    assert f'name="at" value="{at}"' in answer.text


def test_seconds_count_where_no_moment_is_typed(api):
    answer = planned(api, "", in_s="900")
    plan = api.ledger.plans.get(answer.headers["location"].rpartition("/")[2])
    at_ms = datetime.fromisoformat(str(plan.options["at"])).timestamp() * 1000
    assert abs(at_ms - api.fakes.s3.clock.now_ms() - 900_000) < 2_000


def test_a_time_that_a_clock_shows_twice_is_the_first():
    berlin = Reader(Language.ENGLISH, "Europe/Berlin", 0)
    twice_ms = berlin.local_ms("2026-10-25T02:30")
    assert datetime.fromtimestamp(twice_ms / 1000, ZoneInfo("UTC")).hour == 0
    assert berlin.local(twice_ms) == berlin.local(twice_ms + 3_600_000) == "2026-10-25T02:30"
