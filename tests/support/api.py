"""A manager's HTTP service for tests: over a real ledger, and a state bucket in memory."""

import asyncio
import json
import threading
from contextlib import ExitStack
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

import httpx
from fastapi import FastAPI
from starlette.routing import Mount

from recovery.ledger.ledger import Ledger
from recovery.ledger.plans import Wanted
from recovery.ledger.refusals import Verb
from recovery.ledger.rows import Arrival, Row
from recovery.ledger.selection import Selection
from recovery.manager.acting.acts import World
from recovery.manager.acting.verbs import Verbs
from recovery.manager.arrivals import Arrivals
from recovery.manager.audit_reader import AuditReader
from recovery.manager.figures import Figures
from recovery.manager.figures_source import FiguresSource
from recovery.manager.group_commit import GroupCommit
from recovery.manager.intake import Intake
from recovery.manager.metrics import ManagerMetrics, ReplayStatus
from recovery.manager.present import Looker
from recovery.manager.records import RowMaker
from recovery.manager.redaction import Redactor
from recovery.manager.schedule import RetryRules, Scheduler
from recovery.manager.searching import Searching
from recovery.manager.settings import ManagerSettings
from recovery.manager.settings_facts import SettingsReader
from recovery.manager.sources import Sources
from recovery.manager.system_facts import SystemFacts
from recovery.manager.web.app import Health, Service, Status, make_app
from recovery.manager.web.parameters import EXAMPLE_ID
from recovery.manager.web.plan_models import EXAMPLE_OPERATION, EXAMPLE_PLAN
from recovery.manager.web.rates import Rates
from recovery.manager.web.sign_in import SignIn
from recovery.operations.clients import DlqClients
from recovery.operations.recovering.outlook import Examiner, dry_engine
from testing.fakes import Fakes, included_types
from testing.ledgers import NOW_MS, row
from testing.memory import BUCKET, STATE
from worker.core.base.classify import FailureKind
from worker.core.base.errors import StoreError
from worker.core.base.settings_model import load_as
from worker.core.index import Index
from worker.core.sqs.dead_letter import DeadLetter
from worker.core.sqs.dead_letter_store import take_in
from worker.core.sqs.queue import Message

BODY = '{"bucket": "documents", "key": "経理/契約.pdf", "number": 12345678901234567890123}'
HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
STACK = "Traceback (most recent call last): …"


def manager_settings(**more: Any) -> ManagerSettings:
    """The settings of a manager over the system in memory."""
    return load_as(
        ManagerSettings, sqs_queue_url="http://sqs/q/source", dlq_queue_url="http://sqs/q/dlq", s3_bucket=BUCKET,
        state_bucket=STATE, aws_region="eu-central-1", **more,
    )  # fmt: skip


def console_of(app: FastAPI) -> FastAPI:
    """The application of the console that a manager's application has."""
    [found] = [one.app for one in app.routes if isinstance(one, Mount)]
    assert isinstance(found, FastAPI)
    return found


