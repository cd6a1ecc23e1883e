"""`python -m benchmarks.ledger [--rows N] [--url URL]`: how long the manager's ledger takes, on SQLite and on PostgreSQL.

The database is filled with dead letters of 60 causes in 40 buckets, with Japanese keys; each question is then asked many times,
each time about something else. Targets (p95): page, groups, stats and a filter by key in 100 ms at 1,000,000 rows.
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, quantile, rss_mb
from recovery.ledger.address import ledger_url
from recovery.ledger.database import Database
from recovery.ledger.ledger import Ledger
from recovery.ledger.migrating import SchemaState
from recovery.ledger.pages import Sort
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Arrival, Change, Row, State
from recovery.ledger.selection import Selection, parse_query
from recovery.manager.known_groups import groups_with_facts
from testing.postgresql import PostgresServer
from worker.core.base.classify import FailureKind

LOADED_AT_ONCE = 5_000
NOW_MS = 1_790_000_000_000
STEP_MS = 1_000
PLANNED = 100_000
"""Dead letters of a plan; 2 s are allowed."""
WORDS = (
    "report", "invoice", "契約書", "請求書", "見積", "議事録", "backup", "archive", "経理", "人事", "東京", "大阪", "summary",
    "draft", "図面", "仕様書",
)  # fmt: skip
CAUSES = [
    (kind, f"{name}{place}Error", f"{place:02d}{kind.value[:4].lower()}{name.lower()[:4]:x<4}00")
    for kind in FailureKind
    for place, name in enumerate(("Timeout", "Denied", "Throttled", "Malformed", "Reset") * 3)
]
STATES = random.Random(1).choices(
    [State.OPEN, State.SCHEDULED, State.SENT, State.RECOVERED, State.ARCHIVED], [80, 5, 2, 10, 3], k=997
)


def row(number: int, chance: random.Random) -> Row:
    """A dead letter; a few causes have most of them, as in life."""
    kind, error_type, fingerprint = CAUSES[min(int(chance.expovariate(0.12)), len(CAUSES) - 1)]
    words = "/".join(chance.choices(WORDS, k=3))
    key = f"{words}/{chance.randrange(2015, 2027)}/{number:07d}-{chance.choice(WORDS)}.pdf"
    bucket = f"bucket-{min(int(chance.expovariate(0.15)), 39):02d}"
    seen_ms = NOW_MS + number * STEP_MS
    return Row(
        identity=f"{number:08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
        key=f"dead-letters/2026-11-01/{number:08x}.json",
        state=STATES[number % len(STATES)], kind=kind, error_type=error_type, fingerprint=fingerprint, type="s3-event",
        message=f"GET s3://{bucket}/{key}: {error_type} after {chance.randrange(30)} s", bucket=bucket, object_key=key,
        about=f"s3://{bucket}/{key}", source_queue="https://sqs.eu-west-1.amazonaws.com/1/documents",
        source_service="s3-index-worker", correlation_id=f"c-{number // 3}", worker="worker-1", body_sha256=f"{number:064x}",
        size_bytes=chance.randrange(500, 3_000), attribute_count=1, first_failed_ms=seen_ms - 500,
        first_seen_ms=seen_ms, last_seen_ms=seen_ms + chance.randrange(10) * 60_000, sent_ms=seen_ms - chance.randrange(300_000),
    )  # fmt: skip


def fill(ledger: Ledger, rows: int) -> float:
    """Write the rows; seconds."""
    chance, began = random.Random(7), time.perf_counter()
    numbers = iter(range(rows))
    while some := list(islice(numbers, LOADED_AT_ONCE)):
        ledger.restore_rows([row(number, chance) for number in some])
    return time.perf_counter() - began


Question = Callable[[Ledger, random.Random], object]


def pages(rows: int) -> Iterator[tuple[str, Question]]:
    """What is asked for a page, by name."""
    yield "page", lambda ledger, _: ledger.page(Selection())
    for sort in Sort:
        yield f"page by {sort}, ascending", partial(_ascending, sort)
    yield "page of an error type", lambda ledger, chance: ledger.page(Selection(error_type=chance.choice(CAUSES)[1]))
    yield (
        "page of a kind and bucket",
        lambda ledger, chance: ledger.page(Selection(kind=chance.choice(list(FailureKind)), bucket=_bucket(chance))),
    )
    yield (
        "page of a group by key",
        lambda ledger, chance: ledger.page(Selection(group=chance.choice(CAUSES)[2]), sort=Sort.KEY),
    )
    yield "page of recovered ones", lambda ledger, _: ledger.page(Selection(states=(State.RECOVERED,)))
    yield "page of an age", lambda ledger, chance: ledger.page(Selection(sent_before_ms=_moment(rows, chance)))
    yield "page at offset 10,000", lambda ledger, _: ledger.page(Selection(), offset=min(10_000, rows))
    yield "key filter, word", lambda ledger, chance: ledger.page(parse_query(f"key:{chance.choice(WORDS)}"))
    yield (
        "key filter, two words",
        lambda ledger, chance: ledger.page(parse_query(f"key:{chance.choice(WORDS)}/{chance.choice(WORDS)}")),
    )
    yield (
        "key filter, year and kind",
        lambda ledger, chance: ledger.page(parse_query(f"key:/{chance.randrange(2015, 2027)}/ kind:UNKNOWN")),
    )
    yield (
        "key filter, one character",
        lambda ledger, chance: ledger.page(parse_query(f"key:{chance.choice('契請経図東z~')}")),
    )
    yield (
        "key filter, one object",
        lambda ledger, chance: ledger.page(parse_query(f"key:{chance.randrange(rows):07d}-")),
    )
    yield "text filter", lambda ledger, chance: ledger.page(parse_query(f'text:"{chance.choice(CAUSES)[1]} after 7"'))
    yield "text filter, nothing", lambda ledger, _: ledger.page(parse_query('text:"no such failure"'))


def summaries(rows: int) -> Iterator[tuple[str, Question]]:
    """What else is asked."""
    yield "groups", lambda ledger, _: ledger.groups(Selection())
    yield "groups with all that is known", lambda ledger, _: groups_with_facts(ledger, Selection(), limit=100)
    yield "groups of a bucket", lambda ledger, chance: ledger.groups(Selection(bucket=_bucket(chance)))
    yield (
        "groups, key filter",
        lambda ledger, chance: ledger.groups(parse_query(f"key:{chance.randrange(10_000):05d}-")),
    )
    yield "groups of an age", lambda ledger, chance: ledger.groups(Selection(sent_before_ms=_moment(rows, chance)))
    yield "stats", lambda ledger, _: ledger.stats()
    yield "count", lambda ledger, _: ledger.count(Selection())
    yield "count, key filter", lambda ledger, chance: ledger.count(parse_query(f"key:{chance.choice(WORDS)}"))
    yield "count of an age", lambda ledger, chance: ledger.count(Selection(sent_before_ms=_moment(rows, chance)))
    yield "count of a group until a moment", lambda ledger, chance: ledger.count(_until(rows, chance), at_most=rows)
    yield "page of a group until a moment", lambda ledger, chance: ledger.page(_until(rows, chance))
    yield "one, by DLQ id", lambda ledger, chance: ledger.get(f"m-{chance.randrange(100)}")


def _ascending(sort: Sort, ledger: Ledger, _chance: random.Random) -> object:
    return ledger.page(Selection(), sort=sort, descending=False)


def _bucket(chance: random.Random) -> str:
    return f"bucket-{chance.randrange(40):02d}"


def _moment(rows: int, chance: random.Random) -> int:
    return NOW_MS + chance.randrange(rows) * STEP_MS


def _until(rows: int, chance: random.Random) -> Selection:
    return Selection(group=CAUSES[0][2], seen_until_ms=_moment(rows, chance))


def measure(ledger: Ledger, rows: int, times: int) -> Iterator[tuple[str, list[float]]]:
    """The durations of every question, in ms."""
    yield "take in 100 new ones", [_ms(partial(ledger.take_in, batch)) for batch in _batches(rows, times)]
    for name, ask in (*pages(rows), *summaries(rows)):
        chance = random.Random(3)
        ask(ledger, random.Random(2))
        yield name, [_ms(partial(ask, ledger, chance)) for _ in range(times)]
    planned = [_ms(partial(_plan, ledger)) for _ in range(3)]
    yield f"plan of {min(rows, PLANNED):,}", planned
    before_mb = rss_mb(os.getpid())
    streamed_ms = _ms(lambda: sum(1 for _ in islice(ledger.rows(Selection()), 100_000)))
    yield f"stream 100,000 rows (memory +{max(0.0, rss_mb(os.getpid()) - before_mb):.0f} MB)", [streamed_ms]
    found = ledger.page(Selection(), limit=1_000).rows
    changes = [Change(one.identity, "sent", "benchmark", {"state": State.SENT}, version=one.version) for one in found]
    yield "change 1,000 rows", [_ms(lambda: ledger.change_many(changes))]


def _plan(ledger: Ledger) -> object:
    """Plan to redrive about PLANNED dead letters: the oldest, of which four fifths are open."""
    until_ms = NOW_MS + int(PLANNED / 0.85) * STEP_MS
    return ledger.plans.make(Wanted(Verb.REDRIVE, "benchmark", selection=Selection(sent_before_ms=until_ms)))


def _batches(rows: int, times: int) -> Iterator[list[Arrival]]:
    chance = random.Random(5)
    for first in range(rows, rows + times * 100, 100):
        yield [Arrival(f"m-{number - rows}", row(number, chance), NOW_MS) for number in range(first, first + 100)]


def _ms(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


@contextmanager
def databases(url: str | None) -> Iterator[list[tuple[str, str]]]:
    """The databases to measure: the one given, or a new one of each kind."""
    if url is not None:
        yield [("given", url)]
        return
    with tempfile.TemporaryDirectory() as folder, PostgresServer(Path(folder) / "postgresql", durable=True) as server:
        yield [("SQLite", f"sqlite:///{folder}/ledger.sqlite"), ("PostgreSQL", server.new_database())]


def main() -> None:
    """Print a table for each database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="dead letters in the ledger (default: 1,000,000)")
    parser.add_argument("--times", type=int, default=40, help="how often each question is asked (default: 40)")
    parser.add_argument("--url", help="a ledger to use instead of new ones; filled, unless it has rows")
    asked = parser.parse_args()
    console = Console()
    about = machine()
    console.print(f"{about['cpu']}, {about['cores']} cores, Python {about['python']}")
    with databases(asked.url) as chosen:
        for name, url in chosen:
            console.print(_table(name, url, asked.rows, asked.times))


def _table(name: str, url: str, rows: int, times: int) -> Table:
    ledger = Ledger(Database(ledger_url(url)))
    if ledger.schema_state() is not SchemaState.CURRENT:
        ledger.migrate()
    filled_s = 0.0 if ledger.count(Selection()) else fill(ledger, rows)
    table = Table(title=f"{name}, {rows:,} rows, filled in {filled_s:.0f} s; ms")
    table.add_column("what")
    for title in ("p50", "p95"):
        table.add_column(title, justify="right")
    for what, found in measure(ledger, rows, times):
        table.add_row(what, f"{quantile(found, 0.5):.1f}", f"{quantile(found, 0.95):.1f}")
    ledger.close()
    return table


if __name__ == "__main__":
    main()
