"""The pages that benchmarks/console.py asks for, and what they are about: a ledger, an audit and an index full of it."""

import http.client
import json
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import islice
from pathlib import Path
from urllib.parse import quote, urlencode

import orjson

from benchmarks.ledger import CAUSES, LOADED_AT_ONCE, NOW_MS, STEP_MS, WORDS, row
from recovery.ledger.ledger import Ledger
from recovery.ledger.rows import Row, State
from recovery.ledger.selection import instant
from testing.site import Site
from worker.core.audit import AUDIT_PREFIX, AuditEvent, Run
from worker.core.index.document import Write, encode
from worker.core.index.sqlite import SqliteIndex

STORED = 60
"""Dead letters that come through the queue, and so have records."""
DOCUMENTS = 10_000
AUDITED_DAYS, AUDITED_A_DAY = 10, 60
TIMES = tuple(one.name for one in fields(Row) if one.name.endswith("_ms"))
HOUR_MS = 3_600_000
PLANNED = 4_000
_NEXT = re.compile(rb'rel="next" href="([^"]+)"')
_PLAN = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Answer:
    """What a page was answered with."""

    ms: float
    size_bytes: int
    """Over the wire."""


class Browser:
    """One reader, who keeps a connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, path: str, *, is_small: bool = True) -> tuple[Answer, bytes]:
        """Read one page to its end, compressed if it is `small`; anything but a success ends the benchmark."""
        encoding = {"Accept-Encoding": "gzip"} if is_small else {}
        answer, status, body = self._timed("GET", path, None, {**encoding, "Accept-Language": "en"})
        if status != 200:
            raise SystemExit(f"{path}: {status} {body[:300]!r}")
        return answer, body

    def plan(self, query: str) -> Answer:
        """Send the form that makes a plan of all that match."""
        form = urlencode({"verb": "redrive", "q": query}).encode()
        answer, status, body = self._timed("POST", "/console/plans", form, _PLAN)
        if status != 303:
            raise SystemExit(f"a plan of {query}: {status} {body[:300]!r}")
        return answer

    def post(self, path: str, body: object) -> Mapping[str, str]:
        """What a change through the API is answered with."""
        sent = json.dumps(body).encode()
        _, _, answer = self._timed("POST", path, sent, {"Content-Type": "application/json"})
        found: Mapping[str, str] = json.loads(answer)
        return found

    def next_of(self, path: str) -> str:
        """The address of the page after this one."""
        found = _NEXT.search(self.ask(path, is_small=False)[1])
        if found is None:
            raise SystemExit(f"{path}: there is no next page")
        return unescape(found[1].decode())

    def close(self) -> None:
        self._connection.close()

    def _timed(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Answer, int, bytes]:
        began = time.perf_counter()
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        read = answer.read()
        return Answer((time.perf_counter() - began) * 1000, len(read)), answer.status, read


# -- what they are about -------------------------------------------------------------------------------------------


def fill(ledger: Ledger, rows: int) -> None:
    """Write the rows of the ledger's benchmark, of which the latest has come just now, and those that wait for their time."""
    chance, now_ms = random.Random(7), time.time_ns() // 1_000_000
    later_ms = now_ms - NOW_MS - rows * STEP_MS - 600_000
    numbers = iter(range(rows))
    while some := list(islice(numbers, LOADED_AT_ONCE)):
        made = [row(number, chance) for number in some]
        moved = [{name: value + later_ms for name in TIMES if (value := getattr(one, name))} for one in made]
        for one, moments in zip(made, moved, strict=True):
            if one.state is State.SCHEDULED:
                moments["retry_at_ms"] = now_ms + chance.randrange(6, 14 * 24) * HOUR_MS
        ledger.restore_rows([replace(one, **moments) for one, moments in zip(made, moved, strict=True)])


def fill_audit(site: Site) -> None:
    """Write the audit of some days, of which the last two weeks ago."""
    entries = {}
    for number in range(AUDITED_DAYS * AUDITED_A_DAY):
        day, place = divmod(number, AUDITED_A_DAY)
        at = datetime.now(UTC) - timedelta(days=day * 1.5, minutes=place)
        run = Run.new("dlq redrive", action="redrive" if place % 5 else "hold", by=f"user-{place % 7}@host")
        event = AuditEvent(run.action, run.name, run.by, (f"id-{number}",), {"sent": 1}, {"reason": "as agreed"}, at=at)
        name = f"{at:%Y-%m-%d}/{at:%H%M%S%f}-{event.action}-{number:06x}.json"
        entries[AUDIT_PREFIX + name] = orjson.dumps(event.as_json())
    site.put_all(entries, bucket=site.state_bucket)