class Api:
    """The service, and what stands behind it; an index in memory, unless another is given.

    `ask` calls the application in this process, without a server.
    """

    def __init__(
        self, ledger: Ledger, hosts: frozenset[str] = HOSTS, sign_in: SignIn | None = None, redactor: Redactor | None = None,
        index: Index | None = None, search_page: bool = False,
    ) -> None:  # fmt: skip
        self.ledger = ledger
        self.fakes = Fakes()
        self.index = index or self.fakes.index
        self.rows = RowMaker(included_types(), redactor or Redactor())
        self.counted: list[ReplayStatus] = []
        self.stopping = threading.Event()
        self.health = Health(Status.HEALTHY, queue_connected=True, facts={"intake": "running"})
        self.depth: int | None = 2
        self.sources = self._sources()
        self.problems: list[str] = []
        self.service = Service(
            ledger=ledger,
            sources=self.sources,
            looker=Looker(self.sources),
            state=self.fakes.state,
            verbs=self._verbs(),
            count=self.counted.append,
            metrics=lambda: b"# TYPE up gauge\nup 1\n",
            health=lambda: self.health,
            dlq_depth=lambda: self.depth,
            facts=self._facts(),
            audit=AuditReader(self.fakes.state),
            settings=SettingsReader(manager_settings(), ledger, problems=lambda: self.problems),
            sign_in=sign_in or SignIn("api@host", rates=Rates(1_000_000)),  # tests ask often
            allowed_hosts=hosts,
            redactor=self.rows.redactor,
            searching=Searching(self.sources, self.index, self.sign) if search_page else None,
        )
        self.app: FastAPI = make_app(self.service)

    def _facts(self) -> SystemFacts:
        fakes, clock = self.fakes, self.fakes.s3.clock
        arrivals = Arrivals(
            self.rows, Scheduler(RetryRules(times=0), self.rows.types, clock.now_ms), ManagerMetrics(Figures)
        )
        self.intake = Intake(fakes.dlq, fakes.state, clock, self.ledger, GroupCommit(self.ledger), arrivals)
        source = FiguresSource(self.ledger, fakes.dlq, self.intake)

        def now_ms() -> int:
            return fakes.s3.clock.now_ms()  # of the clock that is there then

        return SystemFacts(self.ledger, fakes.state, source, now_ms=now_ms)

    def _verbs(self) -> Verbs:
        fakes = self.fakes
        clients = DlqClients(fakes.dlq, fakes.s3, fakes.state, self.rows.types)
        world = World(clients, fakes.state, self.rows, fakes.source, lambda _url: fakes.source)
        return Verbs(world, fakes.settings(), lambda: fakes.clients, self.stopping)

    def _sources(self) -> Sources:
        fakes, types = self.fakes, self.rows.types

        def engine(stack: ExitStack) -> Examiner:
            return dry_engine(fakes.settings(), fakes.clients, types, self.stopping, stack)

        clients = DlqClients(fakes.dlq, fakes.s3, fakes.state, types)
        return Sources(fakes.settings(), clients, fakes.state, self.rows, fakes.source, self.index, engine)

    def sign(self, bucket: str, key: str, name: str) -> str:
        """A link to an object in memory, as DownloadLinks signs it for one in S3."""
        if bucket != BUCKET or key not in self.fakes.s3.bodies:
            raise StoreError("not found", code="NoSuchKey")
        return f"https://{bucket}.s3.example.com/{quote(key)}?{urlencode({'saved-as': name})}"

    def add(self, name: str, *, body: str = BODY, stored: bool = True, **fields: Any) -> Row:
        """A dead letter in the ledger, and in the state bucket."""
        given = {"message_id": f"m-{name}", **fields}
        message_id = given.pop("message_id")
        made = row(name, **given)
        if stored:
            key = self.store(name, body)
            given.setdefault("body_sha256", sha256(body.encode()).hexdigest())
            made = row(name, **given, key=key)
        self.ledger.take_in([Arrival(message_id, made, made.last_seen_ms)])
        found = self.ledger.get(name)
        assert found is not None
        return found

    def store(self, name: str, body: str) -> str:
        """The object of a dead letter; its key."""
        failure = {"kind": "RECOVERABLE", "error_type": "ReadTimeoutError", "stack": STACK, "attempts": 5}
        attributes = {
            "failure": {"DataType": "String", "StringValue": json.dumps(failure)},
            "raw": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
        }
        message = Message(name, "r", body, {"SentTimestamp": str(NOW_MS)}, attributes)
        stored, _ = take_in(self.fakes.state, DeadLetter.received(message), at_ms=NOW_MS)
        return stored.key

    def fill(self) -> None:
        """The dead letter of the examples, and others."""
        self.add(EXAMPLE_ID, object_key="経理/契約.pdf", about="s3://documents/経理/契約.pdf")
        self.add("second", object_key="営業/見積.pdf", correlation_id="c-1", last_seen_ms=NOW_MS + 1_000)
        self.add(
            "third", kind=FailureKind.UNKNOWN, error_type="ValueError", fingerprint="77", bucket="", source_queue=""
        )

    def operate(self) -> None:
        """The plan and the operation of the examples; the operation waits, and the plan is one of its own."""
        none = Selection(correlation_id="nothing has this")
        for name in (EXAMPLE_OPERATION, EXAMPLE_PLAN):
            plan = self.ledger.plans.make(Wanted(Verb.REDRIVE, "api@host", {}, none, ""))
            if name == EXAMPLE_OPERATION:
                made = self.ledger.operations.create(plan, by="api@host")
                self._rename("operations", made.id, name)
            else:
                self._rename("plans", plan.id, name)

    def _rename(self, table: str, name: str, to: str) -> None:
        with self.ledger._database.writing() as connection:
            connection.exec_driver_sql(f"UPDATE {table} SET id = '{to}' WHERE id = '{name}'")

    def views(self) -> list[dict[str, Any]]:
        """The views that are in the audit."""
        return [one for one in self.fakes.under("s3-index-worker/audit/").values() if one["action"] == "view"]

    def ask(
        self, path: str, *, method: str = "GET", host: str = "127.0.0.1:8024", peer: str = "127.0.0.1",
        content: Any = None, body: Any = None, **headers: str,
    ) -> httpx.Response:  # fmt: skip
        """One request, from this address, with this content (bytes, or an async iterator of some), or this body, as JSON.

        Underscores in the names of headers stand for hyphens.
        """
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if body is not None:
            content, named = json.dumps(body).encode(), [("content-type", "application/json"), *named]
        return asyncio.run(self._ask(method, path, [("host", host), *named], peer, content))

    def ask_with(self, headers: list[tuple[str, str]], path: str, *, peer: str) -> httpx.Response:
        """One request with these headers, some of which may be there twice."""
        return asyncio.run(self._ask("GET", path, [("host", "127.0.0.1:8024"), *headers], peer, None))

    async def _ask(
        self,
        method: str,
        path: str,
        headers: list[tuple[str, str]],
        peer: str,
        content: Any,
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(peer, 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8024") as client:
            return await client.request(method, path, headers=headers, content=content)

    def post(self, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """The JSON of an answer to a POST."""
        answer = self.ask(path, method="POST", body=body, **headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        """The JSON of an answer that must be a success."""
        answer = self.ask(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, path: str, status: int, **headers: str) -> dict[str, Any]:
        """The problem that a request is answered with."""
        answer = self.ask(path, **headers)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        said: dict[str, Any] = answer.json()
        assert (said["status"], said["type"]) == (status, "about:blank")
        assert said["title"]
        assert said["detail"]
        return said
