"""A manager of which every field that comes from outside is hostile, and the addresses of everything that shows one."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import orjson

from recovery.ledger.ledger import Ledger
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.manager.console.addresses import message_path
from testing.memory import BUCKET
from tests.support.api import Api
from tests.support.console_hostile import HOSTILE, hostile_dead_letters
from tests.support.console_pages import View
from tests.support.console_scene import RunningClock
from worker.core.audit import AuditEvent, record
from worker.core.index.document import Write, encode
from worker.core.index.sqlite import SqliteIndex
from worker.core.indexing.retry_store import RetryRecord
from worker.core.s3.pause import pause_fleet
from worker.core.s3.workers import WorkerRecord, write_worker

KEY = "契約/\u202efdp.txt"
"""Of the file about which "Why not?" is asked: of it, everything is known that anybody may say."""
ECHOES = ("/console/messages?q=", "/console/search?q=", "/console/why-not?key=", "/console/audit?by=", "/console/groups?q=",
          "/console/schedule?q=", "/console/archive?q=")  # fmt: skip
"""Where a page shows what stands in its address."""


class Trap:
    """The manager. Every text is in every field."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        index = SqliteIndex(folder / "index.sqlite", timeout_s=5)
        self.api = Api(ledger, index=index, search_page=True)
        self.api.fakes.s3.clock = RunningClock()
        self.now_ms = time.time_ns() // 1_000_000
        self.ids = hostile_dead_letters(self.api, now_ms=self.now_ms)
        self._index(index)
        self._act()
        self._retry_index()
        self._workers()
        pause_fleet(self.api.fakes.state, reason=" ".join(HOSTILE[-6:]), by=HOSTILE[-6], lasting_s=None)

    def lists(self) -> Iterator[View]:
        """Pages that show many texts, each of which may be followed by others."""
        yield from (View(f"/console/{name}") for name in ("", "groups", "operations", "audit", "settings", "schedule"))
        yield View("/console/messages?q=state:any")
        yield View("/console/archive?q=state:any")
        yield View("/console/search?q=needle")
        yield View(f"/console/why-not?{urlencode({'bucket': BUCKET, 'key': KEY})}")

    def single(self) -> Iterator[tuple[str, View]]:
        """By its text, each page that is about one dead letter, operation or plan."""
        operations = {one.by: one for one in self.api.ledger.operations.page(limit=len(HOSTILE))}
        for number, (text, identity) in enumerate(zip(HOSTILE, self.ids, strict=True)):
            yield text, View(message_path(identity), {"do": "body"})
            yield text, View(f"{ECHOES[number % len(ECHOES)]}{quote(text)}")
            kinds = (
                message_path(identity, now="yes"),
                f"/console/operations/{operations[text].id}",
                f"/console/plans/{operations[text].plan}",
                f"/console/groups/{number:012x}",
            )
            yield text, View(kinds[number % len(kinds)])

    def _index(self, index: SqliteIndex) -> None:
        """Documents whose names, paths and texts are hostile."""
        index.ensure()
        writes = []
        for number, text in enumerate(HOSTILE):
            fields = {
                "bucket": BUCKET, "file_key": f"{text}/{number}", "file_name": f"{text}/{number}".rsplit("/", 1)[-1],
                "file_extension": text[:8], "content": f"{text} needle {text}", "file_size": number,
                "last_modified": "2026-04-01T00:30:00+00:00",
            }  # fmt: skip
            writes.append(Write(BUCKET, f"{text}/{number}", self.now_ms, "e", encode(fields)))
        index.write(writes)

    def _act(self) -> None:
        """Operations, audit entries and events in which who it was, and why, are hostile."""
        ledger, state = self.api.ledger, self.api.fakes.state
        for text, identity in zip(HOSTILE, self.ids, strict=True):
            plan = ledger.plans.make(Wanted(Verb.ABANDON, text, {"reason": text}, ids=(identity,)))
            ledger.operations.create(plan, by=text)
            event = AuditEvent(
                "note", text, text, (identity,), {text: text}, {text: text, "reason": text}, at=datetime.now(UTC)
            )
            record(state, event)
            ledger.change(identity, version=None, by=text, action="note", note=text)

    def _retry_index(self) -> None:
        """Records for one key, whose reasons are hostile."""
        for number, text in enumerate(HOSTILE):
            fields = {"bucket": BUCKET, "file_key": KEY, "etag": text, "content": text}
            write = Write(BUCKET, KEY, self.now_ms - number, text, orjson.dumps(fields))
            made = RetryRecord(write, text, rejected=True, attempts=4)
            self.api.fakes.state.put(f"{made.name}{number}", made.as_json())

    def _workers(self) -> None:
        for number, text in enumerate(HOSTILE):
            made = WorkerRecord(
                f"ops-{number}@0", text, since_ms=self.now_ms, written_at_ms=self.now_ms, started_at_ms=self.now_ms, host=text,
                version=text, source_queue=text, dlq=text, breakers={text: text}, held_back={"s3": text},
                failing_calls=(text,), unhealthy_threads=(text,),
            )  # fmt: skip
            write_worker(self.api.fakes.state, made)