def fill_index(path: Path, bucket: str) -> None:
    """Write an index of files whose names and texts have the words of the ledger's keys."""
    chance, index = random.Random(7), SqliteIndex(path, timeout_s=30)
    index.ensure()
    numbers = iter(range(DOCUMENTS))
    while some := list(islice(numbers, 1_000)):
        index.write([_document(number, bucket, chance) for number in some])
    index.close()


def _document(number: int, bucket: str, chance: random.Random) -> Write:
    key = f"{chance.choice(WORDS)}/{number:06d}-{chance.choice(WORDS)}.{chance.choice(('pdf', 'docx', 'txt'))}"
    fields_of = {
        "bucket": bucket, "file_key": key, "file_name": key.partition("/")[2], "file_extension": key.rpartition(".")[2],
        "content": " ".join(chance.choices(WORDS, k=200)), "file_size": chance.randrange(1_000_000),
        "last_modified": f"{chance.randrange(2015, 2027)}-01-31T09:00:00+00:00",
    }  # fmt: skip
    return Write(bucket, key, NOW_MS, f"etag-{number}", encode(fields_of))


# -- pages ---------------------------------------------------------------------------------------------------------


def pages(browser: Browser) -> dict[str, list[str]]:
    """Paths of each page, by name."""
    items = json.loads(browser.ask(f"/api/v1/messages?limit={STORED}&sort=last_seen", is_small=False)[1])["items"]
    groups = json.loads(browser.ask("/api/v1/groups?limit=40", is_small=False)[1])["items"]
    named = [one["fingerprint"] for one in groups]
    as_of = instant(time.time_ns() // 1_000_000)
    plan = browser.post("/api/v1/plans", {"verb": "redrive", "q": f"group:{named[0]}"})
    operation = browser.post("/api/v1/operations", {"plan": plan["id"]})["id"]
    browser.post(f"/api/v1/operations/{operation}/pause", {})
    waiting = browser.post("/api/v1/plans", {"verb": "redrive", "q": f"group:{named[1]}"})["id"]
    messages = [f"/console/messages/{one['identity']}" for one in items]
    keys = [quote(one["key"] or "none", safe="") for one in items]
    return {
        "overview": ["/console/"],
        "groups": ["/console/groups"],
        "groups, filtered": _asked("/console/groups", "q", _queries()),
        "one group": [f"/console/groups/{quote(one, safe='')}?as_of={as_of}" for one in named],
        "messages": ["/console/messages"],
        "messages, next page": [browser.next_of("/console/messages")],
        "messages, in other orders": [
            f"/console/messages?sort={sort}&order={order}"
            for sort in ("key", "error", "first", "last")
            for order in ("asc", "desc")
        ],
        "messages, filtered": _asked("/console/messages", "q", _queries()),
        "one message": messages,
        "one message, S3 now": [f"{one}?now=yes" for one in messages],
        "why not": [f"/console/why-not?key={one}" for one in keys],
        "plan": [f"/console/plans/{waiting}"],
        "operations": ["/console/operations"],
        "operation": [f"/console/operations/{operation}"],
        "archive": ["/console/archive"],
        "schedule": ["/console/schedule"],
        "schedule, filtered": _asked("/console/schedule", "q", [f"key:{word}" for word in WORDS]),
        "audit": ["/console/audit"],
        "audit, filtered": _asked("/console/audit", "by", [f"user-{number}@" for number in range(7)]),
        "audit, nothing": ["/console/audit?by=nobody"],
        "search": _asked("/console/search", "q", [*WORDS, f"{WORDS[0]} {WORDS[1]}", "ext:pdf backup"]),
        "settings": ["/console/settings"],
        "runbook": ["/console/runbook"],
    }


def _queries() -> list[str]:
    return (
        [f"key:{word}" for word in WORDS]
        + [f"error:{error}" for _, error, _ in CAUSES[:10]]
        + ["kind:UNKNOWN older:2h"]
    )


def _asked(path: str, name: str, values: list[str]) -> list[str]:
    return [f"{path}?{urlencode({name: one})}" for one in values]


def timed(port: int, times: int) -> Iterator[tuple[str, Iterator[Answer]]]:
    """The answers of every page, and those of the forms that make plans; each page is asked for once before."""
    with closing(Browser(port)) as browser:
        for name, paths in pages(browser).items():
            for path in paths:
                browser.ask(path)
            yield name, (browser.ask(paths[number % len(paths)])[0] for number in range(times))
        groups = json.loads(browser.ask("/api/v1/groups?limit=60", is_small=False)[1])["items"]
        some = min(groups, key=lambda one: abs(one["count"] - PLANNED))
        yield (
            f"make a plan of {some['count']:,}",
            (browser.plan(f"group:{some['fingerprint']}") for _ in range(times // 2)),
        )
        yield "make a plan of all", (browser.plan("") for _ in range(3))
